/*
 * kernel/lock/ticket.h with threads instead of cores, for the thread sanitizer:
 * one inside at a time, in the order of the tickets, each sees what the others
 * wrote. argv[1] is the ticket that is drawn first.
 */
#include "kernel/lock/ticket.h"

#include <pthread.h>

#include "tests/host/host.h"

#define THREADS 3

static struct ticket_lock lock;
static unsigned long rounds, counter; /* counter: under the lock, plain */
static uint16_t turn;		      /* the same: the ticket to come next */

static void *worker(void *arg)
{
	for (unsigned long i = 0; i < rounds; i++) {
		struct ticket_lock was;

		if (i % 8 == 0 && ticket_try(&lock)) {
			CHECK(ticket_is_taken(&lock) && !ticket_try(&lock));
		} else {
			was = ticket_draw(&lock);
			while (was.next != was.serving &&
			       !ticket_wait(&lock, was.next, 10))
				sched_yield();
			CHECK(was.next == turn);
		}
		counter++;
		turn++;
		ticket_hand_over(&lock);
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];

	rounds = host_args(argc, argv);
	lock.serving = lock.next = turn = (uint16_t)random_state;
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, worker, NULL));
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(thread[i], NULL));
	CHECK(!ticket_is_taken(&lock) && counter == THREADS * rounds);
	printf("%lu handed over\n", counter);
	return 0;
}
