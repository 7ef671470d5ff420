/*
 * Cutting a knot, so that every function runs to its end and the next round
 * starts from the same state (docs/design.md, "lending").
 *
 *   deadlock  A lock of the cycle is lent to the thread that waits for it. The
 *             struct wait_ops of the wait says how. If no lock can be lent, the
 *             scenario's own `.cut.rescue` is called.
 *   stuck     The first of these that helps: release a mutex that an actor has
 *             kept; let the writer past a reference count that will not come to
 *             0; let an actor past a rw-semaphore; the scenario's own
 *             `.cut.rescue`; let an actor past its explore_await(). If none
 *             helps, a line says so.
 *   bug       Release the locks of a thread that a BUG has ended. The same is done
 *             for an actor that ended with a lock held; that is a failure of the
 *             experiment.
 *
 * Owns no data. In the runner's thread, while the actors stand still.
 */
#include "lab/stage.h"
#include "kernel/debug/panic.h"
#include "kernel/explore/gates.h"
#include "kernel/lib/printf.h"
#include "kernel/sync/rwsem.h"
#include "kernel/rcu/rcu.h"
#include "kernel/shell/shell.h"

#define RESCUES_MAX 8 /* calls of `.cut.rescue` in one cut, at most */

/* Release the mutex if t holds it. Returns whether t held it. */
static bool release_if_held_by(struct mutex *m, struct thread *t)
{
	if (mutex_owner(m) != t)
		return false;
	if (!the_stage.brief)
		kprintf("cut: %s is released for %s, which %s with it\n",
			m->name, t->name, t->bug ? "died" : "ended");
	mutex_release_dead(m, t);
	return true;
}

/* Release those of the kernel's mutexes that t holds. (Every experiment may take
 * these mutexes.) Returns the number of mutexes that t held. */
static unsigned int release_kernel_mutexes(struct thread *t)
{
	struct mutex *const locks[] = { &slab_mutex, &cpu_hotplug.lock,
					&cpu_add_remove_lock,
					&rcu_sched_state.barrier_mutex };
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(locks); i++)
		n += release_if_held_by(locks[i], t);
	return n;
}

/* The listener has noted the mutexes that the actors took in this round. Release
 * those of them that t holds. (Search the lists of all actors: a mutex that the
 * cut has lent is in the list of the actor that took it first.) Returns the
 * number of mutexes that t held. */
static unsigned int release_mutexes_of_round(const struct stage *st,
					     struct thread *t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < st->nr_actors; i++)
		for (unsigned int k = 0; k < st->worker[i].nr_held; k++)
			n += release_if_held_by(st->worker[i].held[k], t);
	return n;
}

unsigned int release_ended(struct stage *st)
{
	unsigned int n = st->l ? release_kernel_mutexes(st->l) : 0;

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		struct thread *t = st->worker[i].thread;
		unsigned int k = 0;

		if (worker_ended(&st->worker[i]))
			k = release_kernel_mutexes(t) +
			    release_mutexes_of_round(st, t);
		if (k && !t->bug)
			st->left_held = true;
		n += k;
	}
	return n;
}

/* May the lock of this wait be lent? A scenario can name the lock that is to be lent,
 * and locks that must never be lent. */
static bool may_lend(const struct stage *st, const struct waiting *w)
{
	return (!st->sc->cut.lend || w->obj == st->sc->cut.lend) &&
	       !(st->sc->cut.keeps && st->sc->cut.keeps(w->obj));
}

/* Lend one lock of the cycle, whose threads stand still. If several locks can
 * be lent, choose a lock of the kind with the lowest rank. If several locks are
 * of this kind, choose the last one in the cycle. Returns whether a lock was
 * lent. */
static bool cut_cycle(const struct stage *st, bool quietly)
{
	const struct waitfor *w = &st->waits;

	for (unsigned int rank = 0; rank < LEND_RANKS; rank++) {
		for (unsigned int i = w->n; i-- > w->first;) {
			const struct waitfor_link *l = &w->link[i];
			const struct wait_ops *ops = l->waiting.ops;

			if (!ops->lend || ops->lend_rank != rank ||
			    !may_lend(st, &l->waiting) ||
			    ops->lend((void *)l->waiting.obj, l->thread))
				continue;
			if (quietly)
				return true;
			kprintf("cut: ");
			kprintf(ops->lent, waitfor_owner(w, i)->name,
				l->waiting.name, l->name, l->name);
			kprintf("\n");
			return true;
		}
	}
	return false;
}

