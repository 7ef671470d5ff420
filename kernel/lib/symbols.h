/*
 * Names of text addresses, from the table that the build puts in the image.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "boot/boot.h"

/*
 * Returns the function that addr lies in, with the distance from its start in
 * *off; NULL if addr is not in the text. Any context.
 */
const char *symbol_lookup(uintptr_t addr, uint32_t *off);

/* Does addr lie in the text? Inline, because a backtrace calls it for each
 * frame. Any context. */
static inline bool is_text(uintptr_t addr)
{
	return addr >= (uintptr_t)text_start && addr < (uintptr_t)text_end;
}
