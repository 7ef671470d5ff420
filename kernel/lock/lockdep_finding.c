/*
 * Lockdep's findings: which ones are new, and how many there are.
 *
 * Two findings are the same if their kind and their key are equal. A key has
 * three words. The words are compared in full, so two different findings are
 * not taken for one. (For a cycle, the words are a hash of 64 bits.) The keys,
 * by kind:
 *
 *	circular         the cycle: a sum over its edges, in their direction
 *	recursive        class, site of the held lock, site of the new one
 *	irq-order,
 *	irq-inversion    the safe class, the unsafe class, the rule
 *	inconsistent     class, rule
 *	unbalanced       class, site of the release
 *	held-at-end      class, site where it was taken, what ends
 *	held-freed       class, site of the free
 *	sleep, rcu-usage,
 *	not-held         the words, the site
 *	nest             class, site
 *	left-behind      what is left (a reader: where it began), what ends,
 *			 its function
 *
 * The key of a cycle, or of a pair of classes, contains no sites. Each edge and
 * each use keeps the stack of the thread that made it first, and the report
 * prints these stacks.
 *
 * lockdep_graph_lock guards the keys and the counts. Context: any but FIQ. Built
 * without sanitizers.
 */
#include <string.h>

#include "kernel/debug/panic.h"
#include "kernel/lock/lockdep.h"
#include "kernel/lock/lockdep_internal.h"
#include "kernel/lock/spinlock.h"

#if GORDIAN_DEBUG

struct key {
	uint32_t kind, a, b, c;
};

unsigned int lockdep_nr_findings, lockdep_again, lockdep_unsaid;
unsigned int lockdep_distinct[NR_LOCKDEP_KINDS];
static struct key keys[LOCKDEP_FINDINGS];
static unsigned int unsaid[NR_LOCKDEP_KINDS]; /* found when keys[] was full */
static unsigned int marked[NR_LOCKDEP_KINDS]; /* at the last lockdep_mark() */

static uint64_t named_path(const struct dep_path *path)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < path->n; i++) {
		const struct dep_edge *e = &lockdep_graph.edge[path->edge[i]];

		sum += lockdep_mix(lockdep_mix(0, lockdep_serial(e->from)),
				   lockdep_serial(e->to));
	}
	return sum;
}

uint64_t lockdep_named(const struct finding *f)
{
	uint64_t sum = named_path(&f->path) + named_path(&f->forward);

	sum += lockdep_serial(f->next.class) + lockdep_serial(f->prev.class);
	sum += lockdep_serial(f->safe) + lockdep_serial(f->unsafe);
	for (unsigned int i = 0; i < f->nr_held; i++)
		sum += lockdep_serial(f->held[i].class);
	return sum;
}

bool lockdep_note(struct finding *f, uint32_t a, uint32_t b, uint32_t c)
{
	const struct key key = { f->kind, a, b, c };

	f->epoch = lockdep_resets;
	f->removals = lockdep_removals;
	for (unsigned int i = 0; i < lockdep_nr_findings; i++) {
		if (memcmp(&keys[i], &key, sizeof(key)) == 0) {
			lockdep_again++;
			return false;
		}
	}
	if (lockdep_nr_findings == LOCKDEP_FINDINGS) {
		lockdep_unsaid++;
		unsaid[f->kind]++;
		return false; /* lockdep_report() has said that the table is
			       * full */
	}
	f->named = lockdep_named(f);
	keys[lockdep_nr_findings++] = key;
	lockdep_distinct[f->kind]++;
	return true;
}

void lockdep_found(struct finding *f, uint32_t a, uint32_t b, uint32_t c)
{
	bool first;

	arch_spin_lock(&lockdep_graph_lock);
	first = lockdep_note(f, a, b, c);
	arch_spin_unlock(&lockdep_graph_lock);
	if (first)
		lockdep_report(f);
}

void lockdep_count_again(unsigned int n)
{
	arch_spin_lock(&lockdep_graph_lock);
	lockdep_again += n;
	arch_spin_unlock(&lockdep_graph_lock);
}

uint32_t lockdep_serial(unsigned int class)
{
	return lockdep_classes[class].serial;
}

/* ---- what a finding has --------------------------------------------------- */

void lockdep_trace_from(struct dep_trace *t, const void *frame)
{
	uintptr_t pc[DEP_FRAMES + 1];
	unsigned int n = backtrace_frame(frame, pc, DEP_FRAMES + 1);

	t->cut = n > DEP_FRAMES ||
		 ((const uint32_t *)frame)[-1] == LOCKDEP_NO_OLDER_FRAME;
	t->n = (uint16_t)min(n, (unsigned int)DEP_FRAMES);
	memcpy(t->pc, pc, t->n * sizeof(pc[0]));
}

struct held_copy lockdep_copy(const struct held_lock *h)
{
	return (struct held_copy){ h->map, h->site,  h->class,
				   h->how, h->waits, h->more };
}

void lockdep_fill(struct finding *f, enum lockdep_kind kind, const void *frame)
{
	const struct thread *t = current;

	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->thread = t->id;
	f->core = smp_processor_id();
	memcpy(f->comm, t->name, sizeof(f->comm));
	f->preempt_count = t->preempt_count;
	f->in_irq = t->irq_depth != 0;
	f->is_idle = t->is_idle;
	f->reader = t->lockdep.readers ? t->lockdep.reader_site : 0;
	f->nr_held = t->lockdep.depth;
	for (unsigned int i = 0; i < f->nr_held; i++)
		f->held[i] = lockdep_copy(&t->lockdep.held[i]);
	lockdep_trace_from(&f->trace, frame);
}

/* ---- counts --------------------------------------------------------------- */

static unsigned int found(unsigned int kind)
{
	return READ_ONCE(lockdep_distinct[kind]) + READ_ONCE(unsaid[kind]);
}

unsigned int lockdep_count(enum lockdep_kind kind)
{
	return READ_ONCE(lockdep_distinct[kind]);
}

unsigned int lockdep_total(void)
{
	return READ_ONCE(lockdep_nr_findings);
}

unsigned int lockdep_seen(void)
{
	unsigned int seen = 0;

	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (found(k))
			seen |= LOCKDEP_BIT(k);
	return seen;
}

void lockdep_mark(void)
{
	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		marked[k] = found(k);
}

unsigned int lockdep_since_mark(void)
{
	unsigned int since = 0;

	for (unsigned int k = 0; k < NR_LOCKDEP_KINDS; k++)
		if (found(k) > marked[k])
			since |= LOCKDEP_BIT(k);
	return since;
}

void lockdep_forget_findings(void)
{
	memset(lockdep_distinct, 0, sizeof(lockdep_distinct));
	memset(unsaid, 0, sizeof(unsaid));
	memset(marked, 0, sizeof(marked));
	lockdep_nr_findings = lockdep_again = lockdep_unsaid = 0;
}
#endif
