/*
 * Shared by the files of kernel/shell/ only.
 */
#pragma once

#include "kernel/hang/waitfor.h"
#include "kernel/sched/wait.h"
#include "kernel/shell/shell.h"

#define LINE_SIZE 512 /* typed or from the kernel command line, with the 0 */

/* line.c: the shell's thread waits here for input, Ctrl-C, a command's end. */
extern struct wait_queue console_wait;
extern bool ctrl_c;		/* it came and nobody has seen it; atomic */
bool line_byte_arrived(char c); /* for uart_listen() */
/* Prompt and edit; the line is good until the next call. words: of the first
 * one. NULL: Ctrl-C. May sleep. */
char *line_read(const char *with, const char *(*words)(int, unsigned int));

/* shell.c: the command of that name or NULL, the i-th name, and the status of
 * the line that runs, so far. */
const struct shell_command *shell_find(const char *name);
const char *shell_name(int arg, unsigned int i);
extern int shell_status;

/* commands.c: "waits for X (mutex), held by U (thread 17)"; fills w too. */
void describe_wait(struct thread *t, struct waitfor *w, char *buf, size_t size);
