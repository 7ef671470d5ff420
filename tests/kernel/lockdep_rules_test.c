/*
 * Suite lockdep: rules about a single lock: balance, memory, sleeping, RCU,
 * assertions.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
/* clang-format off */
ROWS(balance,
	{ UNBALANCED, ALL, "Ua" },
	{ UNBALANCED, ALL, "La Ua Ua" },
	{ UNBALANCED, ALL, "La UA Ua" },
	{ UNBALANCED, S|X, "La {Ua} Ua" },
	{ AT_END,     S|X, "{La} Ua" },
	{ SILENT,     ALL, "La Lb Lc Ub Ua Uc" },
	{ SILENT,     X,   "Ra Ra Ua Ua" },
	/* Of two locks of one class the right one is released. */
	{ SILENT,     X,   "Ra RA Ua hA UA" },
	{ SILENT,     M|X, "Lb Oa OA Ua hA UA Ub" },
	/* The lock that is left is on another chain than before. */
	{ RECURSIVE,  M|S|X, "La Tb Ua LA UA Ub  La Tb LA UA Ub Ua" })

ROWS(memory,
	{ FREED,  M|S|W|P, "La ia Da" },
	{ FREED,  W|P,     "Qa ia Da" },
	{ SILENT, ALL, "La Ua ia La Ua" },
	{ SILENT, ALL, "La iA ib Ua" })

ROWS(sleep,
	{ SLEEP,  M|W,   "s La Ua u" },
	{ SLEEP,  W|P,   "s Qa Ua u" },
	{ SLEEP,  M|W,   "x La Ua o" },
	{ SLEEP,  W|P,   "x Qa Ua o" },
	{ SLEEP,  M|W,   "[ La Ua ]" },
	{ SLEEP,  W|P,   "[ Qa Ua ]" },
	{ SLEEP,  M|W,   "{La Ua}" },
	{ SLEEP,  W|P,   "{Qa Ua}" },
	{ SILENT, M|W|P, "La s u Ua [ ] La Ua" },
	{ SILENT, M|W,   "s Ta Ua u [ Ta Ua ] x Ta Ua o {Ta Ua}" },
	{ SILENT, S,     "s La Ua u [ La Ua ] x La Ua o" },
	{ SILENT, X,     "z La z Ua z" },
	{ SLEEP,  X,     "s z u" },
	{ SLEEP,  X,     "x z o" },
	{ SLEEP,  X,     "[ z ]" },
	{ SLEEP,  X,     "{z}" })

ROWS(rcu,
	{ RCU,    X,   "d" },
	{ RCU,    M,   "La d Ua" },
	{ SILENT, X,   "[ d ]" },
	{ SILENT, X,   "[ [ ] d ]" },
	{ SILENT, S,   "La d Ua" },
	{ SILENT, X,   "x d o" },
	{ SILENT, X,   "{d}" },
	{ RCU,    ALL, "p" },
	{ RCU,    ALL, "LA p UA" },
	{ RCU,    X,   "[ p ]" },
	{ SILENT, ALL, "La p Ua" })

ROWS(asserts,
	{ NOT_HELD, ALL,   "ha" },
	{ NOT_HELD, ALL,   "La Ua ha" },
	{ NOT_HELD, ALL,   "LA ha UA" },
	{ SILENT,   ALL,   "La ha Ua" },
	{ SILENT,   W|P|X, "Qa ha Ua" },
	{ SILENT,   M|S|X, "Ta ha Ua" },
	{ SILENT,   ALL,   "La {ha} Ua" },
	{ NOT_HELD, X,     "c" },
	{ SILENT,   X,     "G c P" },
	{ NOT_HELD, X,     "G P c" })
/* clang-format on */
#endif
