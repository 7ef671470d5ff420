/*
 * `step`: a person plays the scheduler.
 *
 *   step e2 up            asks at each point who takes the next step: a thread, or RCU
 *   step e2 up D:8 U:5    takes the first commands from the line, ':' for a blank
 *
 * The command is a director that asks (choose_by_asking()). A step cannot be
 * undone. So `back` ends the round, which restores the state, and plays the
 * schedule again without its last step. While the waits of the threads are read,
 * all threads stand still.
 *
 * Owns the_stepper, guarded by demo_mutex. In the runner's thread.
 */
#include "lab/explore/explore.h"

#include <string.h>
#include <strings.h>

#include "lab/command.h"
#include "lab/explore/why.h"
#include "lab/words.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

#if GORDIAN_DEBUG

#define PROMPT "step> "
#define LINE   512 /* characters of a command */

static struct stepper {
	struct director director;
	const struct demo *demo;
	const struct scenario *sc;
	struct form form;
	char **word; /* commands from the command line that are still to come */
	int words;
	char last[LINE]; /* the last command, for Enter */
	/* The schedule: n steps have been taken. After `back`, the first `keep`
	 * of these steps must go as they went before. */
	unsigned int n, keep;
	struct {
		uint8_t actor;
		uint16_t op; /* the gate that the step began at */
	} taken[SEARCH_STEPS];
	/* The last command: this actor takes so many more steps; or `auto`. */
	unsigned int actor, more;
	bool to_end;
	bool leaves;	  /* `quit`: let all go */
	bool again;	  /* `back`: play the round again */
	bool interrupted; /* by Ctrl-C */
	bool bad;	  /* a command from the command line was wrong */
} the_stepper;

/* ---- the schedule so far ------------------------------------------------- */

static const char *id_of(const struct stepper *s)
{
	return s->sc->part ? s->sc->part : s->demo->id;
}

/* Print "E2 up D:7 U:6". If there are more legs than `replay` has room for,
 * print the first legs and the number of the remaining steps. */
static void print_schedule(const struct stepper *s)
{
	static struct witness w; /* demo_mutex */

	memset(&w, 0, sizeof(w));
	w.form = s->form;
	for (unsigned int i = 0; i < s->n; i++) {
		uint8_t actor = s->taken[i].actor;

		if (!w.nr || w.leg[w.nr - 1].actor != actor) {
			if (w.nr == LEGS)
				break;
			w.leg[w.nr++].actor = actor;
		}
		w.leg[w.nr - 1].steps++;
		w.steps++;
	}
	kprintf("%s", id_of(s));
	print_witness(s->sc, &w);
	if (w.steps < s->n)
		kprintf(" and %u steps more", s->n - w.steps);
}

static void print_replay_line(const struct stepper *s)
{
	if (!s->n) {
		kprintf("no step has been taken yet\n");
		return;
	}
	kprintf("line: replay ");
	print_schedule(s);
	kprintf("\n");
}

/* ---- input --------------------------------------------------------------- */

static const char *const commands[] = { "why",	"back", "auto",
					"line", "quit", "help" };

/* The i-th word for the Tab key: the threads and RCU come first, then the commands. */
static const char *first_word(int arg, unsigned int i)
{
	const struct stage *st = &the_stage;

	if (arg)
		return NULL;
	if (i <= st->nr_actors)
		return mover_name(st->sc, i);
	i -= st->nr_actors + 1;
	return i < ARRAY_SIZE(commands) ? commands[i] : NULL;
}

static void print_help(void)
{
	kprintf("D or 1      thread D, or thread 1, takes one step; D 5: five "
		"steps (D:5, too)\n"
		"RCU         run the RCU callbacks that are due: those whose grace "
		"period is over\n"
		"(Enter)     repeat the last command\n"
		"why [D]     show what blocks D: the lock, its owner, the place "
		"where the owner\n"
		"            took it, and what blocks the owner. why alone: the "
		"same for each\n"
		"            blocked thread\n");
	kprintf("back        take the last step back (the schedule is played "
		"again)\n"
		"auto        go on to the end: the thread of the last step takes "
		"steps as long as\n"
		"            it can, then the first thread that can, and so on\n"
		"line        print the schedule so far, for replay\n"
		"quit        let all threads go, and leave\n"
		"A star marks the threads that can take a step.\n");
}

/* The next command, from the command line or from the user. NULL if there is
 * none. */
static char *next_command(struct stepper *s)
{
	char *line;

	if (s->words) {
		line = *s->word++;
		s->words--;
		for (char *p = line; *p; p++)
			if (*p == ':')
				*p = ' ';
		kprintf(PROMPT "%s\n", line);
		return line;
	}
	line = shell_ask(PROMPT, first_word);
	s->interrupted |= !line && !READ_ONCE(console_taken);
	return line;
}

