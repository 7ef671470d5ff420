/*
 * The names of the operations in a recorded stream, and the lines that explain them.
 *
 * Owns the tables, which are constant.
 */
#include "lab/record.h"

#include "kernel/debug/events.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/printf.h"

#define OP(name) [TR_##name] = #name

/* clang-format off */
static const char *const op_names[] = {
	OP(NONE), OP(LOCK), OP(LOCKED), OP(LOCK_INTR), OP(CONTEND), OP(UNLOCK),
	OP(TRYLOCK), OP(HANDOVER), OP(IRQ_OFF), OP(SPIN_LOCK), OP(SPIN_TURN),
	OP(SPIN_CONTEND), OP(SPIN_LOCKED), OP(SPIN_TRYLOCK), OP(SPIN_TRIED),
	OP(SPIN_UNLOCK), OP(SPIN_UNLOCKED), OP(READ_LOCK), OP(READ_CONTEND),
	OP(READ_UNLOCK), OP(READ_TRYLOCK), OP(WRITE_TRYLOCK), OP(WRITE_LOCK),
	OP(WRITE_CONTEND), OP(WRITE_UNLOCK), OP(CALL_CORE), OP(COMES), OP(BLOCK),
	OP(RESUME), OP(INTERRUPT), OP(INTERRUPTED), OP(WAKE), OP(WAKE_UP),
	OP(SWITCH), OP(THREAD_BEGIN), OP(THREAD_END), OP(GET_ONLINE),
	OP(PUT_ONLINE), OP(HP_BEGIN), OP(HP_WAIT), OP(HP_DONE), OP(NOTIFY),
	OP(CORE_ON), OP(CORE_OFF), OP(GP_START), OP(GP_END), OP(GP_WAIT),
	OP(CALL_RCU), OP(ADOPT), OP(BARRIER), OP(BARRIER_COUNT),
	OP(BARRIER_LOOK), OP(BARRIER_QUEUE), OP(BARRIER_END), OP(RCU_CB),
	OP(CACHE_CREATE), OP(CACHE_DESTROY), OP(CACHE_UNLINK),
	OP(CACHE_RELINK), OP(CACHE_SHRINK), OP(CACHE_FREE),
	OP(CACHE_DESTROY_END), OP(CACHE_OBJECT), OP(WAIT_FOR), OP(WAIT_DONE),
	OP(COMPLETE), OP(DONE), OP(SHARED_READ), OP(SHARED_WRITE),
	OP(TIMER_ARM), OP(AWAIT), OP(NOTE),
};

static const char *const kinds[] = {
	[OF_NOTHING] = "nothing", [OF_MUTEX] = "mutex",
	[OF_MUTEX_OWNER] = "mutex-owner", [OF_SPIN] = "spin",
	[OF_RWSEM] = "rwsem", [OF_RWSEM_WRITER] = "rwsem-writer",
	[OF_QUEUE] = "queue", [OF_WAKE_UP] = "wake-up", [OF_NAMED] = "named",
	[OF_DATA] = "data", [OF_COUNT] = "count", [OF_CORE] = "core",
	[OF_CPU_EVENT] = "cpu-event", [OF_GP] = "gp",
	[OF_CALLBACK] = "callback", [OF_TEXT] = "text",
};
/* clang-format on */

const char *record_op_name(unsigned int op)
{
	return op < ARRAY_SIZE(op_names) ? op_names[op] ?: "?" : "?";
}

bool record_op_line(unsigned int op, char *line, size_t size)
{
	const struct event_info *info = event_info(op);
	char done[96], other[96];

	if (op >= ARRAY_SIZE(op_names))
		return false;
	ksnprintf(line, size, "op %s of=%s wait=%d done=%s other=%s",
		  record_op_name(op), kinds[info->of], info->is_wait,
		  record_word(done, sizeof(done), info->done ?: "-"),
		  record_word(other, sizeof(other), info->other ?: "-"));
	return true;
}
