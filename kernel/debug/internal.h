/*
 * Shared by the files of kernel/debug/ alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

/* A failure begins. False if this core is already reporting one: then it must
 * not print a second report. IRQs are off afterwards. */
bool panic_enter(const char *what);
/* The end of a failure, and of the machine. */
noreturn void panic_end(void);
/* Print the core, the thread, and whether it is in an interrupt. */
void print_where(void);
/* From FIQ: is this core in the middle of a message? Then fiq_report(NULL) is
 * called at the end of the message. False if that was already so the last time:
 * then the message hangs. */
bool console_defers(void);
/* This core does not finish the message that it is in, if any: release the
 * console. IRQs off. */
void console_release(void);
/* How many messages any core has begun. */
uint32_t console_messages(void);
