/*
 * Formatted output: small, ours, and safe from any context.
 *
 * kprintf() writes a whole message under the console lock, so that lines of
 * two cores never mix; the lock cannot hang a report (see kernel/debug/panic.h:
 * the reporter never waits for the reporter).
 *
 * Conversions: %d %i %u %x %X %c %s %p %% with flags '-', '0', width, '*',
 * precision for %s, and length l, ll, z; %pS prints symbol+0xoffset of a text
 * address. Unknown conversions are printed as they stand.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "kernel/lib/compiler.h"

/* As snprintf of C99: returns the length it would have had; always ends in 0 */
int ksnprintf(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/* Any context, also FIQ. Messages over 512 bytes are cut. */
void kprintf(const char *fmt, ...) printf_like(1, 2);
void kvprintf(const char *fmt, va_list ap);

/* Raw bytes to the console, whole, under its lock. Any context. */
void console_write(const char *s, size_t len);
