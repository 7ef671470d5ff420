/*
 * Suite lockdep: the order in which one thread takes locks, its own lock again,
 * nesting levels, trylocks, and locks that are not validated.
 */
#include "tests/kernel/lockdep_rows.h"

#if GORDIAN_DEBUG
/* clang-format off */
ROWS(order,
	{ SILENT,   ALL, "La Ua La Ua" },
	{ SILENT,   ALL, "La Lb Ub Ua  La Lb Ub Ua" },
	{ SILENT,   ALL, "La Lb Ua Ub  La Lb Ub Ua" }, /* released in another order */
	{ SILENT,   ALL, "La Ua Lb Ub  Lb Ub La Ua" },
	{ SILENT,   ALL, "La Lb Lc Uc Ub Ua  La Lc Uc Ua  Lb Lc Uc Ub" },
	{ SILENT,   ALL, "La Lb Ua Lc Ub Uc  La Lc Uc Ua" }, /* hand over hand */
	{ SILENT,   ALL, "La Lb Ub Ua  La Lc Uc Ua  Lb Ld Ud Ub  Lc Ld Ud Uc" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, ALL, "La Lb Ua Ub  LB LA UA UB" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lb Lc Uc Ub  Lc La Ua Uc" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lc La Ua Uc  Lb Lc Uc Ub" },
	{ CIRCULAR, ALL, "La Lb Ua Lc Ub Uc  Lc La Ua Uc" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lb Lc Uc Ub  Lc Ld Ud Uc  Ld La Ua Ud" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lc Ld Ud Uc  Lb Ld Ud Ub  Ld La Ua Ud" },
	{ CIRCULAR, ALL, "La Lb Ub Ua  Lc Ld Ud Uc  Lb Lc Uc Ub  Ld La Ua Ud" },
	/* Only b -> c is recorded for Lc: a -> c follows from a -> b. */
	{ CIRCULAR, ALL, "La Lb Lc Uc Ub Ua  Lc La Ua Uc" })

ROWS(recursion,
	{ RECURSIVE, ALL,   "La LA UA Ua" },
	{ RECURSIVE|CIRCULAR, ALL, "La Lb LA UA Ub Ua" },
	{ SILENT,    ALL,   "La Ua LA UA" },
	{ SILENT,    M|S|X, "La TA UA Ua" },
	{ RECURSIVE, W|P|X, "Qa QA UA Ua" },
	{ RECURSIVE, W|P|X, "Qa LA UA Ua" },
	{ RECURSIVE, W|P|X, "La QA UA Ua" },
	{ SILENT,    W,     "Qa TA UA Ua" },
	{ SILENT,    X,     "Ra RA UA Ua" },
	{ SILENT,    X,     "Qa RA UA Ua" },
	{ RECURSIVE, X,     "Ra QA UA Ua" },
	{ RECURSIVE, X,     "Ra LA UA Ua" },
	{ RECURSIVE, X,     "La RA UA Ua" },
	{ SILENT,    ALL,   "kA La LA UA Ua" },
	{ CIRCULAR,  ALL,   "kA La LA UA Ua  LA La Ua UA" })

ROWS(nesting,
	{ SILENT,    M|S|W|X, "La NA UA Ua  La NA UA Ua" },
	{ SILENT,    M|S|W|X, "Na Ua  La Ua" },
	{ RECURSIVE, M|S|W|X, "Na NA UA Ua" },
	{ CIRCULAR,  M|S|W|X, "La NA UA Ua  Na LA UA Ua" },
	{ CIRCULAR,  M|S|W|X, "Na Lb Ub Ua  Lb Na Ua Ub" },
	{ SILENT,    M|S|W|X, "Na Lb Ub Ua  Lb La Ua Ub" },
	{ SILENT,    M|X,     "Lb Oa OA UA Ua Ub  Lb OA Oa Ua UA Ub" },
	{ NEST|RECURSIVE, M|X, "Lb Oa Ub OA UA Ua" },
	{ RECURSIVE, M|X,     "Lb Oa OA UA Ua Ub  Lb La LA UA Ua Ub" },
	/* Below a lock of the same class, the others still come first. */
	{ CIRCULAR,  M|X,     "Lb Lc Ta OA UA Ua Uc Ub  La Lc Uc Ua" },
	{ NEST,      M|X,     "Oa Ua" },
	{ NEST,      M|X,     "Lb Oa Ua Ub  Oa Ua" },
	/* The same classes, but another outer lock. */
	{ NEST,      M|X,     "Lb Oa Ua Ub  LB Oa Ua UB" },
	{ NEST|RECURSIVE, M|X, "La OA UA Ua" })

ROWS(trylock,
	{ SILENT,   M|S|X, "La Tb Ub Ua  Lb Ta Ua Ub" },
	{ SILENT,   M|S|X, "La Lb Ub Ua  Lb Ta Ua Ub" },
	{ SILENT,   W,     "La Tb Ub Ua  Lb Ta Ua Ub" },
	{ CIRCULAR, M|S|W|X, "Ta Lb Ub Ua  Lb La Ua Ub" },
	{ CIRCULAR, M|S|W|X, "Ta Lb Ub Ua  Tb La Ua Ub" },
	{ CIRCULAR, M|S|W|X, "La Tb Lc Uc Ub Ua  Lc La Ua Uc" },
	{ CIRCULAR, M|S|W|X, "La Tb Lc Uc Ub Ua  Lc Lb Ub Uc" },
	/* First a trylock, then a lock: these are two sequences. */
	{ CIRCULAR, M|S|W|X, "Lb La Ua Ub  La Tb Ub Ua  La Lb Ub Ua" })

ROWS(not_validated,
	{ SILENT,   ALL, "na nb  La Lb Ub Ua  Lb La Ua Ub" },
	{ SILENT,   ALL, "na nA  La LA UA Ua" },
	{ SILENT,   ALL, "na  La ha Ua" },
	{ CIRCULAR, ALL, "na  La Lb Lc Uc Ub Ua  Lc Lb Ub Uc" })
/* clang-format on */
#endif
