/*
 * Symbol lookup by binary search in the build's table (section .ksyms, read
 * only). Any context.
 */
#include "kernel/lib/symbols.h"

#include <stddef.h>

extern const uint32_t ksyms_count;
extern const uint32_t ksyms_addr[];	/* ascending */
extern const uint32_t ksyms_name_off[]; /* into ksyms_names */
extern const char ksyms_names[];

const char *symbol_lookup(uintptr_t addr, uint32_t *off)
{
	uint32_t lo = 0, hi = ksyms_count;

	if (!is_text(addr))
		return NULL;
	addr &= ~(uintptr_t)1; /* the Thumb bit */
	while (lo < hi) {      /* first symbol above addr */
		uint32_t mid = lo + (hi - lo) / 2;

		if (ksyms_addr[mid] <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return NULL;
	*off = addr - ksyms_addr[lo - 1];
	return &ksyms_names[ksyms_name_off[lo - 1]];
}
