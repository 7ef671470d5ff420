/*
 * Commands: find one, run it, run a line of them, run the batch.
 */
#include "kernel/shell/shell.h"

#include <string.h>

#include "drivers/board.h"
#include "kernel/lib/cmdline.h"
#include "kernel/lib/printf.h"
#include "kernel/sched/sched.h"

bool parse_uint(const char *s, unsigned int *out)
{
	unsigned int v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > 100000000u)
			return false;
		v = v * 10 + (unsigned int)(*s - '0');
	}
	*out = v;
	return true;
}

static int run_words(int argc, char **argv)
{
	for (const struct shell_command *c = shell_commands_start;
	     c < shell_commands_end; c++)
		if (strcmp(c->name, argv[0]) == 0)
			return c->fn(argc, argv);
	kprintf("unknown command \"%s\"\n", argv[0]);
	return 1;
}

int shell_run_line(const char *line)
{
	char buf[512], *p = buf, *argv[16];
	int status = 0;

	ksnprintf(buf, sizeof(buf), "%s", line);
	while (*p) {
		int argc = 0, r;
		char *end = p + strcspn(p, ";");
		char *next = *end ? end + 1 : end;

		*end = 0;
		while (argc < 16) {
			while (*p == ' ')
				*p++ = 0;
			if (!*p)
				break;
			argv[argc++] = p;
			p += strcspn(p, " ");
		}
		if (argc) {
			r = run_words(argc, argv);
			if (!status)
				status = r;
		}
		p = next;
	}
	return status;
}

noreturn void shell_main(void)
{
	char run[400];

	if (cmdline_get(board.bootargs, "run", run, sizeof(run)))
		machine_exit(shell_run_line(run));
	machine_exit(0);
}
