/*
 * RCU: callbacks, the threads that run them, rcu_barrier(). See kernel/rcu/callback.c; the
 * variants: demos/forms/barrier.c (mck, 3_6), demos/e8.c (reffirst), demos/e10.c (5_18),
 * demos/e18.c (nolock). An experiment chooses one by `rcu`.
 *
 * Each core has a list of callbacks, oldest first, and a count that falls only when a
 * callback has run. rcuc runs them while the core is online.
 *
 * Left out: grace periods. A callback may run at any time after it was queued: at once, or
 * however late. (For grace periods see e12.pml and e17.pml.) An adopted callback goes behind
 * those of its new core; in the kernel the ready ones go in front. Code that the kernel runs
 * with interrupts or preemption off, or under a spinlock, is one step.
 */
#define rcu_kernel   0
#define rcu_mckenney 1
#define rcu_3_6	     2
#define rcu_reffirst 3
#define rcu_5_18     4
#define rcu_nolock   5
#define rcu_onoff    6
#ifndef rcu
#define rcu rcu_kernel
#endif

/* Cores: that of D and others, that of U, and the one that goes off or on. */
#define ON_D	0
#define ON_U	1
#define TOGGLED 2
#define NR_CPUS 3
bool online[NR_CPUS];
bool parked[NR_CPUS]; /* the rcuc of that core */

/* Callbacks: a slab of the victim, a core's last callback, the barrier's own. An
 * experiment may have more. It then says what they do. */
#ifndef own_callback
#define own_callback(cb) assert(false)
#endif
mtype = { VICTIM, LAST_CALLBACK, BARRIER };
chan cbs[NR_CPUS] = [5] of { mtype };
byte cbs_len[NR_CPUS];
bool invoking[NR_CPUS];

bool cache_freed; /* what VICTIM must not find */
bool last_queued, last_ran, last_missed;

byte barrier_mutex;
byte n_barrier_done; /* odd: one is in progress */
byte barrier_count;
bool barrier_completion;

inline call_rcu(on, cb)
{
	d_step { cbs[on]!cb; cbs_len[on]++ }
}

inline barrier_done()
{
	d_step {
		barrier_count--;
		if
		:: barrier_count == 0 -> barrier_completion = true
		:: else
		fi
	}
}

/* It is not stopped in the middle of a callback: parking waits until it has run. */
proctype rcuc(byte cpu)
{
	mtype cb;
end:
	do
	:: atomic {
		!parked[cpu] && nempty(cbs[cpu]) ->
			cbs[cpu]?cb;
			invoking[cpu] = true
		};
		if
		:: cb == VICTIM -> assert(!cache_freed)
		:: cb == LAST_CALLBACK -> last_ran = true
		:: cb == BARRIER -> barrier_done()
		:: else -> own_callback(cb)
		fi;
		d_step { cbs_len[cpu]--; invoking[cpu] = false; cb = 0 }
	od
}

/* ---- rcu_barrier, its steps ---------------------------------------------- */

inline rcu_barrier_queue(on)
{
	d_step { barrier_count++; cbs[on]!BARRIER; cbs_len[on]++ }
}

#define rcu_barrier_gone_by(snap) (n_barrier_done >= ((snap + 1) / 2) * 2 + 2)

inline rcu_barrier_begin()
{
	n_barrier_done++;
	d_step { barrier_completion = false; barrier_count = 1 }
}

/* The look, and then the call; a core that has gone off does not answer. */
inline rcu_barrier_entrain(on)
{
	if
	:: cbs_len[on] > 0 ->
		atomic {
			if
			:: online[on] -> rcu_barrier_queue(on)
			:: else
			fi
		}
	:: else
	fi
}

inline for_each_online_cpu_entrain()
{
	rcu_barrier_entrain(ON_D);
	rcu_barrier_entrain(ON_U);
	rcu_barrier_entrain(TOGGLED)
}

