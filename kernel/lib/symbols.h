/*
 * Names of text addresses, from the table that the build puts in the image.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The function that addr lies in, *off bytes behind its start; NULL if addr is
 * not in the text. Any context.
 */
const char *symbol_lookup(uintptr_t addr, uint32_t *off);
bool is_text(uintptr_t addr);
