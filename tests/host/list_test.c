/*
 * kernel/lib/list.h against arrays: random operations on two lists.
 */
#include "kernel/lib/list.h"

#include <string.h>

#include "tests/host/host.h"

#define ITEMS 24
#define LISTS 2

struct item {
	struct list_head link;
	int where; /* list, or -1 */
};

static struct item items[ITEMS];
static struct list_head lists[LISTS];
static struct item *model[LISTS][ITEMS];
static int len[LISTS];

static void model_insert(int l, int at, struct item *it)
{
	memmove(&model[l][at + 1], &model[l][at],
		(size_t)(len[l] - at) * sizeof(it));
	model[l][at] = it;
	len[l]++;
	it->where = l;
}

static void model_remove(struct item *it)
{
	int l = it->where, at = 0;

	while (model[l][at] != it)
		at++;
	len[l]--;
	memmove(&model[l][at], &model[l][at + 1],
		(size_t)(len[l] - at) * sizeof(it));
	it->where = -1;
}

static void compare(void)
{
	for (int l = 0; l < LISTS; l++) {
		struct item *it;
		int n = 0;

		CHECK(list_empty(&lists[l]) == (len[l] == 0));
		list_for_each (it, &lists[l], link) {
			CHECK(n < len[l] && model[l][n] == it);
			CHECK(it->link.next->prev == &it->link);
			CHECK(it->link.prev->next == &it->link);
			n++;
		}
		CHECK(n == len[l]);
		if (n) {
			CHECK(list_first(&lists[l], struct item, link) ==
			      model[l][0]);
			CHECK(lists[l].prev == &model[l][n - 1]->link);
		}
	}
}

static void drop_some(int l)
{
	struct item *it, *tmp;

	list_for_each_safe (it, tmp, &lists[l], link) {
		if (below(2))
			continue;
		list_del(&it->link);
		CHECK(list_empty(&it->link));
		model_remove(it);
	}
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);

	for (int l = 0; l < LISTS; l++)
		list_init(&lists[l]);
	for (int i = 0; i < ITEMS; i++) {
		items[i].where = -1;
		list_init(&items[i].link);
	}
	while (rounds--) {
		struct item *it = &items[below(ITEMS)];
		int l = (int)below(LISTS);

		switch (below(4)) {
		case 0:
			if (it->where < 0) {
				list_add(&it->link, &lists[l]);
				model_insert(l, 0, it);
			}
			break;
		case 1:
			if (it->where < 0) {
				list_add_tail(&it->link, &lists[l]);
				model_insert(l, len[l], it);
			}
			break;
		case 2:
			if (it->where >= 0) {
				list_move_tail(&it->link, &lists[l]);
				model_remove(it);
				model_insert(l, len[l], it);
			}
			break;
		case 3:
			drop_some(l);
			break;
		}
		compare();
	}
	return 0;
}
