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
	/* What another context has released is gone; what it has left can be
	 * released. Neither is reported again. */
	{ UNBALANCED, S|X, "La {Ua} Ua  La Ua" },
	{ UNBALANCED, S|X, "La {Ua} La Ua Ua" },
	{ UNBALANCED, S|X, "La Lb {Ua} Ub Ua" },
	{ UNBALANCED, S|X, "La {Ua Ua} Ua" },
	{ UNBALANCED|AT_END, S, "s {u Lb} {Ub} u" },
	{ UNBALANCED|AT_END, S, "LA {s UA} u UA" },
	{ UNBALANCED|AT_END, S, "Lb {Ub s Na} u Ua Ub" },
	{ UNBALANCED|AT_END|INCONSISTENT, S, "Tb {Ub Lb La} Ub Ub Ua" },
	{ UNBALANCED|AT_END|LEFT, S, "La {[ Ua Lb} Ua Ub ]" },
	{ UNBALANCED|AT_END|INCONSISTENT, S, "TA {UA La TA} {Ua} UA UA" },
	{ UNBALANCED|NEST, X, "Lb {Ub} Oa Ub Ua" },
	{ AT_END,     S|X, "{La} Ua  x La Ua o" },
	{ AT_END,     S|X, "{La} {Ua}" },
	{ AT_END,     S|X, "{La Lb} Ua Ub" },
	{ AT_END,     S|X, "{La} ha Ua" },
	{ AT_END|NOT_HELD, S|X, "{La} Ua ha" },
	{ UNBALANCED|NOT_HELD, S|X, "La {Ua} ha Ua" },
	/* A lock that is left makes no order. */
	{ AT_END,     S|X, "{La} Lb Ub Ua  x Lb La Ua Ub o" },
	{ AT_END,     M|S|X, "Lb {s} Ub u  La Ua" },
	{ SILENT,     X,   "Ra Ra Ua Ua" },
	/* Of two locks of one class the right one is released. */
	{ SILENT,     X,   "Ra RA Ua hA UA" },
	{ SILENT,     M|X, "Lb Oa OA Ua hA UA Ub" },
	/* The lock that is left is on another chain than before. */
	{ RECURSIVE,  M|S|X, "La Tb Ua LA UA Ub  La Tb LA UA Ub Ua" })

ROWS(memory,
	{ FREED,  M|S|W|P, "La ia Ua La Ua" },
	{ FREED,  W|P,     "Qa ia Ua La Ua" },
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
	{ SLEEP,  X,     "{z}" },
	/* Locks of a type that spins, whatever the counts say. */
	{ SLEEP,  S,     "La z Ua" },
	{ SLEEP,  S,     "Ta z Ua" },
	{ SILENT, X,     "La z Ua" },
	{ SILENT, M|W|P, "La z Ua" },
	{ SILENT, S,     "La Ua z" },
	{ SLEEP,  M|W,   "s ma u" },
	{ SILENT, M|W|S, "ma  La Ua" },
	{ SILENT, S,     "s ma u" })

ROWS(readers_open,
	{ SILENT,     X, "[ ]" },
	{ SILENT,     X, "[ [ ] {[ ]} ]" },
	{ UNBALANCED, X, "]" },
	{ UNBALANCED, X, "[ ] ]" },
	{ UNBALANCED, M, "]  La Ua" },
	{ UNBALANCED, X, "{]}" },
	{ UNBALANCED, X, "[ {]} ]" },
	{ LEFT,       X, "{[}" },
	{ LEFT,       X, "{[} ]" },
	{ LEFT,       M, "{[}  La Ua" },
	{ LEFT,       X, "{[ [}" },
	{ LEFT|UNBALANCED, X, "{[} ] ]" },
	{ LEFT|AT_END, S|X, "{La [} Ua" })

ROWS(flags_left,
	{ LEFT,   X,   "{o}" },
	{ LEFT,   M,   "{o}  La Ua" },
	{ SILENT, X,   "{x}" },
	{ AT_END|INCONSISTENT, S|X, "{La o} Ua" })

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
	{ SILENT,   ALL,   "La wa Ua fa" },
	{ NOT_HELD, ALL,   "La ra Ua" },
	{ NOT_HELD, ALL,   "wa" },
	{ SILENT,   W|P|X, "Qa ra Ua" },
	{ NOT_HELD, W|P|X, "Qa wa Ua" },
	{ NOT_HELD, ALL,   "La fa Ua" },
	{ SILENT,   ALL,   "LA fa UA" },
	{ SILENT,   ALL,   "na La fa Ua" },
	{ NOT_HELD, X,     "c" },
	{ SILENT,   X,     "G c P" },
	{ NOT_HELD, X,     "G P c" })
/* clang-format on */
#endif