static int find_mover(const struct stage *st, const char *word)
{
	unsigned int nr;
	int i = mover_by_name(st->sc, word, strlen(word));

	if (i >= 0)
		return i;
	return parse_uint(word, &nr) && nr && nr <= st->nr_actors + 1 ?
		       (int)nr - 1 :
		       -1;
}

static bool has_ended(const struct stage *st, unsigned int i)
{
	return i < st->nr_actors && worker_ended(&st->worker[i]);
}

static void name_threads(const struct stage *st)
{
	for (unsigned int i = 0; i <= st->nr_actors; i++)
		kprintf("%s%s", i ? ", " : "", mover_name(st->sc, i));
}

/* A command was wrong, and a message has been printed. Enter does not repeat it. If
 * the command came from the command line, note this. Returns false. */
static bool refuse_command(struct stepper *s, bool from_words)
{
	s->last[0] = 0;
	s->bad |= from_words;
	return false;
}

/* Carry out "D 5". If this cannot be done, print why, and return false. */
static bool order_steps(struct stepper *s, const struct stage *st, int actor,
			const char *count, unsigned int enabled)
{
	const char *name = mover_name(st->sc, (unsigned int)actor);
	char text[WHY_TEXT];
	unsigned int n = 1;

	if (count && (!parse_uint(count, &n) || !n || n > SEARCH_STEPS)) {
		kprintf("step: \"%s\" is not a number of steps from 1 to %u: %s 5\n",
			count, SEARCH_STEPS, name);
		return false;
	}
	if (!(enabled & 1u << actor)) {
		describe_actor(st, (unsigned int)actor, false, text);
		kprintf("step: %s cannot go on: %s%.*s\n", name,
			has_ended(st, (unsigned int)actor) ? "it has " : "it ",
			WHY_WIDTH - 40, text);
		return false;
	}
	s->actor = (unsigned int)actor;
	s->more = n;
	return true;
}

static void show_why(const struct stage *st, int actor, unsigned int enabled)
{
	unsigned int n = 0;

	if (actor == (int)st->nr_actors) {
		char text[WHY_TEXT];

		describe_actor(st, st->nr_actors, false, text);
		kprintf("  %s%s%s\n", mover_name(st->sc, st->nr_actors),
			enabled & 1u << actor ? " can take a step:\n    " : " ",
			text);
		return;
	}
	if (actor >= 0) {
		show_waits_of(st, (unsigned int)actor, enabled);
		return;
	}
	/* Show the waits of each blocked thread, until one of them has shown the
	 * cycle. */
	for (unsigned int i = 0; i < st->nr_actors; i++) {
		if (worker_ended(&st->worker[i]) || enabled & 1u << i)
			continue;
		n++;
		if (show_waits_of(st, i, enabled))
			break;
	}
	if (!n)
		kprintf("no thread is blocked\n");
}

/* Carry out the command. Returns true if the command decides how the round goes
 * on. */
static bool obey_command(struct stepper *s, const struct stage *st, char *line,
			 unsigned int enabled, bool from_words)
{
	char *word[3], *p = line;
	unsigned int n = 0;
	int actor, of = -1;

	/* Also "D:5", as in a line for `replay`. */
	while (n < ARRAY_SIZE(word) && *(p += strspn(p, " :"))) {
		word[n++] = p;
		p += strcspn(p, " :");
		if (*p)
			*p++ = 0;
	}
	if (!n) {
		kprintf("step: a thread (");
		name_threads(st);
		kprintf(") or a command (help lists them)\n");
		return refuse_command(s, from_words);
	}
	if (n > 2) {
		kprintf("step: one command at a time: %s 5, or why %s\n",
			st->sc->actors[0].name, st->sc->actors[0].name);
		return refuse_command(s, from_words);
	}
	actor = find_mover(st, word[0]);
	if (actor >= 0)
		return order_steps(s, st, actor, n > 1 ? word[1] : NULL,
				   enabled) ||
		       refuse_command(s, from_words);
	if (n > 1)
		of = find_mover(st, word[1]);
	if (n > 1 && !strcasecmp(word[0], "why") && of < 0) {
		kprintf("step: no thread \"%s\"; the threads are ", word[1]);
		name_threads(st);
		kprintf("\n");
		return refuse_command(s, from_words);
	}
	if (!strcasecmp(word[0], "why")) {
		show_why(st, of, enabled);
	} else if (n > 1) {
		kprintf("step: \"%s %s\": neither a thread and its steps nor "
			"why THREAD\n",
			word[0], word[1]);
		return refuse_command(s, from_words);
	} else if (!strcasecmp(word[0], "auto")) {
		s->to_end = enabled;
		if (enabled)
			return true;
		kprintf("step: no thread can go on: back, or quit\n");
		return refuse_command(s, from_words);
	} else if (!strcasecmp(word[0], "back")) {
		s->again = s->n;
		if (s->again)
			return true;
		kprintf("step: this is the beginning\n");
		return refuse_command(s, from_words);
	} else if (!strcasecmp(word[0], "line")) {
		print_replay_line(s);
	} else if (!strcasecmp(word[0], "quit")) {
		s->leaves = true;
		return true;
	} else if (!strcasecmp(word[0], "help")) {
		print_help();
	} else {
		kprintf("step: \"%s\" is neither a thread (", word[0]);
		name_threads(st);
		kprintf(") nor a command (help lists them)\n");
		return refuse_command(s, from_words);
	}
	return false;
}

