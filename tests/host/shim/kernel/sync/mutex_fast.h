/*
 * Replaces kernel/sync/mutex_fast.h in host builds: the mutexes of
 * tests/host/shim.c, which are the same in both profiles.
 */
#pragma once

void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
