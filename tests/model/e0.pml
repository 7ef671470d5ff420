/*
 * E0: the simplest deadlocks. See demos/e0.c.
 *
 * row: E0/AB-BA     actors=AB_BA
 * row: E0/A-A       actors=AA
 * row: E0/irq       actors=IRQ
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
/* A holds a spinlock with interrupts on. The interrupt comes at any time, or never, and A
 * does not go on before it has ended. */
byte spin;
bool in_irq;
inline spin_lock(s) { atomic { s == 0 -> s = 1 } }
proctype A_spins()
{
	d_step { !in_irq && spin == 0 -> spin = 1 };
	d_step { !in_irq -> spin = 0 }
}
proctype I_spins()
{
	if
	:: in_irq = true; spin_lock(spin); spin = 0; in_irq = false
	:: true
	fi
}

proctype A_A() { take_both(lock_a, lock_a) }

#define AB_BA 1
#define AA    2
#define ABC   3
#define AB_AB 4
#define IRQ   5

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
#elif actors == IRQ
		run A_spins();
		run I_spins()
#elif actors == AB_AB
		run AB();
		run AB()
#endif
	}
}
