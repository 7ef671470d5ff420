/*
 * Shared by the files of kernel/debug/ alone.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/compiler.h"

/* A failure begins. False if this core is already reporting one: then it must
 * not print a second report. IRQs are off afterwards. */
bool panic_enter(const char *what);
/* The end of a failure, and of the machine. */
noreturn void panic_end(void);
/* Print the core, the thread, and whether it is in an interrupt. */
void print_where(void);
/* From FIQ: is this core in the middle of a message? Then fiq_report(NULL) is
 * called at the end of the message. */
bool console_defers(void);
/* A BUG ends this thread, which may hold the console: release it. IRQs off. */
void console_thread_died(void);