inline rcu_barrier_wait()
{
	barrier_done();
	n_barrier_done++;
	barrier_completion
}

/* ---- the kernel's -------------------------------------------------------- */

inline _rcu_barrier()
{
	byte snap;

	snap = n_barrier_done;
	mutex_lock(barrier_mutex);
	if
	:: rcu_barrier_gone_by(snap)
	:: else ->
		rcu_barrier_begin();
		get_online_cpus();
		for_each_online_cpu_entrain();
		put_online_cpus();
		rcu_barrier_wait()
	fi;
	mutex_unlock(barrier_mutex)
}

/* ---- McKenney's first proposal ------------------------------------------- */

inline _rcu_barrier__mck()
{
	bool notifier;
	byte snap;

	notifier = i_am_writer;
	snap = n_barrier_done;
	mutex_lock(barrier_mutex);
	if
	:: rcu_barrier_gone_by(snap)
	:: else ->
		rcu_barrier_begin();
		if
		:: !notifier -> get_online_cpus()
		:: else
		fi;
		for_each_online_cpu_entrain();
		if
		:: !notifier -> put_online_cpus()
		:: else
		fi;
		rcu_barrier_wait()
	fi;
	mutex_unlock(barrier_mutex)
}

/* ---- E8c: the hotplug reference first ------------------------------------ */

inline _rcu_barrier__reffirst()
{
	byte snap;

	snap = n_barrier_done;
	get_online_cpus();
	mutex_lock(barrier_mutex);
	if
	:: rcu_barrier_gone_by(snap)
	:: else ->
		rcu_barrier_begin();
		for_each_online_cpu_entrain();
		rcu_barrier_wait()
	fi;
	mutex_unlock(barrier_mutex);
	put_online_cpus()
}

/* ---- E18: no lock against a core that goes off --------------------------- */

inline _rcu_barrier__nolock()
{
	byte snap;

	snap = n_barrier_done;
	mutex_lock(barrier_mutex);
	if
	:: rcu_barrier_gone_by(snap)
	:: else ->
		rcu_barrier_begin();
		for_each_online_cpu_entrain();
		rcu_barrier_wait()
	fi;
	mutex_unlock(barrier_mutex)
}

/* ---- Linux 3.6: the callbacks of a dead core are orphans first ----------- */

#if rcu == rcu_3_6
chan orphans = [5] of { mtype };
byte rcu_barrier_in_progress; /* the thread */

inline rcu_adopt_orphan_cbs(on)
{
	if
	:: rcu_barrier_in_progress != 0 && rcu_barrier_in_progress != me
	:: else ->
		do
		:: nempty(orphans) -> orphans?orphan; call_rcu(on, orphan)
		:: empty(orphans) -> break
		od
	fi
}

inline rcu_adopt__3_6(dead)
{
	mtype orphan;

	atomic {
		do
		:: nempty(cbs[dead]) -> cbs[dead]?orphan; orphans!orphan
		:: empty(cbs[dead]) -> break
		od;
		cbs_len[dead] = 0;
		rcu_adopt_orphan_cbs(cpu);
		orphan = 0
	}
}

/* The core cannot go off between the look and the call. If it is off: wait until its
 * callbacks have been moved. */
inline entrain_or_wait(on)
{
	atomic {
		if
		:: online[on] -> rcu_barrier_entrain(on)
		:: !online[on] && cbs_len[on] == 0
		fi
	}
}

inline _rcu_barrier__3_6()
{
	byte snap;
	mtype orphan;

	snap = n_barrier_done;
	mutex_lock(barrier_mutex);
	if
	:: rcu_barrier_gone_by(snap)
	:: else ->
		rcu_barrier_begin();
		rcu_barrier_in_progress = me;
		entrain_or_wait(ON_D);
		entrain_or_wait(ON_U);
		entrain_or_wait(TOGGLED);
		atomic { /* adopt_and_follow() */
			rcu_adopt_orphan_cbs(cpu);
			orphan = 0;
			rcu_barrier_in_progress = 0;
			rcu_barrier_queue(cpu)
		};
		rcu_barrier_wait()
	fi;
	mutex_unlock(barrier_mutex)
}
#endif