/* If an actor waits for the reference count, let this actor pass. Returns
 * whether there was such an actor. */
static bool pass_refcount(struct stage *st, bool quietly)
{
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *w = &st->worker[i];
		int found;

		if (worker_ended(w) ||
		    READ_ONCE(w->thread->waiting.ops) != &refcount_wait)
			continue;
		st->passed = READ_ONCE(cpu_hotplug.refcount);
		found = cpu_hotplug_rescue();
		if (!quietly)
			kprintf("cut: refcount was %d, set to 0; %s passes\n",
				found, w->actor->name);
		return true;
	}
	return false;
}

/* Let an actor past a semaphore. Either the wait is part of a cycle that
 * release builds do not see, or a thread that has ended holds the semaphore.
 * Actors that spin (`busy`) are skipped: spin_lock_rescue() lets in the thread
 * that is next in line, and this may be a thread other than the actor. */
static bool pass_semaphore(const struct stage *st, bool quietly)
{
	for (unsigned int rank = 1; rank < LEND_RANKS; rank++) {
		for (unsigned int i = 0; i < st->nr_actors; i++) {
			struct thread *t = st->worker[i].thread;
			struct waiting w = waits_for(t);

			if (worker_ended(&st->worker[i]) || !w.ops ||
			    !w.ops->lend || w.ops->busy ||
			    w.ops->lend_rank != rank || !may_lend(st, &w) ||
			    w.ops->lend((void *)w.obj, t))
				continue;
			if (!quietly)
				kprintf("cut: %s is let past %s\n", t->name,
					w.name);
			return true;
		}
	}
	return false;
}

/* Let an actor past its explore_await(), although the condition is false. */
static bool pass_condition(bool quietly)
{
	if (!explore_release_waiting(true))
		return false;
	if (!quietly)
		kprintf("cut: a thread that waits for a condition "
			"(explore_await()) passes\n");
	return true;
}

/* Call the scenario's own `.cut.rescue`, and return whether it has helped. In one cut it
 * is called at most RESCUES_MAX times, in case it returns true without having helped. */
static bool call_rescue(struct stage *st, bool quietly, unsigned int *times)
{
	return st->sc->cut.rescue && (*times)++ < RESCUES_MAX &&
	       st->sc->cut.rescue(st, quietly);
}

/* The scenario has no way to cut the knot. Wait in case the actors end by
 * themselves. (The user can give up the command with Ctrl-C. In a batch run nobody
 * can press Ctrl-C, so a batch run panics here.) */
static void wait_for_the_end(struct stage *st, enum outcome out)
{
	hush(false);
	if (out == OUT_DEADLOCK)
		waitfor_report(&st->waits);
	kprintf("this knot cannot be cut: the scenario needs a .cut.rescue\n");
	if (console_taken)
		panic("this knot cannot be cut");
	say_threads_end_alone();
	wait_event(&st->finished, all_done(st));
}

void cut_and_finish(struct stage *st, enum outcome out, bool quietly)
{
	unsigned int rescues = 0;

	WRITE_ONCE(st->script_open, true);
	while (!all_done(st)) {
		if (out == OUT_DEADLOCK) {
			if (!cut_cycle(st, quietly) &&
			    !call_rescue(st, quietly, &rescues))
				wait_for_the_end(st, out);
		} else if (!release_ended(st) && !pass_refcount(st, quietly) &&
			   !pass_semaphore(st, quietly) &&
			   !call_rescue(st, quietly, &rescues) &&
			   !pass_condition(quietly)) {
			wait_for_the_end(st, out);
		}
		out = watch_round(st, warn_count);
	}
	release_ended(st);
	if (st->l) {
		thread_put(st->l);
		st->l = NULL;
	}
}
