/*
 * Stub.
 */
#include "kernel/lock/lockdep.h"

#if GORDIAN_DEBUG
static bool quiet_;
const char *lockdep_kind_name(enum lockdep_kind kind)
{
	static const char *const names[] = {
		[LOCKDEP_CIRCULAR] = "circular",
		[LOCKDEP_RECURSIVE] = "recursive",
		[LOCKDEP_IRQ_ORDER] = "irq-order",
		[LOCKDEP_IRQ_INVERSION] = "irq-inversion",
		[LOCKDEP_INCONSISTENT] = "inconsistent",
		[LOCKDEP_UNBALANCED] = "unbalanced",
		[LOCKDEP_HELD_AT_END] = "held-at-end",
		[LOCKDEP_HELD_FREED] = "held-freed",
		[LOCKDEP_SLEEP] = "sleep",
		[LOCKDEP_RCU] = "rcu-usage",
		[LOCKDEP_NOT_HELD] = "not-held",
		[LOCKDEP_NEST] = "nest",
	};

	return names[kind];
}
unsigned int lockdep_count(enum lockdep_kind kind)
{
	(void)kind;
	return 0;
}
unsigned int lockdep_total(void)
{
	return 0;
}
unsigned int lockdep_seen(void)
{
	return 0;
}
void lockdep_reset(void)
{
}
void lockdep_quiet(bool on)
{
	quiet_ = on;
}
void lock_acquire(struct lockdep_map *m, unsigned int subclass,
		  unsigned int how, const struct lockdep_map *nest,
		  uintptr_t site)
{
	(void)m, (void)subclass, (void)how, (void)nest, (void)site;
}
void lock_contended(struct lockdep_map *m)
{
	(void)m;
}
void lock_acquired(struct lockdep_map *m)
{
	(void)m;
}
bool lock_is_held(const struct lockdep_map *m)
{
	(void)m;
	return true;
}
void debug_check_no_locks_freed(const void *from, size_t len)
{
	(void)from, (void)len;
}
void lockdep_thread_end(void)
{
}
void lockdep_idle(void)
{
}
void lockdep_thread_died(void)
{
}
void print_held_locks(const struct thread *t)
{
	(void)t;
}
void lockdep_init_map(struct lockdep_map *m, const char *name, const void *key)
{
	*m = (struct lockdep_map){ .name = name, .key = key };
}
struct lock_class_key lockdep_no_validate;
bool lock_release(struct lockdep_map *m, uintptr_t site)
{
	(void)m, (void)site;
	return true;
}
void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site)
{
	(void)kind, (void)what, (void)site;
}
#endif
