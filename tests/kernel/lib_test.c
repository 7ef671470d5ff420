/*
 * Suite lib: lists, core masks, formatted output, the command line, RCU's
 * callback lists, symbols. No case needs a second thread.
 */
#include <limits.h>
#include <string.h>

#include "boot/boot.h"
#include "kernel/cpu/notifier.h"
#include "kernel/lib/symbols.h"
#include "kernel/lib/cmdline.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/list.h"
#include "kernel/lib/printf.h"
#include "tests/cblist_count.h"
#include "tests/kernel/ktest.h"

/* ---- lists ------------------------------------------------------------------- */

struct item {
	struct list_head link;
	char c;
};

/* Does the list hold `want`, read forwards and backwards? */
static bool reads(struct list_head *l, const char *want)
{
	struct item *e;
	const char *w = want;

	list_for_each (e, l, link)
		if (!*w || e->c != *w++)
			return false;
	if (*w)
		return false;
	for (struct list_head *p = l->prev; p != l; p = p->prev)
		if (list_entry(p, struct item, link)->c != *--w)
			return false;
	return w == want;
}

KTEST(lib, list)
{
	struct item a = { .c = 'a' }, b = { .c = 'b' }, c = { .c = 'c' };
	struct item *e, *next;
	LIST_HEAD(l);

	EXPECT(list_empty(&l) && reads(&l, ""));
	list_add_tail(&a.link, &l);
	list_add_tail(&b.link, &l);
	list_add(&c.link, &l);
	EXPECT(reads(&l, "cab"));
	EXPECT(list_first(&l, struct item, link) == &c);
	list_del(&a.link);
	EXPECT(reads(&l, "cb") && list_empty(&a.link));
	list_del(&a.link); /* twice is harmless */
	EXPECT(reads(&l, "cb"));
	list_move_tail(&c.link, &l);
	EXPECT(reads(&l, "bc"));
	list_add(&a.link, &l);
	EXPECT(reads(&l, "abc"));
	list_for_each_safe (e, next, &l, link)
		if (e->c != 'b')
			list_del(&e->link);
	EXPECT(reads(&l, "b"));
}

/* ---- core masks ---------------------------------------------------------------- */

KTEST(lib, cpumask)
{
	struct cpumask m = { 1u << 31 | 1u };
	unsigned int cpu, seen = 0, order[3] = { 99, 99, 99 };

	EXPECT(cpumask_test(m, 0) && cpumask_test(m, 31));
	EXPECT(!cpumask_test(m, 1) && !cpumask_test(m, 32));
	EXPECT(!cpumask_test(CPUMASK_ALL, 99));
	EXPECT_EQ(cpumask_weight(m), 2);
	EXPECT_EQ(cpumask_weight(CPUMASK_ALL), 32);
	EXPECT_EQ(cpumask_first(m), 0);
	EXPECT_EQ(cpumask_first(cpumask_of(31)), 31);
	EXPECT_EQ(cpumask_first(CPUMASK_NONE), NR_CPUS);
	EXPECT(cpumask_empty(cpumask_and(m, cpumask_of(1))));
	EXPECT_EQ(cpumask_andnot(m, cpumask_of(0)).bits, 1u << 31);
	cpumask_set_atomic(&m, 7);
	for_each_cpu (cpu, m)
		if (seen < 3)
			order[seen++] = cpu;
	EXPECT(seen == 3 && order[0] == 0 && order[1] == 7 && order[2] == 31);
	cpumask_clear_atomic(&m, 0);
	cpumask_clear_atomic(&m, 31);
	EXPECT_EQ(cpumask_load(&m).bits, 1u << 7);
	for_each_cpu (cpu, CPUMASK_NONE)
		FAIL("visits a core, but the set is empty");
}

/* ---- formatted output -------------------------------------------------------------- */

#define PRINTS(want, ...)                                                      \
	do {                                                                   \
		char buf_[96];                                                 \
		int n_ = ksnprintf(buf_, sizeof(buf_), __VA_ARGS__);           \
		EXPECT_EQ(n_, strlen(want));                                   \
		if (strcmp(buf_, want) != 0) {                                 \
			FAIL("must print " want);                              \
			kprintf("    # prints %s\n", buf_);                    \
		}                                                              \
	} while (0)

