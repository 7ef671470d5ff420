/*
 * Shared by the files of kernel/debug/ alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kernel/lib/compiler.h"

/* A failure begins. Returns false if this core is already reporting a failure:
 * then it must not print a second report. IRQs are off afterwards. */
bool panic_enter(const char *what);
/* The end of a failure, and of the machine. */
noreturn void panic_end(void);
/* Print the core, the thread, and whether it is in an interrupt. */
void print_where(void);
/* Called from FIQ. Returns true if this core is in the middle of a message;
 * then fiq_report(NULL) is called at the end of the message. Returns false if
 * this core is in no message. Also returns false if an earlier report still
 * waits for the end of the same message, because such a message has hung. */
bool console_defers(void);
/* To be called if this core will never go back to what it was doing. If it was
 * in the middle of a message, it still holds the console's lock: release the
 * lock. IRQs off. */
void console_release(void);
/* How many messages all cores together have begun. */
uint32_t console_messages(void);