/* Ask until a command decides how the round goes on. */
static void ask_until_decided(struct stepper *s, const struct stage *st,
			      unsigned int enabled)
{
	static char copy[LINE]; /* demo_mutex */
	bool decided = false;

	while (!decided) {
		bool from_words = s->words;
		char *line = next_command(s);

		if (!line) {
			s->leaves = true;
			return;
		}
		if (*line)
			ksnprintf(s->last, sizeof(s->last), "%s", line);
		strcpy(copy, s->last);
		decided = obey_command(s, st, copy, enabled, from_words);
	}
}

/* ---- the director -------------------------------------------------------- */

static struct stepper *stepper_of(struct director *d)
{
	return container_of(d, struct stepper, director);
}

/* on: print nothing, because the steps that run now have been shown already, or
 * because the round is given up. */
static void mute(struct stepper *s, bool on)
{
	s->director.quiet = on;
	WRITE_ONCE(console_hushed, on);
	lockdep_quiet(on);
}

static enum trace_op pending_op(unsigned int actor)
{
	enum trace_op op = TR_NONE;
	const void *obj;
	uintptr_t caller;

	explore_pending(actor, &op, &obj, &caller);
	return op;
}

/* Can the next of the kept steps be taken in the same way as before `back`? */
static bool can_repeat(const struct stepper *s, unsigned int enabled)
{
	unsigned int actor = s->taken[s->n].actor;

	return enabled & 1u << actor && pending_op(actor) == s->taken[s->n].op;
}

static void say_not_repeated(struct stepper *s, const struct stage *st)
{
	mute(s, false);
	kprintf("back: the schedule cannot be repeated: step %u of %u, by %s, "
		"differs\n",
		s->n + 1, s->keep, mover_name(st->sc, s->taken[s->n].actor));
	s->keep = s->n;
}

/* Note and print the step that the actor takes now. Returns the actor. */
static int take_step(struct stepper *s, const struct stage *st,
		     unsigned int actor)
{
	char text[WHY_TEXT];

	describe_actor(st, actor, true, text);
	kprintf("%4u. %s: %.*s\n", s->n + 1, mover_name(st->sc, actor),
		WHY_WIDTH - 8 - actor_width(st), text);
	s->taken[s->n].actor = (uint8_t)actor;
	s->taken[s->n++].op = (uint16_t)pending_op(actor);
	return (int)actor;
}

static int choose_by_asking(struct director *d, struct stage *st,
			    unsigned int enabled, unsigned int *gates)
{
	struct stepper *s = stepper_of(d);
	unsigned int actor;

	(void)gates;
	if (s->n < s->keep) {
		if (can_repeat(s, enabled))
			return s->taken[s->n++].actor;
		say_not_repeated(s, st);
	}
	if (d->quiet)
		mute(s, false);
	s->interrupted |= thread_interrupted();
	if (s->n == SEARCH_STEPS)
		kprintf("step: there is no room for more than %u steps\n",
			s->n);
	if (s->interrupted || s->n == SEARCH_STEPS) {
		s->leaves = true;
		return -1;
	}
	if (s->more && !(enabled & 1u << s->actor)) {
		kprintf("%s %s: %u steps fewer than asked for\n",
			mover_name(st->sc, s->actor),
			has_ended(st, s->actor) ? "has ended" : "cannot go on",
			s->more);
		s->more = 0;
	}
	if (!s->more && !s->to_end) {
		show_threads(st, enabled);
		ask_until_decided(s, st, enabled);
	}
	if (s->leaves || s->again)
		return -1;
	if (s->more) {
		s->more--;
		return take_step(s, st, s->actor);
	}
	actor = s->n ? s->taken[s->n - 1].actor : 0;
	if (!(enabled & 1u << actor))
		actor = (unsigned int)__builtin_ctz(enabled);
	return take_step(s, st, actor);
}

/* No actor can take a step: show how the round ends, and ask for a command. `back`
 * is still possible. */
