/*
 * Exchanges parts of the kernel while an experiment runs: the hotplug lock, RCU's
 * parameters. It can also add a notifier. (A scenario's `.world`.)
 *
 * Owns no data. In the runner's thread, while no actor runs; demo_mutex held.
 */
#include "lab/stage.h"

/* While the two mutexes are held, no barrier runs, and no core comes or goes.
 * If a field of p is NULL, the kernel's own function is used. */
static void exchange_rcu(const struct rcu_parameters *p)
{
	struct rcu_state *rsp = &rcu_sched_state;

	mutex_lock(&cpu_add_remove_lock);
	mutex_lock(&rsp->barrier_mutex);
	WRITE_ONCE(rsp->grace_period,
		   p->grace_period ? p->grace_period : rcu_grace_period);
	WRITE_ONCE(rsp->adopt, p->adopt ? p->adopt : rcu_adopt);
	WRITE_ONCE(rsp->barrier, p->barrier ? p->barrier : _rcu_barrier);
	mutex_unlock(&rsp->barrier_mutex);
	mutex_unlock(&cpu_add_remove_lock);
}

int world_exchange(const struct scenario *sc)
{
	if (sc->world.rcu)
		exchange_rcu(sc->world.rcu);
	return sc->world.notifier ? register_cpu_notifier(sc->world.notifier) :
				    0;
}

void world_restore(const struct scenario *sc)
{
	static const struct rcu_parameters kernels_own;

	if (sc->world.notifier)
		unregister_cpu_notifier(sc->world.notifier);
	if (sc->world.rcu)
		exchange_rcu(&kernels_own);
}
