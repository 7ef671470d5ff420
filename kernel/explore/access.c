/*
 * What the compiler calls for each plain access of an experiment. See access.h.
 *
 * Owns one flag.
 */
#include "kernel/explore/access.h"

#include <stddef.h>

#include "boot/boot.h"
#include "kernel/lib/compiler.h"
#include "kernel/sched/thread.h"

#if GORDIAN_DEBUG

bool explore_accesses;

static bool within(uintptr_t a, const char *from, const char *to)
{
	return a >= (uintptr_t)from && a < (uintptr_t)to;
}

static noinline void access_words(uintptr_t address, size_t size, bool write,
				  uintptr_t caller)
{
	for (uintptr_t a = WORD_OF(address); a < address + size; a += 4) {
		if (within(a, experiments_data_start, experiments_data_end) ||
		    within(a, experiments_bss_start, experiments_bss_end))
			explore_access(a, write, caller);
		else if (a < (uintptr_t)image_start ||
			 a >= (uintptr_t)image_end)
			explore_access_elsewhere(a, write, caller);
	}
}

static always_inline void access(const void *address, size_t size, bool write,
				 uintptr_t caller)
{
	if (unlikely(READ_ONCE(explore_accesses)))
		access_words((uintptr_t)address, size, write, caller);
}

/* The compiler calls functions whose names begin with __tsan_. It has its own
 * declarations of these names, so the C names of the functions differ from the
 * names that the linker sees. */
#define NAMED(name) __asm__("__tsan_" name)
#define HOOK(name, size, write)                                                \
	void hook_##name(const void *address) NAMED(#name);                    \
	void hook_##name(const void *address)                                  \
	{                                                                      \
		access(address, size, write, CALLER);                          \
	}
#define HOOKS(size)                                                            \
	HOOK(read##size, size, false)                                          \
	HOOK(write##size, size, true)                                          \
	HOOK(unaligned_read##size, size, false)                                \
	HOOK(unaligned_write##size, size, true)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void hook_read_range(const void *address, size_t size) NAMED("read_range");
void hook_read_range(const void *address, size_t size)
{
	access(address, size, false, CALLER);
}

void hook_write_range(const void *address, size_t size) NAMED("write_range");
void hook_write_range(const void *address, size_t size)
{
	access(address, size, true, CALLER);
}

/*
 * The compiler calls these functions instead of atomic operations. Each
 * function does the operation with the strongest memory order, whatever order
 * is asked for.
 */
#define ATOMIC_LOAD(bits)                                                      \
	uint##bits##_t hook_load_##bits(const uint##bits##_t *p, int order)    \
		NAMED("atomic" #bits "_load");                                 \
	uint##bits##_t hook_load_##bits(const uint##bits##_t *p,               \
					int order maybe_unused)                \
	{                                                                      \
		access(p, (bits) / 8, false, CALLER);                          \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                   \
	}
#define ATOMIC_STORE(bits)                                                     \
	void hook_store_##bits(uint##bits##_t *p, uint##bits##_t v, int order) \
		NAMED("atomic" #bits "_store");                                \
	void hook_store_##bits(uint##bits##_t *p, uint##bits##_t v,            \
			       int order maybe_unused)                         \
	{                                                                      \
		access(p, (bits) / 8, true, CALLER);                           \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                      \
	}
#define ATOMIC_CHANGE(bits, name, builtin)                                     \
	uint##bits##_t hook_##name##_##bits(uint##bits##_t *p,                 \
					    uint##bits##_t v, int order)       \
		NAMED("atomic" #bits "_" #name);                               \
	uint##bits##_t hook_##name##_##bits(                                   \
		uint##bits##_t *p, uint##bits##_t v, int order maybe_unused)   \
	{                                                                      \
		access(p, (bits) / 8, true, CALLER);                           \
		return __atomic_##builtin(p, v, __ATOMIC_SEQ_CST);             \
	}
#define ATOMIC_COMPARE(bits, name)                                             \
	bool hook_##name##_##bits(uint##bits##_t *p, uint##bits##_t *was,      \
				  uint##bits##_t v, int order, int fail)       \
		NAMED("atomic" #bits "_compare_exchange_" #name);              \
	bool hook_##name##_##bits(uint##bits##_t *p, uint##bits##_t *was,      \
				  uint##bits##_t v, int order maybe_unused,    \
				  int fail maybe_unused)                       \
	{                                                                      \
		access(p, (bits) / 8, true, CALLER);                           \
		return __atomic_compare_exchange_n(                            \
			p, was, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}
#define ATOMICS(bits)                                                          \
	ATOMIC_LOAD(bits)                                                      \
	ATOMIC_STORE(bits)                                                     \
	ATOMIC_CHANGE(bits, exchange, exchange_n)                              \
	ATOMIC_CHANGE(bits, fetch_add, fetch_add)                              \
	ATOMIC_CHANGE(bits, fetch_sub, fetch_sub)                              \
	ATOMIC_CHANGE(bits, fetch_and, fetch_and)                              \
	ATOMIC_CHANGE(bits, fetch_or, fetch_or)                                \
	ATOMIC_CHANGE(bits, fetch_xor, fetch_xor)                              \
	ATOMIC_COMPARE(bits, strong)                                           \
	ATOMIC_COMPARE(bits, weak)
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)

void hook_fence(int order) NAMED("atomic_thread_fence");
void hook_fence(int order maybe_unused)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void hook_init(void) NAMED("init");
void hook_init(void)
{
}
#endif
