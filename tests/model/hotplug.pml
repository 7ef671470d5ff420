/*
 * The hotplug lock: the counter of 2012 and its variants, and the rw-semaphore.
 * See kernel/cpu/hotplug_lock.c, demos/forms/hotplug_3_6.c, demos/e4.c (counted),
 * demos/forms/hotplug_rwsem.c, and percpu_rwsem in kernel/sync/rwsem.c.
 *
 * An experiment chooses one by `ops`, as its scenario does in C.
 *
 * Left out: cpu_add_remove_lock, because there is only one U. The readers of the
 * rw-semaphore are one number, not one for each core, because no thread here changes its
 * core while it holds it. Memory is sequentially consistent.
 */
#define hotplug_counter_ops 0
#define hotplug_3_6_ops	    1
#define hotplug_bhat_a_ops  2
#define hotplug_bhat_b_ops  3
#define hotplug_morton_ops  4
#define hotplug_counted_ops 5
#define hotplug_rwsem_ops   6
#ifndef ops
#define ops hotplug_counter_ops
#endif

typedef cpu_hotplug_t {
	byte lock;	    /* a mutex */
	short refcount;	    /* guarded by lock */
	byte active_writer; /* set before it holds any lock */
	bool writer_sleeps;
};
cpu_hotplug_t cpu_hotplug;
short refs[12]; /* for each thread: taken minus given back */

#define i_am_writer (cpu_hotplug.active_writer == me)

inline cpu_hotplug_count(by)
{
	d_step {
		cpu_hotplug.refcount = cpu_hotplug.refcount + (by);
		refs[_pid] = refs[_pid] + (by)
	}
}

inline cpu_hotplug_wake_writer()
{
	cpu_hotplug.writer_sleeps = false
}

/* ---- the kernel's -------------------------------------------------------- */

inline get_online_cpus__counter()
{
	if
	:: i_am_writer
	:: else ->
		mutex_lock(cpu_hotplug.lock);
		cpu_hotplug_count(1);
		mutex_unlock(cpu_hotplug.lock)
	fi
}

inline put_online_cpus__counter()
{
	if
	:: i_am_writer
	:: else ->
		mutex_lock(cpu_hotplug.lock);
		if
		:: cpu_hotplug.refcount == 0 ->
			warn();
			cpu_hotplug_count(1) /* repaired: one too many */
		:: else
		fi;
		cpu_hotplug_count(-1);
		if
		:: cpu_hotplug.refcount == 0 -> cpu_hotplug_wake_writer()
		:: else
		fi;
		mutex_unlock(cpu_hotplug.lock)
	fi
}

inline cpu_hotplug_begin__counter()
{
	cpu_hotplug.active_writer = me;
	do
	:: mutex_lock(cpu_hotplug.lock);
		if
		:: cpu_hotplug.refcount == 0 -> break /* with the lock held */
		:: else ->
			cpu_hotplug.writer_sleeps = true;
			mutex_unlock(cpu_hotplug.lock);
			!cpu_hotplug.writer_sleeps
		fi
	od
}

inline cpu_hotplug_done__counter()
{
	cpu_hotplug.active_writer = 0;
	mutex_unlock(cpu_hotplug.lock)
}

/* ---- before the merged check, and the checks that were proposed ---------- */

inline put_online_cpus__3_6()
{
	if
	:: i_am_writer
	:: else ->
		mutex_lock(cpu_hotplug.lock);
		cpu_hotplug_count(-1);
		if
		:: cpu_hotplug.refcount == 0 -> cpu_hotplug_wake_writer()
		:: else
		fi;
		mutex_unlock(cpu_hotplug.lock)
	fi
}

inline get_online_cpus__bhat_a()
{
	if
	:: i_am_writer
	:: else ->
		mutex_lock(cpu_hotplug.lock);
		BUG_ON(cpu_hotplug.refcount < 0);
		cpu_hotplug_count(1);
		mutex_unlock(cpu_hotplug.lock)
	fi
}

inline put_online_cpus__bhat_b()
{
	if
	:: i_am_writer
	:: else ->
		mutex_lock(cpu_hotplug.lock);
		BUG_ON(cpu_hotplug.refcount == 0);
		cpu_hotplug_count(-1);
		if
		:: cpu_hotplug.refcount == 0 -> cpu_hotplug_wake_writer()
		:: else
		fi;
		mutex_unlock(cpu_hotplug.lock)
	fi
}