KTEST(lib, printf)
{
	const char *volatile none = NULL;
	char b[8];

	PRINTS("0 -1 7", "%d %d %i", 0, -1, 7);
	PRINTS("-2147483648", "%d", INT_MIN);
	PRINTS("4294967295", "%u", UINT_MAX);
	PRINTS("-9223372036854775808", "%lld", LLONG_MIN);
	PRINTS("18446744073709551615", "%llu", ULLONG_MAX);
	PRINTS("ffffffffffffffff", "%llx", ULLONG_MAX);
	PRINTS("beef BEEF", "%x %X", 0xbeef, 0xbeef);
	PRINTS("5 6 7", "%ld %lu %zu", 5l, 6ul, (size_t)7);
	PRINTS("[   42][42   ][00042]", "[%5d][%-5d][%05d]", 42, 42, 42);
	PRINTS("[  -42][-42  ][-0042]", "[%5d][%-5d][%05d]", -42, -42, -42);
	PRINTS("123456", "%3d", 123456);
	PRINTS("[   ab][ab   ]", "[%*s][%*s]", 5, "ab", -5, "ab");
	PRINTS("[ab][  ab][][abc]", "[%.2s][%4.2s][%.0s][%.9s]", "abc", "abc",
	       "abc", "abc");
	PRINTS("[ab][abc]", "[%.*s][%.*s]", 2, "abc", -1, "abc");
	PRINTS("(null)", "%s", none);
	PRINTS("x  y", "%c%3c", 'x', 'y');
	PRINTS("100%", "100%%");
	PRINTS("0x00000000 0xdeadbeef", "%p %p", NULL, (void *)0xdeadbeef);
	PRINTS("", "%s", "");
	/* The text is cut, and its full length returned; nothing behind it changes. */
	memset(b, '#', sizeof(b));
	EXPECT_EQ(ksnprintf(b, 4, "%s", "abcdef"), 6);
	EXPECT(memcmp(b, "abc\0####", 8) == 0);
	EXPECT_EQ(ksnprintf(b, 1, "%d", 12345), 5);
	EXPECT(memcmp(b, "\0bc\0####", 8) == 0);
	memset(b, '#', sizeof(b));
	EXPECT_EQ(ksnprintf(b, 0, "%d", 12345), 5);
	EXPECT(memcmp(b, "########", 8) == 0);
}

/* Formats that the compiler would refuse; the argument is always 42. */
KTEST(lib, printf_odd)
{
	static const char *const odd[][2] = {
		{ "%q", "%q" }, { "a%", "a%" },		  { "%5k!", "%5k!" },
		{ "%-", "%-" }, { "[%-05d]", "[42   ]" },
	};
	char b[16];

	for (unsigned int i = 0; i < ARRAY_SIZE(odd); i++) {
		const char *volatile f = odd[i][0];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		ksnprintf(b, sizeof(b), f, 42);
#pragma GCC diagnostic pop
		EXPECT(strcmp(b, odd[i][1]) == 0);
	}
}

/* ---- the command line --------------------------------------------------------------- */

KTEST(lib, cmdline)
{
	const char *line =
		"  a=1 run=\"x y; z=3\" z=4 empty= q=un\"quo ted\" last";
	char v[16];

	EXPECT(cmdline_get(line, "a", v, sizeof(v)) && !strcmp(v, "1"));
	EXPECT(cmdline_get(line, "run", v, sizeof(v)) &&
	       !strcmp(v, "x y; z=3"));
	EXPECT(cmdline_get(line, "z", v, sizeof(v)) && !strcmp(v, "4"));
	EXPECT(cmdline_get(line, "empty", v, sizeof(v)) && !strcmp(v, ""));
	EXPECT(cmdline_get(line, "q", v, sizeof(v)) && !strcmp(v, "unquo ted"));
	EXPECT(!cmdline_get(line, "ru", v, sizeof(v)));
	EXPECT(!cmdline_get(line, "last", v, sizeof(v)));
	EXPECT(!cmdline_get("", "a", v, sizeof(v)));
	EXPECT(!cmdline_get("   ", "a", v, sizeof(v)));
	EXPECT(cmdline_get("a=\"open", "a", v, sizeof(v)) &&
	       !strcmp(v, "open"));
	memset(v, '#', sizeof(v));
	EXPECT(cmdline_get("a=12345", "a", v, 4) && !memcmp(v, "123\0##", 6));
}

