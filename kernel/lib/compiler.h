/*
 * Small language helpers. Owns nothing; any context.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Marks a function whose frame must be visible in a backtrace (docs/design.md,
 * "frames"). */
#if GORDIAN_DEBUG
#define story __attribute__((__noinline__))
#else
#define story
#endif

#define noinline	  __attribute__((__noinline__))
#define always_inline	  inline __attribute__((__always_inline__))
#define noreturn	  __attribute__((__noreturn__))
#define aligned(n)	  __attribute__((__aligned__(n)))
#define cache_aligned	  __attribute__((__aligned__(64)))
#define printf_like(f, a) __attribute__((__format__(__printf__, f, a)))
#define maybe_unused	  __attribute__((__unused__))

/* Memory that holds anything at boot: nobody reads it before it is written. */
#define not_cleared __attribute__((__section__(".bss.not_cleared")))

/* The address this function returns to: the caller that a report names. */
#define CALLER ((uintptr_t)__builtin_return_address(0))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                        \
	((type *)((char *)(ptr)-offsetof(type, member)))

/* Single, untorn accesses to shared data (docs/design.md, "shared data"). */
#define READ_ONCE(x)	 __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* a if `a relation b` is true, else b. Evaluates a and b once. */
#define PICK(a, relation, b)                                                   \
	({                                                                     \
		__typeof__(a) _a = (a);                                        \
		__typeof__(b) _b = (b);                                        \
		_a relation _b ? _a : _b;                                      \
	})
#define min(a, b) PICK(a, <, b)
#define max(a, b) PICK(a, >, b)

/* Round x up to a multiple of a, which is a power of two. */
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((a)-1))