/* ---- since 2021: moving a dead core's callbacks includes the barrier's --- */

byte entrained[NR_CPUS]; /* barrier_lock: the barrier, by its number */

inline rcu_barrier_entrain__5_18(on)
{
	if
	:: n_barrier_done % 2 == 1 && entrained[on] != n_barrier_done ->
		if
		:: cbs_len[on] > 0 -> rcu_barrier_queue(on)
		:: else
		fi;
		entrained[on] = n_barrier_done
	:: else
	fi
}

/* From this core if that one is off or has no callbacks, else by a call. */
inline entrain_anywhere(on)
{
	do
	:: atomic {
		if
		:: !online[on] || cbs_len[on] == 0 ->
			rcu_barrier_entrain__5_18(on)
		:: else
		fi;
		if
		:: entrained[on] == n_barrier_done -> break
		:: else
		fi
		};
		atomic {
			if
			:: online[on] -> rcu_barrier_entrain__5_18(on)
			:: else /* it has just gone off */
			fi
		}
	od
}

inline _rcu_barrier__5_18()
{
	byte snap;

	snap = n_barrier_done;
	mutex_lock(barrier_mutex);
	if
	:: rcu_barrier_gone_by(snap)
	:: else ->
		atomic { rcu_barrier_begin() };
		entrain_anywhere(ON_D);
		entrain_anywhere(ON_U);
		entrain_anywhere(TOGGLED);
		rcu_barrier_wait()
	fi;
	mutex_unlock(barrier_mutex)
}

/* ---- a core has gone off ------------------------------------------------- */

/* The callbacks move to the core of the caller. */
inline rcu_adopt__kernel(dead)
{
	mtype cb;

	atomic {
		do
		:: nempty(cbs[dead]) -> cbs[dead]?cb; call_rcu(cpu, cb)
		:: empty(cbs[dead]) -> break
		od;
		cbs_len[dead] = 0;
		cb = 0
	}
}

inline rcu_adopt__5_18(dead)
{
	atomic {
		rcu_barrier_entrain__5_18(dead);
		rcu_adopt__kernel(dead)
	}
}

/* ---- which ones ---------------------------------------------------------- */

#if rcu == rcu_mckenney
#define rcu_barrier _rcu_barrier__mck
#elif rcu == rcu_3_6
#define rcu_barrier _rcu_barrier__3_6
#define rcu_adopt   rcu_adopt__3_6
#elif rcu == rcu_reffirst
#define rcu_barrier _rcu_barrier__reffirst
#elif rcu == rcu_5_18
#define rcu_barrier _rcu_barrier__5_18
#define rcu_adopt   rcu_adopt__5_18
#elif rcu == rcu_nolock
#define rcu_barrier _rcu_barrier__nolock
#elif rcu == rcu_onoff
#define rcu_adopt   rcu_adopt__onoff
#endif
#ifndef rcu_barrier
#define rcu_barrier _rcu_barrier
#endif
#ifndef rcu_adopt
#define rcu_adopt   rcu_adopt__kernel
#endif

inline rcu_cleanup_dead_cpu(dead)
{
	if
	:: cbs_len[dead] > 0 -> rcu_adopt(dead)
	:: else
	fi
}

/* ---- a callback that shows whether a barrier has waited for it ----------- */

inline queue_last_callback(on)
{
	atomic { call_rcu(on, LAST_CALLBACK); last_queued = true }
}

inline rcu_barrier_watched()
{
	bool before;

	before = last_queued;
	rcu_barrier();
	last_missed = before && !last_ran; /* returned too early */
	assert(!last_missed)
}