/* ---- RCU's callback lists -------------------------------------------------------------- */

static const char *segments(struct cblist *l)
{
	static char text[24];

	ksnprintf(text, sizeof(text), "%u %u %u, %u", cblist_count(l, CB_DONE),
		  cblist_count(l, CB_WAIT), cblist_count(l, CB_NEXT), l->len);
	return text;
}

/* Unlink all callbacks that are ready. Are they heads[from], heads[from + 1], ...? */
static bool extracts(struct cblist *l, struct rcu_head *heads,
		     unsigned int from, unsigned int n)
{
	unsigned int got;
	struct rcu_head *h = cblist_extract(l, n, &got);

	l->len -= got;
	for (unsigned int i = 0; i < n; i++, h = h->next)
		if (h != &heads[from + i])
			return false;
	return got == n && !h;
}

KTEST(lib, cblist)
{
	struct rcu_head h[6];
	struct cblist l;
	unsigned int n;

	cblist_init(&l);
	EXPECT(!strcmp(segments(&l), "0 0 0, 0"));
	EXPECT(!cblist_extract(&l, 9, &n) && n == 0);
	cblist_enqueue(&l, &h[0], 4);
	cblist_enqueue(&l, &h[1], 4);
	cblist_enqueue(&l, &h[2], 6);
	EXPECT(!strcmp(segments(&l), "0 2 1, 3"));
	cblist_advance(&l, 3);
	EXPECT(!strcmp(segments(&l), "0 2 1, 3"));
	cblist_advance(&l, 4);
	EXPECT(!strcmp(segments(&l), "2 1 0, 3"));
	cblist_enqueue(&l, &h[3], 6);
	EXPECT(!strcmp(segments(&l), "2 2 0, 4"));
	EXPECT(extracts(&l, h, 0, 1));
	EXPECT(!strcmp(segments(&l), "1 2 0, 3"));
	cblist_enqueue(&l, &h[4], 8);
	cblist_advance(&l, 9); /* both segments at once */
	EXPECT(!strcmp(segments(&l), "4 0 0, 4"));
	EXPECT(extracts(&l, h, 1, 4));
	EXPECT(!strcmp(segments(&l), "0 0 0, 0"));
}

KTEST(lib, cblist_adopt)
{
	struct rcu_head h[6];
	struct cblist a, b;

	cblist_init(&a);
	cblist_init(&b);
	cblist_enqueue(&a, &h[0], 2);
	cblist_advance(&a, 2);
	cblist_enqueue(&a, &h[3], 4);
	cblist_enqueue(&b, &h[1], 2);
	cblist_enqueue(&b, &h[2], 2);
	cblist_advance(&b, 2);
	cblist_enqueue(&b, &h[4], 4);
	cblist_enqueue(&b, &h[5], 6);
	cblist_adopt(&a, &b, 6);
	EXPECT(!strcmp(segments(&b), "0 0 0, 0"));
	EXPECT(!strcmp(segments(&a), "3 1 2, 6"));
	cblist_advance(&a, 4);
	EXPECT(!strcmp(segments(&a), "4 2 0, 6"));
	cblist_advance(&a, 6);
	EXPECT(extracts(&a, h, 0, 6));
	cblist_adopt(&a, &b, 8); /* nothing */
	EXPECT(!strcmp(segments(&a), "0 0 0, 0"));
}

