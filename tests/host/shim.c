/*
 * The floors below the slab allocator, for the host: spinlocks and mutexes that spin,
 * RCU whose callbacks run when the test says so, and the kernel's own page allocator
 * over memory that is mapped at LOWMEM_VA.
 */
#include "tests/host/shim.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "kernel/arch/board.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/printf.h"
#include "kernel/mm/page.h"
#include "kernel/slab/slab.h"
#include "tests/host/host.h"

#define RAM_BASE 0x40000000u

static struct thread threads[HOST_CORES];
__thread struct thread *host_current;

struct board board;
struct boot_info boot_info;
struct cpumask cpu_possible_mask, cpu_online_mask;
unsigned int trace_mode;
unsigned int warn_count;

void host_core(unsigned int cpu)
{
	threads[cpu].cpu = cpu;
	host_current = &threads[cpu];
}

/* ---- locks --------------------------------------------------------------------- */

void __spin_lock_init(struct spinlock *l, const char *name, const void *key)
{
	(void)key;
	*l = (struct spinlock)SPINLOCK_INIT(name);
}

#if GORDIAN_DEBUG
/* Here no object contains a lock. */
void debug_check_no_locks_freed(const void *from, size_t len, uintptr_t site)
{
	(void)from, (void)len, (void)site;
}

void lockdep_complain(enum lockdep_kind kind, const char *what, uintptr_t site)
{
	(void)kind, (void)what, (void)site;
	CHECK(!"a complaint");
}

void lockdep_irqs_on(void)
{
}

void lockdep_sleeps(bool allowed, const char *what, uintptr_t site)
{
	(void)what, (void)site;
	CHECK(allowed);
}

struct lock_class_key mutex_wait_key;

/* Only called for mutexes. */
bool lock_is_held(const struct lockdep_map *m)
{
	return mutex_owner(container_of(m, const struct mutex, dep_map)) ==
	       host_current;
}
#endif

