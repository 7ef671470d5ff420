/*
 * Shared by the files of kernel/shell/.
 */
#pragma once

#include "kernel/hang/waitfor.h"
#include "kernel/sched/wait.h"
#include "kernel/shell/shell.h"

#define LINE_SIZE 512 /* of a typed line, or of run=; with the NUL */

/* line.c: the shell waits here for input, Ctrl-C or the end of a command. */
extern struct wait_queue console_wait;
extern bool ctrl_c;		/* typed and not handled yet; atomic */
bool line_byte_arrived(char c); /* for uart_listen() */
/* Print a prompt and read a line, as shell_ask() does. Returns NULL after
 * Ctrl-C. May sleep. */
char *line_read(const char *with, const char *(*words)(int, unsigned int));

/* shell.c. shell_find(): the command of that name, or NULL. shell_name(): the
 * i-th name, for completion. shell_status: the status so far of the line that
 * runs. */
const struct shell_command *shell_find(const char *name);
const char *shell_name(int arg, unsigned int i);
extern int shell_status;

/* commands.c. Write "waits for X (mutex), held by U (thread 17)" to buf. The
 * walk from t is stored in *w. */
void describe_wait(struct thread *t, struct waitfor *w, char *buf, size_t size);
