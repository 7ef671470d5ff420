/*
 * What the explorer adds to a recorded stream: who takes steps, where each mover stands
 * at each point of choice, what it waits for, and which step is taken there. A mover is an
 * actor, a declared interrupt, or RCU, whose number is nr_actors.
 *
 * The words and the chains of waits are those of the command `step` (explore/why.c).
 *
 * Owns the walk that is written, guarded by demo_mutex. In the runner's thread, while all
 * threads of the_stage stand still; record_line() may sleep. Debug profile only.
 */
#include "lab/record.h"

#include "lab/explore/why.h"
#include "lab/words.h"
#include "kernel/arch/clock.h"
#include "kernel/explore/gates.h"
#include "kernel/lib/printf.h"

#if GORDIAN_DEBUG

void record_movers(const struct stage *st)
{
	char word[64];

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		int of = interrupted_actor(st, i);
		const struct worker *w = &st->worker[of < 0 ? (int)i : of];

		record_line("mover round=%u n=%u thread=%u core=%u name=%s",
			    record_round(), i, w->id, w->cpu,
			    record_word(word, sizeof(word),
					mover_name(st->sc, i)));
	}
	record_line("mover round=%u n=%u thread=0 core=- name=%s",
		    record_round(), st->nr_actors,
		    mover_name(st->sc, st->nr_actors));
}

/* Where mover i stands. */
static void record_place(const struct stage *st, unsigned int steps,
			 unsigned int i, bool able)
{
	char text[WHY_TEXT], words[160], on[64];
	enum trace_op op;
	const void *obj;
	uintptr_t caller;
	bool gate = explore_pending(i, &op, &obj, &caller);
	const char *name = gate ? gate_object_name(op, obj) : NULL;

	describe_actor(st, i, able, text);
	record_line("at round=%u step=%u mover=%u able=%d op=%s obj=%x on=%s "
		    "caller=%x words=%s",
		    record_round(), steps, i, able,
		    gate ? record_op_name(op) : "-",
		    gate ? (unsigned int)(uintptr_t)obj : 0,
		    record_word(on, sizeof(on), name ?: "-"),
		    gate ? (unsigned int)caller : 0,
		    record_word(words, sizeof(words), text));
}

/* Write one wait of a walk. who: "mover=1", or the thread if it is no mover. */
static void record_link(unsigned int steps, const struct waitfor *w,
			unsigned int link, const char *who)
{
	const struct waitfor_link *l = &w->link[link];
	const struct waitfor_link *to = waitfor_owner(w, link);
	char on[64], kind[64], words[64];

	record_word(on, sizeof(on), l->waiting.name ?: "?");
	record_word(words, sizeof(words), to ? waitfor_relation(w, link) : "-");
	record_line("waits round=%u step=%u %s obj=%x on=%s kind=%s to=%u "
		    "words=%s caller=%x cycle=%d",
		    record_round(), steps, who, (unsigned int)l->waiting.obj,
		    on, record_word(kind, sizeof(kind), l->waiting.ops->name),
		    to ? to->id : 0, words, (unsigned int)l->waiting.caller,
		    w->cycle && link >= w->first);
}

/* Returns whether the thread is an actor's. */
static bool is_actors(const struct stage *st, uint32_t id)
{
	for (unsigned int i = 0; i < st->nr_actors; i++)
		if (st->worker[i].id == id)
			return true;
	return false;
}

/* Write the waits of the walk's threads that are no actors', each once. seen: those that
 * are written; *n of them. */
static void record_others(const struct stage *st, unsigned int steps,
			  const struct waitfor *w, uint32_t *seen,
			  unsigned int *n)
{
	char name[64], who[96];

	for (unsigned int k = 1; k < w->n; k++) {
		const struct waitfor_link *l = &w->link[k];
		unsigned int i = 0;

		while (i < *n && seen[i] != l->id)
			i++;
		if (i < *n || *n == WAITFOR_SEEN || !l->waiting.ops ||
		    is_actors(st, l->id))
			continue;
		seen[(*n)++] = l->id;
		ksnprintf(who, sizeof(who), "mover=- thread=%u name=%s", l->id,
			  record_word(name, sizeof(name), l->name));
		record_link(steps, w, k, who);
	}
}

/* Write what each mover waits for that cannot go on, and what the threads wait for that
 * it waits for. */
static void record_waits(const struct stage *st, unsigned int steps,
			 unsigned int enabled)
{
	static struct waitfor w; /* demo_mutex */
	uint32_t seen[WAITFOR_SEEN];
	unsigned int n = 0;
	char who[16];

	for (unsigned int i = 0; i < st->nr_actors; i++) {
		const struct worker *worker = &st->worker[i];

		if (enabled & 1u << i || worker->actor->interrupts ||
		    worker_ended(worker))
			continue;
		waits_of_actor(st, i, &w);
		if (!w.link[0].waiting.ops)
			continue;
		ksnprintf(who, sizeof(who), "mover=%u", i);
		record_link(steps, &w, 0, who);
		record_others(st, steps, &w, seen, &n);
	}
}

void record_point(const struct stage *st, unsigned int steps,
		  unsigned int enabled, const uint64_t *node, bool told)
{
	char name[17] = "-";

	record_catch_up();
	if (node)
		ksnprintf(name, sizeof(name), "%016llx",
			  (unsigned long long)*node);
	record_line("point %llx round=%u step=%u node=%s enabled=%u",
		    (unsigned long long)timer_now(), record_round(), steps,
		    name, enabled);
	if (told)
		return;
	for (unsigned int i = 0; i <= st->nr_actors; i++)
		record_place(st, steps, i, enabled & 1u << i);
	record_waits(st, steps, enabled);
}

void record_step(unsigned int step, unsigned int mover)
{
	record_line("step %llx round=%u step=%u mover=%u",
		    (unsigned long long)timer_now(), record_round(), step,
		    mover);
}
#endif
