/*
 * What the command `lockdep` prints: counts, classes, the graph.
 *
 * Owns no data. The counts are read without lockdep_graph_lock, so they may not
 * fit together while other threads take locks. Thread context. Built without
 * sanitizers.
 */
#include "kernel/lib/symbols.h"
#include "kernel/lib/printf.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"

#if GORDIAN_DEBUG

/* max: the size of the table; 0: there is no limit. */
static void print_stat(const char *name, unsigned int n, unsigned int max)
{
	kprintf(max ? "%-24s %8u of %u\n" : "%-24s %8u\n", name, n, max);
}

void lockdep_print_stats(void)
{
	/* Class 0 and edge 0 mean "none", and are not counted. */
	print_stat("lock classes:", lockdep_classes_in_use, DEP_NODES - 1);
	print_stat("dependencies:", lockdep_graph.in_use, DEP_EDGES - 1);
	print_stat("chains:", lockdep_nr_chains, LOCKDEP_CHAINS);
	print_stat("chain misses:", lockdep_chain_misses, 0);
	print_stat("searches:", lockdep_graph.searches, 0);
	print_stat("classes visited:", lockdep_graph.visits, 0);
	print_stat("most locks held:", lockdep_max_depth, MAX_HELD);
	print_stat("findings:", lockdep_nr_findings, LOCKDEP_FINDINGS);
	print_stat("found again:", lockdep_again, 0);
	if (lockdep_unsaid)
		print_stat("found, not printed:", lockdep_unsaid, 0);
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (lockdep_distinct[k])
			kprintf("  %-22s %8u\n",
				lockdep_kind_name((enum lockdep_kind)k),
				lockdep_distinct[k]);
}

void lockdep_print_classes(void)
{
	char name[NAME_SIZE];

	kprintf("%-36s %-5s %5s %5s\n", "class", "irqs", "out", "in");
	for (unsigned int i = 1; i < lockdep_nr_classes; i++) {
		uint32_t usage = lockdep_classes[i].usage;
		unsigned int out = 0, in = 0, e;

		if (!lockdep_classes[i].key)
			continue;
		for (e = lockdep_graph.out[i]; e;
		     e = lockdep_graph.edge[e].next_out)
			out++;
		for (e = lockdep_graph.in[i]; e;
		     e = lockdep_graph.edge[e].next_in)
			in++;
		kprintf("%-36s %c%c    %5u %5u\n", lockdep_class_name(i, name),
			lockdep_use_char(usage, USED_IN_HARDIRQ,
					 ENABLED_HARDIRQ),
			lockdep_use_char(usage, USED_IN_HARDIRQ_READ,
					 ENABLED_HARDIRQ_READ),
			out, in);
	}
}

void lockdep_print_graph(bool dot)
{
	char a[NAME_SIZE], b[NAME_SIZE];

	if (dot)
		kprintf("digraph lockdep {\n");
	for (unsigned int i = 1; i < lockdep_graph.edges; i++) {
		const struct dep_edge *e = &lockdep_graph.edge[i];
		/* The kind of the edge (lockdep_graph.h). For the usual kind,
		 * DEP_EN, nothing is printed. */
		const char *sort = e->dep == DEP_EN ? "" :
				   e->dep == DEP_SN ? ", SN" :
				   e->dep == DEP_ER ? ", ER" :
						      ", SR";
		uint32_t off = 0;
		const char *where = symbol_lookup(
			e->trace.n > 1 ? e->trace.pc[1] : 0, &off);

		if (!e->from)
			continue; /* removed */
		kprintf(dot ? "  \"%s\" -> \"%s\" [label=\"%s%s\"];\n" :
			      "%s -> %s (%s%s)\n",
			lockdep_class_name(e->from, a),
			lockdep_class_name(e->to, b), where ? where : "?",
			sort);
	}
	if (dot)
		kprintf("}\n");
}

#endif
