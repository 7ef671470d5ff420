/*
 * Formatted output: small, ours, and safe in any context.
 *
 * kprintf() writes a whole message under the console lock, so lines of two
 * cores do not mix. A core that prints a report never waits for itself
 * (kernel/debug/panic.h), so this lock cannot hang a report.
 *
 * Conversions: %d %i %u %x %X %c %s %p %% with the flags '-' and '0', a width,
 * '*', a precision for %s, and the lengths l, ll, z. %pS prints a text address
 * as symbol+0xoffset. Unknown conversions are printed unchanged.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "kernel/lib/compiler.h"

/* As C99's snprintf(): returns the length that the whole text would have. The
 * buffer always ends in 0. */
int ksnprintf(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/* Any context, also FIQ. Messages over 512 bytes are cut. */
void kprintf(const char *fmt, ...) printf_like(1, 2);
void kvprintf(const char *fmt, va_list ap);

/* Raw bytes to the console, whole, under its lock; also if it is hushed. Any
 * context. */
void console_write(const char *s, size_t len);
