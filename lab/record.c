/*
 * The recorder's thread, the lines that it writes, and the two ways out: a file of
 * the host, and frames on the serial line.
 *
 * `rec` belongs to the thread while it runs, and to the holder of record_mutex
 * (record_cmd.c) before and after. notes_lock (a spinlock) guards the lines that other
 * threads add. `on`, `stop`, `what` and `wanted` are atomic.
 *
 * A frame is an escape string that terminals ignore (docs/trace.md says which):
 *
 *	ESC ] 2012 ; NUMBER ; LENGTH ; CRC ; LINE | LINE ... ESC \
 *
 * NUMBER counts frames, LENGTH is that of the lines, CRC is the CRC-32 of the text
 * "NUMBER;LENGTH;" and the lines.
 * The console's lock keeps other output out of a frame. A line has printable characters
 * only, and no '|'.
 */
#include "lab/record.h"

#include <stdarg.h>
#include <string.h>

#include "lab/words.h"
#include "boot/boot.h"
#include "kernel/arch/board.h"
#include "kernel/arch/clock.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/printf.h"
#include "kernel/rcu/rcu.h"
#include "kernel/slab/slab.h"

#define LOOK_NS	    1000000ull	/* between two looks at the rings */
#define LIVE_NAP_NS 10000000ull /* the same, if states are recorded */
#define BATCH	    64u		/* events that are copied at once */
#define AT_ONCE	    4096u	/* of one core, before the next core's turn */
#define FILE_SIZE   16384u	/* bytes that are written at once */
#define FRAME_SIZE  400u /* bytes of lines in a frame; terminals take 768 */
#define NOTES_SIZE  16384u
#define LAG	    256u /* events of a core that may be unread at a point */

static struct recorder {
	struct thread *thread;
	int file; /* -1: the serial line */
	bool failed;
	uint32_t frames;
	struct record_counts core[NR_CPUS];
	uint32_t begin[NR_CPUS]; /* trace_taken() at the begin */
	uint64_t counts[5];	 /* the counters at the last look */
	size_t used;		 /* of out[] */
} rec;
static char out[FILE_SIZE];   /* of rec */
static bool on, stop;	      /* atomic */
static enum record_what what; /* as the last record_begin() said. Atomic. */
/* Where the thread shall run. Atomic. */
static struct cpumask wanted = { .bits = ~0u };

/* Lockdep does not check it. */
static struct spinlock notes_lock =
	SPINLOCK_INIT_KEY("record.notes_lock", lockdep_no_validate);
static char notes[NOTES_SIZE];
static size_t notes_used;

/* ---- bytes ------------------------------------------------------------------- */