KTEST(lib, rcu_numbers)
{
	EXPECT_EQ(rcu_seq_snap(0), 2); /* idle: the next grace period */
	EXPECT_EQ(rcu_seq_snap(1),
		  4); /* one runs, but it began too early: the one after it */
	EXPECT_EQ(rcu_seq_snap(0xffffffffu), 2);
	EXPECT(!rcu_seq_done(1, 2) && rcu_seq_done(2, 2) && rcu_seq_done(3, 2));
	EXPECT(!rcu_seq_done(0xfffffffeu, 2) && rcu_seq_done(4, 0xfffffffeu));
}

/* ---- symbols, notifiers ----------------------------------------------------------------- */

static noinline int a_function_with_a_name(int x)
{
	return x + 1;
}

KTEST(lib, symbols)
{
	uintptr_t at = (uintptr_t)a_function_with_a_name & ~1u;
	uint32_t off = 99;
	const char *name = symbol_lookup(at, &off);

	EXPECT_EQ(a_function_with_a_name(1), 2);
	EXPECT(name && !strcmp(name, "a_function_with_a_name") && off == 0);
	name = symbol_lookup(at + 2, &off);
	EXPECT(name && !strcmp(name, "a_function_with_a_name") && off == 2);
	EXPECT(symbol_lookup((uintptr_t)text_start, &off) != NULL);
	EXPECT(!symbol_lookup((uintptr_t)text_start - 1, &off));
	EXPECT(!symbol_lookup((uintptr_t)text_end, &off));
	EXPECT(!symbol_lookup(0, &off) && !symbol_lookup(~(uintptr_t)0, &off));
	PRINTS("a_function_with_a_name+0x4", "%pS", (void *)(at + 4));
	PRINTS("[  0x00000010]", "[%12pS]", (void *)0x10);
}

static char called[8];
static unsigned int calls;

static int note(struct notifier_block *nb, unsigned long event, void *data)
{
	(void)data;
	called[calls++ % 8] = nb->name[0];
	return (unsigned long)(uintptr_t)nb->name[0] == event ?
		       notifier_from_errno(-ENOMEM) :
		       NOTIFY_OK;
}

static bool calls_are(struct raw_notifier_head *nh, char stop, int nr,
		      const char *want)
{
	int n = 0;

	calls = 0;
	memset(called, 0, sizeof(called));
	__raw_notifier_call_chain(nh, (unsigned long)stop, NULL, nr, &n);
	return !strcmp(called, want) && (size_t)n == strlen(want);
}

KTEST(lib, notifiers)
{
	struct raw_notifier_head nh = { NULL };
	struct notifier_block a = { note, NULL, 0, "a" },
			      b = { note, NULL, 5, "b" },
			      c = { note, NULL, 0, "c" },
			      d = { note, NULL, -5, "d" };

	EXPECT_EQ(raw_notifier_chain_unregister(&nh, &a), -ENOENT);
	EXPECT_EQ(raw_notifier_chain_register(&nh, &d), 0);
	EXPECT_EQ(raw_notifier_chain_register(&nh, &a), 0);
	EXPECT_EQ(raw_notifier_chain_register(&nh, &b), 0);
	EXPECT_EQ(raw_notifier_chain_register(&nh, &c), 0);
	EXPECT_EQ(raw_notifier_chain_register(&nh, &a), -EEXIST);
	EXPECT_EQ(raw_notifier_chain_register(&nh, &d), -EEXIST);
	EXPECT(calls_are(&nh, 0, -1, "bacd"));
	EXPECT(calls_are(&nh, 'c', -1, "bac"));
	EXPECT(calls_are(&nh, 0, 2, "ba"));
	EXPECT(calls_are(&nh, 0, 0, ""));
	EXPECT_EQ(raw_notifier_chain_unregister(&nh, &a), 0);
	EXPECT(calls_are(&nh, 0, -1, "bcd"));
	EXPECT_EQ(notifier_to_errno(notifier_from_errno(-ENOMEM)), -ENOMEM);
	EXPECT_EQ(notifier_to_errno(notifier_from_errno(0)), 0);
	EXPECT_EQ(notifier_to_errno(NOTIFY_DONE), 0);
}
