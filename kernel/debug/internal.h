/*
 * What the files of kernel/debug/ share among themselves.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/compiler.h"

bool panic_enter(const char *what);
noreturn void panic_end(void);
void print_where(void); /* core, thread, interrupt */
/* From FIQ: is this core in the middle of a message? fiq_report(NULL) is called
 * again at its end. */
bool console_defers(void);
/* A BUG ends this thread inside a bracket: let the others speak. IRQs off. */
void console_thread_died(void);