static uint32_t crc32(uint32_t crc, const void *data, size_t size)
{
	/* The polynomial 0xedb88320, for 4 bits. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;

	crc = ~crc;
	while (size--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static void send_frame(void)
{
	static const char begin[] = "\033]2012;", end[] = { '\033', '\\' };
	char frame[FRAME_SIZE + RECORD_LINE + 48];
	size_t head = sizeof(begin) - 1;
	size_t n = (size_t)ksnprintf(frame, sizeof(frame), "%s%u;%zu;", begin,
				     rec.frames++, rec.used);
	uint32_t crc = crc32(crc32(0, frame + head, n - head), out, rec.used);

	n += (size_t)ksnprintf(frame + n, sizeof(frame) - n, "%08x;", crc);
	memcpy(frame + n, out, rec.used);
	memcpy(frame + n + rec.used, end, sizeof(end));
	console_write(frame, n + rec.used + sizeof(end));
}

static void flush(void)
{
	if (!rec.used)
		return;
	if (rec.file < 0)
		send_frame();
	else if (!host_files->write(rec.file, out, rec.used))
		rec.failed = true;
	rec.used = 0;
}

/* Write these lines. Each of them ends with '\n'. */
static void put_lines(const char *lines, size_t size)
{
	while (size) {
		const char *end = memchr(lines, '\n', size);
		size_t n = (size_t)(end - lines);
		size_t room = rec.file < 0 ? FRAME_SIZE : FILE_SIZE;

		if (rec.used + n + 1 > room)
			flush();
		if (rec.used && rec.file < 0)
			out[rec.used++] = '|';
		memcpy(out + rec.used, lines, n);
		rec.used += n;
		if (rec.file >= 0)
			out[rec.used++] = '\n';
		lines = end + 1;
		size -= n + 1;
	}
}

/* ---- lines ------------------------------------------------------------------- */

static bool needs_escape(char c)
{
	return c <= ' ' || c > '~' || c == '%' || c == '|' || c == '\\';
}

const char *record_word(char *out, size_t size, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	char *p = out;

	for (; *text && p + 4 <= out + size; text++) {
		if (!needs_escape(*text)) {
			*p++ = *text;
			continue;
		}
		*p++ = '%';
		*p++ = digits[(uint8_t)*text >> 4];
		*p++ = digits[*text & 15];
	}
	*p = 0;
	return out;
}

static char *put_hex(char *p, uint64_t v)
{
	int shift = 60;

	while (shift && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[v >> shift & 15];
	*p++ = ' ';
	return p;
}

static char *put_dec(char *p, uint32_t v)
{
	uint32_t unit = 1;

	while (v / unit >= 10)
		unit *= 10;
	for (; unit; unit /= 10)
		*p++ = (char)('0' + v / unit % 10);
	*p++ = ' ';
	return p;
}

static char *put_text(char *p, const char *text)
{
	while (*text)
		*p++ = *text++;
	*p++ = ' ';
	return p;
}

/* Is it a text of the image? An event's text may be in memory that is gone. */
static bool is_constant(const void *text)
{
	return (const char *)text >= image_start &&
	       (const char *)text < bss_end;
}

/* "e TIME CORE THREAD OP CALLER OBJ ARG NAME", or "o ..." if no trace of an experiment
 * wanted it. CORE and THREAD are decimal, the other numbers hexadecimal. */
static void put_event(const struct trace_event *e)
{
	char line[RECORD_LINE], word[128] = "-", name[sizeof(e->text) + 1];
	const char *text = e->name;
	bool named = e->op == TR_THREAD_BEGIN;
	char *p = line;

	if (named) {
		memcpy(name, e->text, sizeof(e->text));
		name[sizeof(e->text)] = 0;
		text = name;
	} else if (e->op == TR_NOTE && is_constant(e->obj)) {
		text = e->obj;
	} else if (e->op == TR_NOTIFY) {
		text = cpu_event_name(e->arg);
	}
	if (text)
		record_word(word, sizeof(word), text);
	*p++ = e->traced ? 'e' : 'o';
	*p++ = ' ';
	p = put_hex(p, e->time);
	p = put_dec(p, e->cpu);
	p = put_dec(p, e->thread);
	p = put_text(p, record_op_name(e->op));
	p = put_hex(p, named ? 0 : e->caller);
	p = put_hex(p, named ? 0 : (uintptr_t)e->obj);
	p = put_hex(p, named ? 0 : e->arg);
	p = put_text(p, word);
	p[-1] = '\n';
	put_lines(line, (size_t)(p - line));
}

/* Format a line. line: RECORD_LINE bytes. Returns its length with the line end. */
static size_t format_line(char *line, const char *fmt, va_list ap)
{
	size_t n;

	kvsnprintf(line, RECORD_LINE - 1, fmt, ap);
	n = strlen(line);
	line[n++] = '\n';
	return n;
}

static printf_like(1, 2) void put_line(const char *fmt, ...)
{
	char line[RECORD_LINE];
	va_list ap;

	va_start(ap, fmt);
	put_lines(line, format_line(line, fmt, ap));
	va_end(ap);
}

void record_line(const char *fmt, ...)
{
	char line[RECORD_LINE];
	bool done = false;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format_line(line, fmt, ap);
	va_end(ap);
	while (!done && record_is_on()) {
		spin_lock(&notes_lock);
		done = notes_used + n <= sizeof(notes);
		if (done) {
			memcpy(notes + notes_used, line, n);
			notes_used += n;
		}
		spin_unlock(&notes_lock);
		/* Nobody who plays a round waits for a live page. */
		if (!done && record_is_live())
			return;
		if (!done)
			sleep_ns(LOOK_NS);
	}
}

void record_catch_up(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		while (record_is_on() && !record_is_live() &&
		       trace_unread(cpu) > LAG)
			sleep_ns(LOOK_NS);
}

static void put_thread(const struct thread *t)
{
	char word[64];

	put_line("thread %u at=%x name=%s", t->id, (unsigned int)t,
		 record_word(word, sizeof(word), t->name));
}

/* ---- the thread -------------------------------------------------------------- */

/* Is it an event of the recorder itself? The events of an interrupt on its stack are
 * not. */
static bool is_own(const struct trace_event *e)
{
	switch (e->op) {
	case TR_SWITCH:
	case TR_WAKE:
		if (e->obj == current)
			return true;
		return e->op == TR_SWITCH && e->thread == current->id;
	case TR_BLOCK:
	case TR_TIMER_ARM:
	case TR_THREAD_BEGIN:
		return e->thread == current->id;
	default:
		return false;
	}
}

/* Write the core's events. Returns how many there were. */
static unsigned int drain_core(unsigned int cpu)
{
	static struct trace_event batch[BATCH];
	struct record_counts *c = &rec.core[cpu];
	unsigned int all = 0, n, lost;

	do {
		n = trace_read(cpu, batch, BATCH, &lost);
		all += n + lost;
		c->read += n;
		c->lost += lost;
		if (lost)
			put_line("lost %llx core=%u events=%u",
				 (unsigned long long)timer_now(), cpu, lost);
		for (unsigned int i = 0; i < n; i++) {
			if (is_own(&batch[i]))
				c->left_out++;
			else
				put_event(&batch[i]);
		}
	} while (n == BATCH && all < AT_ONCE);
	return all;
}

static void put_notes(void)
{
	static char copy[NOTES_SIZE];
	size_t n;

	spin_lock(&notes_lock);
	n = notes_used;
	memcpy(copy, notes, n);
	notes_used = 0;
	spin_unlock(&notes_lock);
	put_lines(copy, n);
}

/* The counters, if one has changed. */
static void put_counts(void)
{
	uint64_t now[ARRAY_SIZE(rec.counts)] = { 0 };
	struct slab_stats slabs;
	unsigned int cpu;

	slab_stats(&slabs);
	now[0] = (uint32_t)READ_ONCE(cpu_hotplug.refcount);
	for_each_possible_cpu (cpu)
		now[1] += rcu_nr_callbacks(cpu);
	now[2] = slabs.caches;
	now[3] = slabs.active;
	now[4] = slabs.slabs;
	if (!memcmp(now, rec.counts, sizeof(now)))
		return;
	memcpy(rec.counts, now, sizeof(now));
	put_line("count %llx refcount=%d callbacks=%u caches=%u objects=%u "
		 "slabs=%u",
		 (unsigned long long)timer_now(), (int)now[0],
		 (unsigned int)now[1], slabs.caches, slabs.active, slabs.slabs);
}

/* Write all that is there. Returns whether much was. */
static bool drain(void)
{
	unsigned int cpu, most = 0;

	put_notes();
	for_each_possible_cpu (cpu) {
		unsigned int n = drain_core(cpu);

		most = max(most, n);
	}
	put_counts();
	flush();
	return most >= BATCH;
}

/* Go to the cores where the recorder shall run. here: where it may run now. */
static void follow_wanted(struct cpumask *here)
{
	struct cpumask there = { .bits = READ_ONCE(wanted.bits) };

	if (there.bits != here->bits && !thread_set_affinity(current, there))
		*here = there;
}

/* Write states until it is told to stop. */
static void follow_states(struct cpumask *here)
{
	uint64_t next = 0, begin = 0;

	while (!READ_ONCE(stop)) {
		follow_wanted(here);
		put_notes();
		if (timer_ns(timer_now() - begin) >= next) {
			next = live_look(put_lines);
			begin = timer_now();
		}
		flush();
		sleep_ns(LIVE_NAP_NS);
	}
	live_look(put_lines);
}

static int recorder_thread(void *arg maybe_unused)
{
	struct cpumask here = CPUMASK_ALL;

	if (record_is_live())
		follow_states(&here);
	else
		put_thread(current);
	while (!READ_ONCE(stop)) {
		follow_wanted(&here);
		if (!drain())
			sleep_ns(LOOK_NS);
	}
	trace_follow(false, false);
	/* If a core was far ahead, one drain() does not write all its events. */
	while (!record_is_live() && drain())
		;
	return 0;
}

/* ---- begin and end ----------------------------------------------------------- */

bool record_is_on(void)
{
	return READ_ONCE(on);
}

bool record_is_live(void)
{
	return READ_ONCE(what) == RECORD_LIVE;
}

static void put_threads(void)
{
	struct thread *t;

	for_each_thread (t)
		put_thread(t);
}

static const char *const whats[] = {
	[RECORD_ALL] = "all", [RECORD_ACTORS] = "actors", [RECORD_LIVE] = "live"
};

static void put_head(void)
{
	char word[64], line[RECORD_LINE];

	put_line("gordian-stream 1");
	put_line("clock hz=%u now=%llx", timer_hz,
		 (unsigned long long)timer_now());
	put_line("image text=%x-%x crc=%08x profile=%s",
		 (unsigned int)text_start, (unsigned int)text_end,
		 crc32(0, text_start, (size_t)(text_end - text_start)),
		 GORDIAN_DEBUG ? "debug" : "release");
	put_line("machine cores=%u board=%s events=%s", board.nr_cores,
		 record_word(word, sizeof(word), board.name), whats[what]);
	if (record_is_live())
		return; /* what follows explains events */
	for (unsigned int op = 0; record_op_line(op, line, sizeof(line)); op++)
		put_line("%s", line);
	put_threads();
}

int record_begin(int file, enum record_what of)
{
	unsigned int cpu;

	memset(&rec, 0, sizeof(rec));
	rec.file = file;
	WRITE_ONCE(what, of);
	live_begin();
	rec.counts[0] = ~0ull; /* the first look writes them */
	put_head();
	trace_follow(!record_is_live(), what == RECORD_ALL);
	for_each_possible_cpu (cpu)
		rec.begin[cpu] = trace_taken(cpu);
	WRITE_ONCE(stop, false);
	WRITE_ONCE(on, true);
	rec.thread = thread_create("recorder", recorder_thread, NULL, PRIO_HIGH,
				   CPUMASK_ALL);
	if (rec.thread)
		return 0;
	WRITE_ONCE(on, false);
	trace_follow(false, false);
	return -ENOMEM;
}

struct record_counts record_counted(void)
{
	struct record_counts all = { 0 };
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		all.read += rec.core[cpu].read;
		all.lost += rec.core[cpu].lost;
		all.left_out += rec.core[cpu].left_out;
	}
	return all;
}

/* The counts of each core. What was written is counted by the kernel, the rest by the
 * recorder. */
static void put_core_counts(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		const struct record_counts *c = &rec.core[cpu];
		uint32_t written = trace_taken(cpu) - rec.begin[cpu];

		put_line("core %u written=%u read=%llu lost=%llu left-out=%llu",
			 cpu, written, (unsigned long long)c->read,
			 (unsigned long long)c->lost,
			 (unsigned long long)c->left_out);
	}
}

bool record_end(void)
{
	WRITE_ONCE(stop, true);
	thread_join(rec.thread);
	WRITE_ONCE(on, false);
	put_notes();
	if (!record_is_live())
		put_core_counts();
	put_line("end %llx", (unsigned long long)timer_now());
	flush();
	if (rec.file >= 0)
		host_files->close(rec.file);
	return !rec.failed;
}

void record_run_on(struct cpumask cores)
{
	WRITE_ONCE(wanted.bits, cores.bits);
}
