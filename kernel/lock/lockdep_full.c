/*
 * Lockdep's limits. Prints one line when a table becomes full, and one line for
 * each name of a lock that cannot have a class.
 *
 * report_begin() guards the record of the lines that were printed. Context: any
 * but FIQ, and without lockdep_graph_lock.
 */
#include <string.h>

#include "kernel/lib/printf.h"
#include "kernel/debug/panic.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"

#if GORDIAN_DEBUG

#define TABLES 8
#define NAMES  16

static const char *full[TABLES], *bad_names[NAMES + 1];

/* Note that the line about s is printed. Returns false if it was printed
 * before, or if there is no room for the note. */
static bool say(const char **said, unsigned int n, const char *s)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!said[i]) {
			said[i] = s;
			return true;
		}
		if (strcmp(said[i], s) == 0)
			return false;
	}
	return false;
}

void lockdep_full(const char *table, const char *number, unsigned int is,
		  const char *then)
{
	uint32_t flags = report_begin();

	if (say(full, TABLES, number))
		kprintf("lockdep: table of %s full, raise %s (%u)%s%s\n", table,
			number, is, *then ? ": " : "", then);
	report_end(flags);
}

void lockdep_bad_name(const char *what, const char *name)
{
	uint32_t flags = report_begin();

	name = name ? name : "?";
	if (say(bad_names, NAMES, name))
		kprintf("lockdep: %s: %s\n", what, name);
	else if (say(bad_names, NAMES + 1, name))
		kprintf("lockdep: %s: %s and perhaps others, which are not "
			"named\n",
			what, name);
	report_end(flags);
}

void lockdep_has_room(const char *number)
{
	uint32_t flags = report_begin();
	unsigned int n = 0;

	for (unsigned int i = 0; i < TABLES; i++)
		if (full[i] && strcmp(full[i], number) != 0)
			full[n++] = full[i];
	while (n < TABLES)
		full[n++] = NULL;
	report_end(flags);
}
#endif
