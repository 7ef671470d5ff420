/*
 * Commands: find one, run it, run a line of them, run the batch.
 *
 * Each command is a job with a thread of its own. jobs[] belongs to the shell's
 * thread. When a command has ended, its thread sets `done`. Ctrl-C interrupts
 * the command. If the command does not end within CTRL_C_NS, it stays in the
 * background; when it has ended, the shell releases its job and its thread.
 * While a command waits for an answer from the user, Ctrl-C is passed to it as
 * that answer.
 */
#include <string.h>

#include "kernel/arch/board.h"
#include "kernel/lib/cmdline.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/input.h"
#include "kernel/shell/internal.h"

#define MAX_WORDS   64
#define BLANKS	    " \t"
#define CTRL_C_NS   1000000000ull /* time for a command to end after Ctrl-C */
#define INTERRUPTED 130		  /* status, as on Unix */

static struct job {
	struct thread *thread; /* NULL: free */
	bool done;
	char command[LINE_SIZE];
} jobs[8];
int shell_status;
bool console_taken = true; /* atomic */

const char *shell_name(int arg, unsigned int i)
{
	const struct shell_command *c = shell_commands_start + i;

	return arg <= 1 && c < shell_commands_end ? c->name : NULL;
}

const struct shell_command *shell_find(const char *name)
{
	for (const struct shell_command *c = shell_commands_start;
	     c < shell_commands_end; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

bool shell_has_no_arguments(int argc, char **argv)
{
	if (argc > 1)
		kprintf("usage: %s (no other word)\n", argv[0]);
	return argc == 1;
}

/* Split a command, which does not begin with a blank, into words and run it. */
static int run_command(char *p)
{
	const struct shell_command *c;
	char *argv[MAX_WORDS];
	int argc = 0, status;

	while (*p) {
		if (argc == MAX_WORDS) {
			kprintf("%s: more than %u words\n", argv[0], MAX_WORDS);
			return 1;
		}
		argv[argc++] = p;
		p += strcspn(p, BLANKS);
		while (*p && strchr(BLANKS, *p))
			*p++ = 0;
	}
	c = shell_find(argv[0]);
	if (!c) {
		kprintf("unknown command \"%s\": help lists them\n", argv[0]);
		return 1;
	}
	status = c->fn(argc, argv);
	return status >= 0 && status <= 255 ? status : 1;
}

static int job_main(void *arg)
{
	struct job *job = arg;
	int status = run_command(job->command);

	WRITE_ONCE(job->done, true);
	wake_up_all(&console_wait);
	return status;
}

char *shell_ask(const char *prompt, const char *(*words)(int, unsigned int))
{
	/* If this command was interrupted, it may be in the background. Then
	 * the console belongs to the shell. */
	if (READ_ONCE(console_taken) || thread_interrupted())
		return NULL;
	WRITE_ONCE(console_taken, true);
	char *answer = line_read(prompt, words);
	/* Release: pairs with the acquire in run_as_job(), which then sees that
	 * ctrl_c has been handled. */
	smp_store_release(&console_taken, false);
	return answer;
}

/* Release a job whose command has ended. Returns the command's status. */
static int reap_job(struct job *job)
{
	int status = thread_join(job->thread);

	job->thread = NULL;
	return status;
}

/* Run the command in a thread of its own. Wait until the command ends, or until
 * the user presses Ctrl-C and the command does not end in time. Returns its
 * status, or INTERRUPTED. */
static int run_as_job(const char *command)
{
	static struct waitfor w; /* large; only the shell's thread comes here */
	struct job *job = jobs;
	char why[128];

	while (job < jobs + ARRAY_SIZE(jobs) && job->thread)
		job++;
	if (job < jobs + ARRAY_SIZE(jobs)) {
		strcpy(job->command, command);
		job->done = false;
		job->thread = thread_create(command, job_main, job, PRIO_NORMAL,
					    CPUMASK_ALL);
	}
	if (job == jobs + ARRAY_SIZE(jobs) || !job->thread) {
		kprintf("%s: no room for one more command\n", command);
		return 1;
	}
	/* Acquire: pairs with the release in shell_ask(). */
	wait_event_kind(&console_wait, &idle_wait,
			READ_ONCE(job->done) ||
				(!smp_load_acquire(&console_taken) &&
				 READ_ONCE(ctrl_c)));
	if (!READ_ONCE(job->done)) {
		kprintf("^C\n");
		thread_interrupt(job->thread);
		wait_event_timeout(&console_wait, &idle_wait,
				   READ_ONCE(job->done), CTRL_C_NS);
	}
	if (READ_ONCE(job->done))
		return reap_job(job);
	describe_wait(job->thread, &w, why, sizeof(why));
	kprintf("%s: still %s;\n  left in the background\n", command, why);
	return INTERRUPTED;
}

/* Run "cmd; cmd"; a line end is like a semicolon. Returns the status of the
 * first command that failed, or 0. Changes line. */
static int run_line(char *line)
{
	int status = 0;
	char *command;

	shell_status = 0;
	while (!READ_ONCE(ctrl_c) && status != INTERRUPTED &&
	       (command = strsep(&line, ";\r\n"))) {
		command += strspn(command, BLANKS);
		status = *command ? run_as_job(command) : 0;
		if (!shell_status)
			shell_status = status;
	}
	WRITE_ONCE(ctrl_c, false);
	return shell_status;
}

bool console_is_watched(void)
{
	char word[8];

	return !READ_ONCE(console_taken) ||
	       cmdline_get(board.bootargs, "watched", word, sizeof(word));
}

noreturn void shell_main(void)
{
	bool runs;
	char run[LINE_SIZE], then[8];

	runs = cmdline_get(board.bootargs, "run", run, sizeof(run));
	if (runs && !(cmdline_get(board.bootargs, "then", then, sizeof(then)) &&
		      strcmp(then, "shell") == 0))
		machine_exit(run_line(run));
	WRITE_ONCE(console_taken, false);
	uart_listen(line_byte_arrived);
	if (runs)
		run_line(run);
	for (;;) {
		int status = run_line(line_read("gordian> ", shell_name));

		if (status)
			kprintf("(status %d)\n", status);
		for (struct job *job = jobs; job < jobs + ARRAY_SIZE(jobs);
		     job++)
			if (job->thread && READ_ONCE(job->done)) {
				kprintf("%s: ended in the background ",
					job->thread->name);
				kprintf("(status %d)\n", reap_job(job));
			}
	}
}
