/*
 * The command `record`.
 *
 * record_mutex guards the recorder's begin and end, and `where`.
 */
#include <string.h>

#include "lab/record.h"
#include "kernel/arch/board.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"

static DEFINE_MUTEX(record_mutex);
static char where[128]; /* the file's name, or "serial" */

static int tell(const char *verb)
{
	struct record_counts c = record_counted();

	if (record_is_live()) {
		kprintf("record: %s %u states to %s\n", verb, live_states(),
			where);
		return 0;
	}
	kprintf("record: %s %llu events to %s; %llu left out, %llu lost\n",
		verb, (unsigned long long)(c.read - c.left_out), where,
		(unsigned long long)c.left_out, (unsigned long long)c.lost);
	return 0;
}

static int show_status(void)
{
	if (record_is_on())
		return tell("it writes, so far");
	kprintf("record: nothing is recorded now; to begin, type record FILE "
		"or record serial\n");
	return 0;
}

static int stop_recording(void)
{
	if (!record_is_on()) {
		kprintf("record: it is off already\n");
		return 1;
	}
	if (!record_end()) {
		kprintf("record: %s could not be written in full\n", where);
		return 1;
	}
	return tell("wrote");
}

/* Create the file of that name. Returns its number, or -1; a line says why. */
static int create_file(const char *name)
{
	int file;

	if (!host_files) {
		kprintf("record: no emulator or debugger writes files for this "
			"machine; try record serial\n");
		return -1;
	}
	file = host_files->create(name);
	if (file < 0)
		kprintf("record: the host cannot create %s\n", name);
	return file;
}

static int start_recording(const char *name, enum record_what what)
{
	bool serial = !strcmp(name, "serial");
	int file = -1;

	if (record_is_on()) {
		kprintf("record: it writes to %s already; record stop ends "
			"that\n",
			where);
		return 1;
	}
	if (strlen(name) >= sizeof(where)) {
		kprintf("record: the name has more than %zu characters\n",
			sizeof(where) - 1);
		return 1;
	}
	if (!serial && (file = create_file(name)) < 0)
		return 1;
	strcpy(where, name);
	if (!record_begin(file, what))
		return 0;
	kprintf("record: no memory for its thread\n");
	if (!serial)
		host_files->close(file);
	return 1;
}

static int record_command(int argc, char **argv)
{
	bool stops = argc > 1 && !strcmp(argv[1], "stop");
	enum record_what what = argc < 3		   ? RECORD_ALL :
				!strcmp(argv[2], "actors") ? RECORD_ACTORS :
							     RECORD_LIVE;
	int status;

	if (argc > 3 ||
	    (argc == 3 && (stops || (what == RECORD_LIVE &&
				     strcmp(argv[2], "live") != 0)))) {
		kprintf("usage: record [FILE|serial [actors|live] | stop]\n");
		return 1;
	}
	if (mutex_lock_interruptible(&record_mutex))
		return 1;
	status = argc == 1 ? show_status() :
		 stops	   ? stop_recording() :
			     start_recording(argv[1], what);
	mutex_unlock(&record_mutex);
	return status;
}

static const char *record_complete(int arg, unsigned int i)
{
	static const char *const words[] = { "serial", "stop" };
	static const char *const kinds[] = { "actors", "live" };

	if (arg == 1)
		return i < ARRAY_SIZE(words) ? words[i] : NULL;
	return arg == 2 && i < ARRAY_SIZE(kinds) ? kinds[i] : NULL;
}

SHELL_COMMAND(
	record, .name = "record",
	.usage = "record [FILE|serial [actors|live] | stop]",
	.help = "record the kernel's events, for tools/trace",
	.words =
		"  FILE    write to this file of the host, by semihosting\n"
		"  serial  write to the serial line, in strings that terminals "
		"ignore\n"
		"  actors  write only the events of an experiment's threads "
		"(for a slow line)\n"
		"  live    write states instead of events, when they change (for "
		"`make show`)\n"
		"  stop    write the last events and the counts; then end\n"
		"  Without a word: print the counts so far.\n",
	.example = "record e2.stream; demo e2; record stop",
	.page = "docs/trace.md", .fn = record_command,
	.complete = record_complete);
