/*
 * The page-table auditor: do the tables keep the rules of audit.c?
 */
#pragma once

/* Prints a line for each broken rule, up to a limit; returns how many there
 * are. Thread context, one caller at a time, once the kernel's own maps are
 * final. */
unsigned int map_audit(void);
