/*
 * The shell: commands, line editing, batch runs.
 *
 * Commands are registered in linker sections, which are sorted by name. So a
 * higher floor adds commands, and the shell need not know them. A command runs in
 * a thread of its own, so that Ctrl-C can give the prompt back while it waits.
 */
#pragma once

#include <stdbool.h>

#include "kernel/lib/cmdline.h" /* parse_uint() */
#include "kernel/lib/compiler.h"

struct shell_command {
	const char *name;
	const char *usage; /* "cpu [up|down N]" */
	const char *help;  /* one line */
	/* argv[0] is the name. Returns the status, 0 to 255, 0 for success. */
	int (*fn)(int argc, char **argv);
	/* Completion: the i-th possible word for argument arg (1..), or NULL. */
	const char *(*complete)(int arg, unsigned int i);
};

#define SHELL_COMMAND(id, ...)                                                 \
	static const struct shell_command shell_cmd_##id                       \
		__attribute__((__used__, __section__(".shell_commands." #id),  \
			       __aligned__(4))) = { __VA_ARGS__ }

extern const struct shell_command shell_commands_start[], shell_commands_end[];

/* The interactive loop; or what run= on the kernel command line says, and then
 * the end of the machine with the status of the first that failed, or 0. */
noreturn void shell_main(void);

/* The next line for the command that runs: a prompt, the words that it can begin
 * with. NULL: by Ctrl-C, after which the command is to end, or nobody is there.
 * Good until the next call; in the command's own thread. */
char *shell_ask(const char *prompt, const char *(*words)(int, unsigned int));
extern bool console_taken; /* in a batch, or while a command asks */
