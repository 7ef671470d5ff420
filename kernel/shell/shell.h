/*
 * The shell: commands, line editing, batch runs.
 *
 * What it is for. It reads a line, or takes run= from the kernel command line,
 * and runs its commands one after the other.
 *
 * The duties of a command:
 *  1. Register with SHELL_COMMAND(). Its help is one line: a verb and its
 *     object.
 *  2. Return a status: 0 for success, else up to 255.
 *  3. A command that only reports takes no sleeping lock, so that it works
 *     while a knot is tied (docs/design.md, "reports take no sleeping lock").
 *  4. A command that waits for long ends when thread_interrupted() is true.
 *
 * The consequences:
 *  a. A higher floor adds commands, and the shell does not know them: they are
 *     in a linker section, sorted by name.
 *  b. A command runs in a thread of its own. So Ctrl-C gives the prompt back
 *     even if the command is blocked; it stays in the background then.
 *  c. The status of a line is that of its first command that failed, or 0.
 *
 * The mechanism: shell.c for commands and lines of commands, line.c for
 * editing, input.c for typed bytes, commands.c for the kernel's own commands.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/cmdline.h" /* parse_uint() */
#include "kernel/lib/compiler.h"

struct shell_command {
	const char *name;
	const char *usage; /* "cpu [up|down N]" */
	const char *help;  /* one line */
	/* For `help NAME`; each may be NULL. A line for each word of usage; an
	 * example; the page that says more. */
	const char *words, *example, *page;
	/* argv[0] is the name. Returns the status, 0 to 255, 0 for success. */
	int (*fn)(int argc, char **argv);
	/* For completion: the i-th possible word for argument arg (1, 2, ...),
	 * or NULL. */
	const char *(*complete)(int arg, unsigned int i);
};

#define SHELL_COMMAND(id, ...)                                                 \
	static const struct shell_command shell_cmd_##id                       \
		__attribute__((__used__, __section__(".shell_commands." #id),  \
			       __aligned__(4))) = { __VA_ARGS__ }

extern const struct shell_command shell_commands_start[], shell_commands_end[];

/* Run the commands of run= on the kernel command line. Then stop the machine with
 * their status. But if the command line has `then=shell`, or no run=, read lines for
 * ever instead. */
noreturn void shell_main(void);

/* For a command that takes no arguments: returns true if there are none.
 * Otherwise a line says so, and the command must return 1. */
bool shell_has_no_arguments(int argc, char **argv);

/* Read a line for the command that runs, in the command's thread. words(0, i):
 * the i-th word that the line can begin with, or NULL. The line is valid until
 * the next call. Returns NULL after Ctrl-C, or if the console is not free; the
 * command ends then. */
char *shell_ask(const char *prompt, const char *(*words)(int, unsigned int));
/* Is the console taken, by a batch run or by a command that asks? */
extern bool console_taken;
/* Does a person look at the console? Then a command may show how far it is. */
bool console_is_watched(void);
