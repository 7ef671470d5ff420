/*
 * kernel/explore/search.c against brute force, over the step machine.
 *
 *   known     programs whose classes were counted, or that once went wrong
 *   full      each interleaving runs once
 *   bounded   each interleaving with at most that many preemptions runs once; the
 *             search says that it is cut short if and only if there are others
 *   reduced   each class runs once, none twice; all ends are found
 *   straight  the witness is of the class of its run, and has as few switches as
 *             any run of the class
 *
 * search_oracle_test.c compares the search with an oracle.
 * argv: seed, number of random programs.
 */
#include <string.h>

#include "tests/host/host.h"
#include "tests/host/search_run.h"
#include "tests/host/search_subject.h"

static const struct {
	const char *text;
	size_t classes; /* 0: only compared with brute force */
} known[] = {
	/* Counted on paper. One order: either thread is first. Opposite orders:
	 * the same two classes, and the deadlock. */
	{ "a b | a b", 2 },
	{ "a b | b a", 3 },
	{ "A B | B A", 3 },
	{ "a a", 1 },
	/* Two mutexes, each used by one thread. */
	{ "a | b", 1 },
	/* Three threads at one mutex: any order. */
	{ "a | a | a", 6 },
	/* A ring: each of the three pairs of threads in either order gives 8; one
	 * of them is impossible, and one is the deadlock. */
	{ "a b | b c | c a", 7 },
	/* Two that get or put commute. */
	{ "pr . | pr . | pr .", 1 },
	{ "r | r | r", 1 },
	/* An earlier search ran 10 of 11 classes, 15 of 16, ... (at its steps). */
	{ "r a | a w | w", 34 },
	{ "r pr pr | w -w a -a | r a", 30 },
	{ "b a -a V | a P P -a P | P", 13 },
	{ "a -a V b V | a P V | P P", 111 },
	{ "w a -a | w -w | r V P | r a -r -a", 290 },
	{ "a -a pr V P | a P pr | pw a", 31 },
	{ "a -a h V -h | g P V h | P g h -h h", 20 },
	/* It lost the only failing run of these two: the last reader gives the
	 * semaphore to the writer; a lock that is waited for, and a variable read
	 * behind it. */
	{ "r s1 v2 s3 ! -r s0 | r tr:1 -r v1:1 ? -r v0 | w s0 -w v0", 0 },
	{ "a v0 s1 -a | a v1:1 . | s0", 0 },
	{ "a v0 s1 -a | a v1:2 v2 -a | P a -a | s0 V", 0 },
	/* A mutex is handed to a thread that an interrupt wakes, too. */
	{ "w ia:1 -a ^B -w | ^A w ^B -w", 4 },
};

static struct program program;
static struct walked walks;

static void fail(const char *what)
{
	char text[PROGRAM_TEXT];

	fprintf(stderr, "\"%s\": %s\n", program_print(&program, text), what);
	CHECK(!"a difference");
}

/* One run of each class. Returns how many. */
static size_t check_reduced(void)
{
	struct step_machine m;
	struct classes_result all;
	struct searched r;
	size_t classes;

	step_machine_of(&m, &program);
	classes_by_beginnings(&all, &m, 200000);
	CHECK(!all.too_big);
	run_search(&r, &program, MODE_REDUCED, 0, ~(size_t)0);
	if (all.broken)
		fail(all.broken);
	if (r.runs != r.classes || r.redundant)
		fail("a class ran twice");
	if (r.runs != all.nr_classes)
		fail("a class is lost");
	if (r.off_course || r.no_room)
		fail("off course");
	if (r.nr_ends != all.nr_ends ||
	    memcmp(r.end, all.end, r.nr_ends * sizeof(*r.end)) != 0)
		fail("an end is lost");
	classes = r.runs;
	searched_free(&r);
	classes_free(&all);
	return classes;
}

static void check_full(void)
{
	unsigned int bound = below(4);
	struct searched r;

	run_search(&r, &program, MODE_FULL, 0, walks.runs + 1);
	CHECK(r.runs == walks.runs && !r.cut_short);
	searched_free(&r);
	run_search(&r, &program, MODE_BOUNDED, BOUNDS - 1, walks.runs + 1);
	CHECK(r.runs == walks.runs && !r.cut_short);
	searched_free(&r);
	run_search(&r, &program, MODE_BOUNDED, bound, walks.runs + 1);
	CHECK(r.runs == walks.within[bound]);
	CHECK(r.cut_short == (walks.within[bound] < walks.runs));
	searched_free(&r);
}

static void check_known(void)
{
	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *why = program_parse_text(&program, known[i].text);
		size_t classes;

		if (why)
			fprintf(stderr, "%s: %s\n", known[i].text, why);
		CHECK(!why);
		walk_none();
		classes = check_reduced();
		if (known[i].classes && classes != known[i].classes)
			fail("another number of classes");
	}
}

int main(int argc, char **argv)
{
	static const struct program_shape shape = { 4, 5, 7 };
	unsigned long rounds = host_args(argc, argv);
	uint32_t seed = random_state;
	size_t interleavings = 0, classes = 0;

	check_known();
	for (unsigned long i = 0; i < rounds; i++) {
		do
			program_random(&program, &shape, &seed);
		while (!walk_all(&walks, &program, 2000));
		check_full();
		classes += check_reduced();
		interleavings += walks.runs;
	}
	printf("search: programs=%lu interleavings=%zu classes=%zu\n", rounds,
	       interleavings, classes);
	return 0;
}
