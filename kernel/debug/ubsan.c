/*
 * The functions that the compiler's checks call in debug builds, if they find
 * undefined behaviour or a stack canary that was overwritten. Each finding is a
 * bug of the kernel, so each causes a panic. The names and the data layouts are
 * GCC's (-fsanitize=undefined).
 */
#include "kernel/debug/panic.h"

#if GORDIAN_DEBUG

uintptr_t __stack_chk_guard = 0x9d7ac3f1;
noreturn void __stack_chk_fail(void);

noreturn void __stack_chk_fail(void)
{
	panic("stack canary overwritten");
}

struct ub_place {
	const char *file;
	uint32_t line, column;
};

static noinline noreturn void ub_report(const void *data, const char *what)
{
	const struct ub_place *at = data; /* the first field of all of them */

	panic("undefined behaviour: %s at %s:%u", what, at->file,
	      (unsigned int)at->line);
}

#define HANDLER(name, what, ...)                                               \
	void __ubsan_handle_##name(void *data, ##__VA_ARGS__);                 \
	void __ubsan_handle_##name(void *data, ##__VA_ARGS__)                  \
	{                                                                      \
		ub_report(data, what);                                         \
	}

#define V void maybe_unused *
HANDLER(add_overflow, "signed addition overflows", V a, V b)
HANDLER(sub_overflow, "signed subtraction overflows", V a, V b)
HANDLER(mul_overflow, "signed multiplication overflows", V a, V b)
HANDLER(negate_overflow, "signed negation overflows", V a)
HANDLER(divrem_overflow, "division by zero or overflow", V a, V b)
HANDLER(shift_out_of_bounds, "shift out of bounds", V a, V b)
HANDLER(out_of_bounds, "array index out of bounds", V a)
HANDLER(builtin_unreachable, "unreachable code reached")
HANDLER(missing_return, "function ends without a value")
HANDLER(vla_bound_not_positive, "array size is not positive", V a)
HANDLER(load_invalid_value, "value that its type does not have", V a)
HANDLER(pointer_overflow, "pointer arithmetic overflows", V a, V b)
HANDLER(type_mismatch_v1, "null or misaligned access", V a)
HANDLER(nonnull_arg, "null passed where not allowed")
HANDLER(invalid_builtin, "builtin with a bad argument")

#endif
