/*
 * E0: the simplest deadlocks. See demos/e0.c.
 *
 * Left out: a spinlock in an interrupt (E0/irq), because there is no choice in it.
 *
 * row: E0/AB-BA     actors=AB_BA
 * row: E0/A-A       actors=AA
 * row: E0/ABC       actors=ABC
 * row: E0/one-order actors=AB_AB
 */
#include "lock.pml"

byte lock_a, lock_b, lock_c;

inline take_both(first, second)
{
	mutex_lock(first);
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first)
}

proctype AB() { take_both(lock_a, lock_b) }
proctype BA() { take_both(lock_b, lock_a) }
proctype BC() { take_both(lock_b, lock_c) }
proctype CA() { take_both(lock_c, lock_a) }
proctype A_A() { take_both(lock_a, lock_a) }

#define AB_BA 1
#define AA    2
#define ABC   3
#define AB_AB 4

init {
	atomic {
#if actors == AB_BA
		run AB();
		run BA()
#elif actors == AA
		run A_A()
#elif actors == ABC
		run AB();
		run BC();
		run CA()
#elif actors == AB_AB
		run AB();
		run AB()
#endif
	}
}
