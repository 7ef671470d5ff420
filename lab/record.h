/*
 * The recorder: it follows the event stream and writes it to a file of the host, or
 * to the serial line.
 *
 * What it is for. tools/trace makes traces for Perfetto, graphs and pictures of what it
 * writes; a page can follow it live. docs/trace.md has the format.
 *
 * The client's duties.
 * (1) For each round, call record_round_begin() before the actors start,
 *     record_standstill() when each of them stands still or has ended, and
 *     record_round_end() when the outcome is known. All in the runner's thread, where it
 *     may sleep.
 * (2) Call record_run_on() when the runner moves to other cores.
 * (3) Call record_movers(), record_point() and record_step() in an explored round only
 *     in the runner's thread, while all actors stand still.
 *
 * Consequences. (a) For each core, events read + events lost = events written, and events
 * in the stream + events left out = events read. All counts are in the stream. (b) The recorder leaves out its own
 * events. Otherwise each time that it writes there would be something new to write. (c)
 * Lockdep does not see its lock, so its work adds nothing to lockdep's graph.
 *
 * The mechanism: record.c (thread, lines, file and frames), record_round.c (what the
 * runner adds), record_steps.c (what the explorer adds), record_live.c (states instead of
 * events), record_ops.c (the names of the operations), record_cmd.c.
 */
#pragma once

#include "lab/experiment.h"

#define RECORD_LINE 384 /* longest line, with its NUL */

/* ---- record.c ---------------------------------------------------------------- */

struct record_counts {
	uint64_t read, lost, left_out; /* left_out: of those that were read */
};

/* What is recorded: all events; only those that a trace of an experiment wants; or states
 * instead of events. */
enum record_what { RECORD_ALL, RECORD_ACTORS, RECORD_LIVE };

/* Begin. file: a file of the host, of host_files->create(); -1: the serial line.
 * Returns 0 or -ENOMEM. record_end(): write the rest, and the counts; close the file. Returns
 * false if not all of it could be written. Both sleep; record_mutex held. */
int record_begin(int file, enum record_what what);
bool record_end(void);
/* Of all cores together, since record_begin(). Racy while it records. */
struct record_counts record_counted(void);
/* Are, or were, states recorded? Any context. */
bool record_is_live(void);
/* Does it record? Any context. */
bool record_is_on(void);
/* Add a line to the stream: words with single blanks between them. Waits for room; but if
 * states are recorded, it drops the line instead. In threads. */
void record_line(const char *fmt, ...) printf_like(1, 2);
/* Wait until the recorder has read nearly all events. So nothing is lost between two
 * points, however busy the host is. Not if states are recorded. In threads. */
void record_catch_up(void);
/* A word of a line: each blank and each other character with a meaning is written as
 * %XX. Returns out. */
const char *record_word(char *out, size_t size, const char *text);
/* The recorder uses these cores from now on. In threads. */
void record_run_on(struct cpumask cores);

/* ---- record_round.c ---------------------------------------------------------- */

void record_round_begin(const struct stage *st);
/* out: the outcome, if no check finds damage. The round's time ends here. */
void record_standstill(struct stage *st, enum outcome out);
void record_round_end(enum outcome out);
/* The number of the round that is recorded. */
unsigned int record_round(void);

/* ---- record_steps.c (debug profile) ------------------------------------------ */

/* Once a round: who takes steps. */
void record_movers(const struct stage *st);
/* A point of choice, after so many steps. enabled: the movers that can go on, a bit each.
 * node: the name of the state, or NULL. told: where the movers stand in this state is in
 * the stream already. */
void record_point(const struct stage *st, unsigned int steps,
		  unsigned int enabled, const uint64_t *node, bool told);
/* The mover takes step number `step`, from 1. */
void record_step(unsigned int step, unsigned int mover);

/* ---- record_live.c ----------------------------------------------------------- */

#define LIVE_SIZE 8192 /* the lines of a state */

/* The recorder begins; it has not looked yet. */
void live_begin(void);
/* Look at the machine, and call put() with the lines of a state if there is something to
 * tell. Returns the time until the next look. In the recorder's thread. */
uint64_t live_look(void (*put)(const char *lines, size_t size));
/* States written since live_begin(). Any context. */
unsigned int live_states(void);
/* A round begins, its outcome is known, it is over: the knot is cut, too. The texts stay
 * as they are until then. In threads. */
void live_round_begin(const char *id, const char *part, const char *kind,
		      const char *dir, unsigned int core);
void live_round_outcome(const char *outcome);
void live_round_over(void);

/* ---- record_ops.c ------------------------------------------------------------ */

/* The name of an operation, "LOCK". Any context. */
const char *record_op_name(unsigned int op);
/* The line that explains the events of an operation. Returns false if there is no such
 * operation. */
bool record_op_line(unsigned int op, char *line, size_t size);