inline put_online_cpus__morton()
{
	if
	:: i_am_writer
	:: else ->
		mutex_lock(cpu_hotplug.lock);
		cpu_hotplug_count(-1);
		if
		:: cpu_hotplug.refcount == 0 ->
			if
			:: cpu_hotplug.refcount == -1 ->
				warn();
				cpu_hotplug_count(1)
			:: else
			fi;
			cpu_hotplug_wake_writer()
		:: else
		fi;
		mutex_unlock(cpu_hotplug.lock)
	fi
}

/* ---- counted for each thread: a thread gives back only its own ----------- */

inline put_online_cpus__counted()
{
	if
	:: i_am_writer || refs[_pid] <= 0
	:: else -> put_online_cpus__counter()
	fi
}

/* ---- the rw-semaphore ---------------------------------------------------- */

typedef percpu_rwsem {
	byte writers; /* a mutex */
	byte writer;
	bool block;	    /* there is a writer */
	bool draining;	    /* it waits for the readers that are in */
	bool writer_sleeps;
	byte count;	    /* readers that are in, or that are looking */
};
percpu_rwsem cpu_hotplug_lock;
bool queued[12]; /* for each thread: it waits as a reader for the writer's end */

/* A reader has left, or could not enter: the writer may have waited for this. */
inline tell_writer()
{
	atomic {
		if
		:: cpu_hotplug_lock.draining ->
			cpu_hotplug_lock.writer_sleeps = false
		:: else
		fi
	}
}

inline cpus_read_lock()
{
	do
	:: cpu_hotplug_lock.count++;
		if
		:: !cpu_hotplug_lock.block -> break
		:: else ->
			cpu_hotplug_lock.count--;
			tell_writer();
			queued[_pid] = cpu_hotplug_lock.block;
			!queued[_pid]
		fi
	od
}

inline cpus_read_unlock()
{
	cpu_hotplug_lock.count--;
	if
	:: cpu_hotplug_lock.block -> tell_writer()
	:: else
	fi
}

inline cpus_write_lock()
{
	mutex_lock(cpu_hotplug_lock.writers);
	d_step {
		cpu_hotplug_lock.writer = me;
		cpu_hotplug_lock.draining = true;
		cpu_hotplug_lock.block = true
	};
	do
	:: cpu_hotplug_lock.writer_sleeps = true;
		if
		:: cpu_hotplug_lock.count == 0 -> break
		:: else -> !cpu_hotplug_lock.writer_sleeps
		fi
	od;
	cpu_hotplug_lock.draining = false
}

inline cpus_write_unlock()
{
	atomic {
		assert(cpu_hotplug_lock.writer == me);
		cpu_hotplug_lock.writer = 0;
		cpu_hotplug_lock.block = false;
		d_step {
			int i;
			for (i : 0 .. 11) {
				queued[i] = false
			}
		}
	};
	mutex_unlock(cpu_hotplug_lock.writers)
}

/* ---- which one ----------------------------------------------------------- */

#if ops == hotplug_rwsem_ops
#define get_online_cpus	   cpus_read_lock
#define put_online_cpus	   cpus_read_unlock
#define cpu_hotplug_begin  cpus_write_lock
#define cpu_hotplug_done   cpus_write_unlock
#else
#define cpu_hotplug_begin  cpu_hotplug_begin__counter
#define cpu_hotplug_done   cpu_hotplug_done__counter
#if ops == hotplug_bhat_a_ops
#define get_online_cpus	   get_online_cpus__bhat_a
#else
#define get_online_cpus	   get_online_cpus__counter
#endif
#if ops == hotplug_counter_ops
#define put_online_cpus	   put_online_cpus__counter
#elif ops == hotplug_3_6_ops || ops == hotplug_bhat_a_ops
#define put_online_cpus	   put_online_cpus__3_6
#elif ops == hotplug_bhat_b_ops
#define put_online_cpus	   put_online_cpus__bhat_b
#elif ops == hotplug_morton_ops
#define put_online_cpus	   put_online_cpus__morton
#elif ops == hotplug_counted_ops
#define put_online_cpus	   put_online_cpus__counted
#endif
#endif
