/*
 * Grace periods: who wants one asks for it, rcu_gp runs one after the other.
 * See kernel/rcu/rcu.c. rcu_gp is for the experiment to define, around the
 * grace period that it uses.
 *
 * Left out: who owes a quiescent state; every core passes one in the end.
 */
byte gp_seq; /* odd: a grace period runs */
byte request; /* until which one is wanted */

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