uint32_t spin_lock_irqsave(struct spinlock *l)
{
	/* Acquire: pairs with the release below. */
	while (__atomic_exchange_n(&l->tickets.both, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	return 0;
}

void spin_unlock_irqrestore(struct spinlock *l, uint32_t flags)
{
	(void)flags;
	__atomic_store_n(&l->tickets.both, 0, __ATOMIC_RELEASE);
}

void mutex_lock(struct mutex *m)
{
	uintptr_t free = 0;

	CHECK(mutex_owner(m) != host_current);
	/* Acquire: pairs with the release below. */
	while (!__atomic_compare_exchange_n(
		&m->owner, &free, (uintptr_t)host_current, false,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		free = 0;
		sched_yield();
	}
}

void mutex_unlock(struct mutex *m)
{
	CHECK(mutex_owner(m) == host_current);
	__atomic_store_n(&m->owner, 0, __ATOMIC_RELEASE);
}

static void nothing(void)
{
}

static const struct hotplug_lock_ops no_lock = { .get = nothing,
						 .put = nothing };
const struct hotplug_lock_ops *hotplug_ops = &no_lock;

/* ---- cores --------------------------------------------------------------------- */

static struct notifier_block *notifier;

int register_cpu_notifier(struct notifier_block *nb)
{
	CHECK(!notifier);
	notifier = nb;
	return 0;
}

int host_notify(unsigned long event, unsigned int cpu)
{
	return notifier_to_errno(notifier->notifier_call(
		notifier, event, (void *)(uintptr_t)cpu));
}

int host_core_up(unsigned int cpu)
{
	int err = host_notify(CPU_UP_PREPARE, cpu);

	if (!err)
		cpumask_set_atomic(&cpu_online_mask, cpu);
	return err;
}

bool cpu_is_lost(unsigned int cpu)
{
	(void)cpu;
	return false;
}

void host_core_down(unsigned int cpu)
{
	cpumask_clear_atomic(&cpu_online_mask, cpu);
	CHECK(host_notify(CPU_DEAD, cpu) == 0);
}

static void each_in_turn(void (*fn)(void *), void *arg)
{
	struct thread *self = host_current;
	unsigned int cpu;

	for_each_online_cpu (cpu) {
		host_core(cpu);
		fn(arg);
	}
	host_current = self;
}

void (*host_each_cpu)(void (*fn)(void *), void *arg) = each_in_turn;

void on_each_cpu(void (*fn)(void *), void *arg)
{
	host_each_cpu(fn, arg);
}

/* ---- RCU ------------------------------------------------------------------------ */

static DEFINE_SPINLOCK(rcu_lock);
static struct rcu_head *queued; /* guarded by rcu_lock */

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *))
{
	uint32_t flags = spin_lock_irqsave(&rcu_lock);

	head->func = func;
	head->next = queued;
	queued = head;
	spin_unlock_irqrestore(&rcu_lock, flags);
}

void host_run_callbacks(void)
{
	uint32_t flags = spin_lock_irqsave(&rcu_lock);
	struct rcu_head *h = queued, *next;

	queued = NULL;
	spin_unlock_irqrestore(&rcu_lock, flags);
	for (; h; h = next) {
		next = h->next;
		h->func(h);
	}
}

void rcu_barrier(void)
{
	host_run_callbacks();
}

/* ---- reports -------------------------------------------------------------------- */

void kprintf(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs(text, stdout);
}

noreturn void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

void bug_at(const char *cond, const char *file, int line, uintptr_t caller)
{
	(void)caller;
	fprintf(stderr, "BUG: %s at %s:%d\n", cond, file, line);
	abort();
}

void warn_at(const char *cond, const char *file, int line, uintptr_t caller)
{
	bug_at(cond, file, line, caller);
}

uint32_t report_begin(void)
{
	return 0;
}

void report_end(uint32_t flags)
{
	(void)flags;
}

void dump_stack(void)
{
}

unsigned int backtrace_here(uintptr_t *pc, unsigned int max)
{
	pc[0] = CALLER;
	return max ? 1 : 0;
}

void print_backtrace(const uintptr_t *pc, unsigned int n)
{
	while (n--)
		kprintf("    %pS\n", (void *)*pc++);
}

const char *symbol_lookup(uintptr_t addr, uint32_t *off)
{
	(void)addr;
	(void)off;
	return NULL;
}

void trace_event_to(enum trace_op op, const void *obj, const char *name,
		    uintptr_t caller)
{
	(void)op;
	(void)obj;
	(void)name;
	(void)caller;
}

void trace_record(enum trace_op op, const void *obj, const char *name,
		  uintptr_t arg, uintptr_t caller)
{
	trace_event_to(op, obj, name, caller);
	(void)arg;
}

void trace_event(enum trace_op op, const void *obj, uintptr_t arg,
		 uintptr_t caller)
{
	trace_record(op, obj, NULL, arg, caller);
}

#if GORDIAN_DEBUG
void trace_gate_slow(enum trace_op op, const void *obj, uintptr_t caller)
{
	trace_event(op, obj, 0, caller);
}
#endif

/* ---- memory --------------------------------------------------------------------- */

uint32_t map_lowmem(uint32_t ram_base, uint32_t pa, uint32_t size)
{
	void *want = (void *)(LOWMEM_VA + pa - ram_base);

	CHECK(mmap(want, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		   0) == want);
	return size;
}

noreturn void machine_exit(int status)
{
	exit(status);
}

void host_init(void)
{
	host_core(0);
	board.ram_base = RAM_BASE;
	board.ram_size = HOST_RAM;
	boot_info.image_pa = RAM_BASE + 0x10000;
	cpu_possible_mask.bits = (1u << HOST_CORES) - 1;
	cpu_online_mask.bits = 1;
	pages_init();
	slab_init();
}
