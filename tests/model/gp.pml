/*
 * Grace periods: threads ask for them, and rcu_gp runs one after the other. See
 * kernel/rcu/rcu.c. The experiment defines rcu_gp, around the grace period that it uses.
 *
 * Left out: which cores owe a quiescent state. Every core passes through one at some
 * time.
 */
byte gp_seq; /* odd: a grace period runs */
byte request; /* the last one that is wanted */

/* The end of the next grace period that begins after this. */
#define rcu_snap ((gp_seq + 3) / 2 * 2)

inline rcu_request(snap)
{
	atomic {
		if
		:: request < snap -> request = snap
		:: else
		fi
	}
}

inline synchronize_rcu()
{
	byte snap;

	snap = rcu_snap;
	rcu_request(snap);
	gp_seq >= snap
}