static void show_end_and_ask(struct stepper *s, const struct stage *st,
			     unsigned int left)
{
	if (s->n < s->keep)
		say_not_repeated(s, st);
	if (s->director.quiet)
		mute(s, false);
	s->to_end = false;
	s->more = 0;
	show_threads(st, 0);
	if (left)
		show_standstill(st);
	else
		kprintf("all have ended\n");
	print_replay_line(s);
	ask_until_decided(s, st, 0);
}

static void ask_at_the_end(struct director *d, struct stage *st,
			   unsigned int left)
{
	struct stepper *s = stepper_of(d);
	bool in_the_middle;

	s->leaves |= d->broken;
	in_the_middle = s->leaves;
	if (!s->leaves && !s->again)
		show_end_and_ask(s, st, left);
	d->hide = in_the_middle || s->again;
	if (s->again) {
		kprintf("back: the round is played again up to step %u\n",
			s->n - 1);
		mute(s, true);
	} else if (in_the_middle) {
		kprintf("the threads are let go\n");
	}
	/* `quit` at the end does not change how the schedule ends. */
	s->leaves = in_the_middle;
}

/* ---- the command --------------------------------------------------------- */

/* Play the round, and again after each `back`. Returns the command's status. */
static int play_steps(struct stepper *s)
{
	struct played p = { .out = OUT_COMPLETES };
	int err = stage_open(s->demo, s->sc, false);

	the_stage.brief = true;
	lockdep_brief(true);
	do {
		s->keep = s->again ? s->n - 1 : 0;
		s->n = s->more = 0;
		s->again = s->leaves = s->to_end = false;
		s->director =
			(struct director){ .choose = choose_by_asking,
					   .after_last_step = ask_at_the_end,
					   .quiet = s->keep };
		if (!err)
			err = play_directed(&the_stage, &s->director, s->form,
					    true, &p);
	} while (!err && s->again && p.clean);
	lockdep_brief(false);
	stage_close(&the_stage);
	lockdep_mark();
	if (err) {
		kprintf("step: cannot go on, error %d\n", -err);
		return 1;
	}
	kprintf("step: ");
	print_schedule(s);
	kprintf("%s outcome=%s %s\n", s->leaves ? " let go" : "",
		outcome_name(p.out), p.clean ? "ok" : "FAIL");
	if (s->interrupted)
		return report_interrupt();
	return p.clean && !s->bad ? 0 : 1;
}

/* Parse "up" or "down". Without such a word the first form is taken. */
static bool parse_form(struct stepper *s, int *argc, char ***argv)
{
	struct form form[FORMS_MAX];
	unsigned int forms = forms_of(s->sc, form);
	const char *word = *argc ? **argv : "";

	s->form = form[0];
	if (strcasecmp(word, "up") != 0 && strcasecmp(word, "down") != 0)
		return true;
	for (unsigned int f = 0; f < forms; f++)
		if (!strcasecmp(word, form[f].name)) {
			s->form = form[f];
			(*argv)++;
			(*argc)--;
			return true;
		}
	kprintf("step: %s\n",
		*form[0].name ? "here U only takes a core down" :
				"no core goes off or on here: leave out up "
				"and down");
	return false;
}

static int step_cmd(int argc, char **argv)
{
	struct stepper *s = &the_stepper;
	const struct demo *d;
	const struct scenario *sc;
	int status = 1;

	sc = find_searched("step", argc > 1 ? argv[1] : NULL, &d);
	if (!sc || !stage_claim("step"))
		return 1;
	memset(s, 0, sizeof(*s));
	s->demo = d;
	s->sc = sc;
	argc -= 2;
	argv += 2;
	if (parse_form(s, &argc, &argv)) {
		s->word = argv;
		s->words = argc;
		if (s->words || !READ_ONCE(console_taken))
			status = play_steps(s);
		else
			kprintf("step: needs a person at the console, or commands "
				"on the line (%s:5 why auto)\n",
				sc->actors[0].name);
	}
	stage_release();
	return status;
}
#else
static int step_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	kprintf("step: needs the debug profile\n");
	return 1;
}
#endif

static const char *step_complete(int arg, unsigned int i)
{
	static const char *const forms[] = { "up", "down" };

	if (arg == 1)
		return complete_demo(i);
	return arg == 2 && i < ARRAY_SIZE(forms) ? forms[i] : NULL;
}

SHELL_COMMAND(
	step, .name = "step", .usage = "step ID|ID/PART [up|down] [COMMAND...]",
	.help = "choose each step of an experiment yourself",
	.words =
		"  up, down  does U take the core up or down? (if there is a U)\n"
		"  COMMAND   a command of step, to run first; D:8 means: D takes 8 steps\n"
		"  At the prompt step>, help lists the commands of step.\n",
	.example = "step e2", .page = "docs/explorer.md", .fn = step_cmd,
	.complete = step_complete);
