/*
 * kernel/lib/fdt.c: argv[3] is a good device tree. It is read as it is, and then cut
 * short, mutated and shifted at random. Each blob is in a buffer of exactly its size, so
 * the address sanitizer finds every read beyond it.
 *
 * Checked: no crash, every walk ends, the good tree has its known contents, and of each
 * tree that is accepted the reader finds the nodes that a list of all nodes has.
 */
#include "kernel/lib/fdt.h"

#include <string.h>

#include "tests/host/host.h"

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static unsigned long steps; /* in one blob, to find a walk that does not end */
static unsigned long limit;

static void step(void)
{
	CHECK(++steps < limit);
}

/* Call every function of the reader for a node and all nodes below it. */
static void visit(const struct fdt *f, fdt_node n, int depth)
{
	static const char *const props[] = { "reg", "compatible", "interrupts",
					     "device_type", "" };
	uint64_t addr, size;
	uint32_t len;

	step();
	CHECK(depth < 64);
	(void)strlen(fdt_name(f, n));
	for (unsigned int i = 0; i < sizeof(props) / sizeof(props[0]); i++) {
		const uint8_t *p = fdt_prop(f, n, props[i], &len);
		const char *s = fdt_prop_str(f, n, props[i]);
		unsigned int sum = 0;

		for (uint32_t k = 0; p && k < len; k++)
			sum += p[k];
		(void)sum;
		if (s)
			(void)strlen(s);
		fdt_prop_u32(f, n, props[i], below(4), 0);
	}
	for (unsigned int i = 0; i < 3; i++)
		fdt_reg(f, n, i, &addr, &size);
	fdt_is_compatible(f, n, "arm,pl011");
	for (n = fdt_child(f, n); n >= 0; n = fdt_sibling(f, n))
		visit(f, n, depth + 1);
}

/* ---- all nodes in a list, to compare with ---------------------------------------- */

#define NODES 4096

static struct listed {
	fdt_node off;
	int parent;  /* its place in the list; -1: the root */
	bool usable; /* by its own status */
	bool fits;   /* compatible with "virtio,mmio" */
	bool has_status, has_list;
} list[NODES];

static bool list_has(const char *strings, uint32_t len, const char *want)
{
	bool found = false;

	if (!len || strings[len - 1])
		return false;
	for (uint32_t i = 0; i < len; i += (uint32_t)strlen(strings + i) + 1)
		found |= !strcmp(strings + i, want);
	return found;
}

static void list_property(struct listed *n, const char *name, const uint8_t *p,
			  uint32_t len)
{
	if (!strcmp(name, "status") && !n->has_status) {
		n->has_status = true;
		n->usable = (len == 5 && !memcmp(p, "okay", 5)) ||
			    (len == 3 && !memcmp(p, "ok", 3));
	}
	if (!strcmp(name, "compatible") && !n->has_list) {
		n->has_list = true;
		n->fits = list_has((const char *)p, len, "virtio,mmio");
	}
}

/* Of a tree that fdt_open() has accepted. Returns how many there are; 0: too many. */
static int list_nodes(const uint8_t *blob)
{
	const uint8_t *base = blob + get32(blob + 8), *p = base;
	const char *strings = (const char *)blob + get32(blob + 12);
	int n = 0, in = -1;
	bool properties = false;

	for (uint32_t word; (word = get32(p)) != 9;) {
		p += 4;
		if (word == 1) {
			if (n == NODES)
				return 0;
			list[n] = (struct listed){ (fdt_node)(p - 4 - base),
						   in,
						   true,
						   false,
						   false,
						   false };
			in = n++;
			properties = true;
			p += (strlen((const char *)p) + 4) & ~3u;
		} else if (word == 2) {
			in = list[in].parent;
			properties = false;
		} else if (word == 3) {
			uint32_t len = get32(p);

			if (properties)
				list_property(&list[in], strings + get32(p + 4),
					      p + 8, len);
			p += 8 + ((len + 3) & ~3u);
		}
	}
	return n;
}

/* The first usable node from place i on that has this parent. */
static fdt_node usable_from(int i, int nodes, int parent)
{
	for (; i < nodes; i++)
		if (list[i].parent == parent && list[i].usable)
			return list[i].off;
	return -1;
}

static bool reachable(int i)
{
	for (; i >= 0; i = list[i].parent)
		if (!list[i].usable)
			return false;
	return true;
}

static void compare(const struct fdt *f, const uint8_t *blob)
{
	int nodes = list_nodes(blob);
	fdt_node found = -1;

	for (int i = 0; i < nodes; i++) {
		CHECK(fdt_child(f, list[i].off) ==
		      usable_from(i + 1, nodes, i));
		CHECK(fdt_sibling(f, list[i].off) ==
		      usable_from(i + 1, nodes, list[i].parent));
		if (list[i].fits && reachable(i)) {
			found = fdt_compatible(f, found, "virtio,mmio");
			CHECK(found == list[i].off);
		}
	}
	CHECK(!nodes || fdt_compatible(f, found, "virtio,mmio") < 0);
}

static bool exercise(const uint8_t *blob, size_t bound)
{
	static const char *const paths[] = { "/",
					     "/cpus",
					     "/cpus/cpu@0",
					     "/chosen",
					     "/pl011@9000000:115200",
					     "//cpus//",
					     "cpus",
					     "/nothing" };
	const char *why = NULL;
	uint64_t addr, size;
	struct fdt f;

	steps = 0;
	limit = 1000 + bound; /* a node takes at least 8 bytes */
	if (fdt_open(&f, blob, bound, &why)) {
		CHECK(why && *why);
		return false;
	}
	compare(&f, blob);
	if (fdt_root(&f) >= 0)
		visit(&f, fdt_root(&f), 0);
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		fdt_path(&f, paths[i]);
	for (fdt_node n = -1; (n = fdt_compatible(&f, n, "virtio,mmio")) >= 0;)
		step();
	for (unsigned int i = 0; fdt_reserved(&f, i, &addr, &size); i++)
		step();
	return true;
}

static void read_good(const uint8_t *blob, size_t bound)
{
	const char *why;
	struct fdt f;
	fdt_node n;
	uint64_t addr, size;
	unsigned int cpus = 0;

	CHECK(fdt_open(&f, blob, bound, &why) == 0);
	n = fdt_path(&f, "/memory");
	CHECK(n >= 0 && strcmp(fdt_name(&f, n), "memory@40000000") == 0);
	CHECK(fdt_reg(&f, n, 0, &addr, &size) == 0);
	CHECK(addr == 0x40000000 && size == 128 << 20);
	CHECK(fdt_reg(&f, n, 1, &addr, &size) != 0);
	CHECK(!strcmp(fdt_prop_str(&f, fdt_path(&f, "/psci"), "method"),
		      "hvc"));
	n = fdt_path(&f, "/cpus");
	for (n = fdt_child(&f, n); n >= 0; n = fdt_sibling(&f, n))
		if (fdt_prop_str(&f, n, "device_type"))
			CHECK(fdt_prop_u32(&f, n, "reg", 0, 99) == cpus++);
	CHECK(cpus == 4);
	n = fdt_compatible(&f, -1, "arm,pl011");
	CHECK(n >= 0 && fdt_reg(&f, n, 0, &addr, &size) == 0);
	CHECK(addr == 0x09000000 && size == 0x1000);
	CHECK(fdt_path(&f, "/no/such") < 0);
	CHECK(!fdt_reserved(&f, 0, &addr, &size));
}

/* The place of the length or name of the next property after at. */
static size_t in_property(const uint8_t *blob, size_t size, size_t at)
{
	for (; at + 12 <= size; at += 4)
		if (get32(blob + at) == 3)
			return at + 4 + 4 * below(2);
	return 0;
}

/* If the structure block comes last, cut it in the middle of a name. */
static void cut_name(uint8_t *blob, size_t size)
{
	if (size < 8)
		return;
	put32(blob + size - 8, 1);
	memset(blob + size - 4, 'n', 4);
}

/* The offset of a string in the strings block; 0 if it is not there. */
static uint32_t string_at(const uint8_t *blob, size_t size, const char *want)
{
	uint32_t at = get32(blob + 12), len = get32(blob + 32);
	size_t n = strlen(want) + 1;

	if (at > size || len > size - at)
		return 0;
	for (uint32_t i = 0; i + n <= len; i++)
		if (!memcmp(blob + at + i, want, n))
			return i;
	return 0;
}

/* Change one property so that the tree mostly stays good: it becomes NOPs, or an empty
 * node, or a status, or it gets another name. */
static void change_property(uint8_t *blob, size_t size)
{
	size_t at = below((uint32_t)size) & ~3u, words;

	while (at + 12 <= size && get32(blob + at) != 3)
		at += 4;
	if (size < 40 || at + 12 > size)
		return;
	words = 3 + ((size_t)get32(blob + at + 4) + 3) / 4;
	if (words > (size - at) / 4)
		return;
	switch (below(4)) {
	case 0:
		put32(blob + at + 8, below(400));
		return;
	case 1: /* for the property of 9 to 12 bytes */
		if (words != 6)
			return;
		put32(blob + at + 4, 9);
		put32(blob + at + 8, string_at(blob, size, "status"));
		memcpy(blob + at + 12, "disabled", 9);
		return;
	default:
		for (size_t i = 0; i < words; i++)
			put32(blob + at + 4 * i, 4);
		if (below(2)) { /* a node without a name, and its end */
			put32(blob + at, 1);
			put32(blob + at + 4, 0);
			put32(blob + at + 8, 2);
		}
	}
}

/* Change a few words or bytes; words mostly to values with a meaning. */
static void mutate(uint8_t *blob, size_t size)
{
	static const uint32_t words[] = {
		0, 1, 2, 3, 4, 9, 0x7fffffff, 0xffffffff, 0xfffffffc, 0xfffffff4
	};

	if (below(50) == 0)
		cut_name(blob, size);
	while (below(3) == 0)
		change_property(blob, size);
	for (unsigned int n = 1 + below(4); n; n--) {
		/* Half of them in the header or the first nodes. */
		size_t range = below(2) ? 256 : size;
		size_t at = below((uint32_t)(range < size ? range : size));

		if (below(3) == 0) {
			blob[at] = (uint8_t)below(256);
			continue;
		}
		at &= ~(size_t)3;
		if (below(2))
			at = in_property(blob, size, at);
		if (at + 4 <= size) {
			uint32_t v = words[below(10)];

			if (below(4) == 0)
				v = get32(blob + at) + below(9) - 4;
			put32(blob + at, v);
		}
	}
}

/* The same tree with its structure block at the end of the blob, and one name more. */
static size_t structs_last(const uint8_t *from, uint8_t *to)
{
	uint32_t structs = get32(from + 8), strings = get32(from + 12);
	uint32_t strings_size = get32(from + 32), size = get32(from + 36);
	uint32_t at = 56 + ((strings_size + sizeof("status") + 3) & ~3u);

	memset(to, 0, at);
	memcpy(to, from, 40);
	put32(to + 4, at + size);
	put32(to + 8, at);
	put32(to + 12, 56);
	put32(to + 16, 40);
	put32(to + 32, strings_size + sizeof("status"));
	memcpy(to + 56, from + strings, strings_size);
	memcpy(to + 56 + strings_size, "status", sizeof("status"));
	memcpy(to + at, from + structs, size);
	return at + size;
}

static void torment(const uint8_t *good, size_t size, unsigned long rounds)
{
	unsigned long accepted = 0;

	read_good(good, size);
	CHECK(exercise(good, size));
	for (unsigned long i = 0; i < rounds; i++) {
		size_t bound = below(3) ? size : below((uint32_t)size + 1);
		uint8_t *blob = malloc(bound + !bound);

		memcpy(blob, good, bound);
		if (bound && below(8))
			mutate(blob, bound);
		accepted += exercise(blob, bound);
		free(blob);
	}
	printf("%lu of %lu accepted\n", accepted, rounds);
	CHECK(rounds < 1000 || (accepted > rounds / 20 && accepted < rounds));
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	static uint8_t good[1 << 20], turned[1 << 20];
	size_t size;
	FILE *in;

	CHECK(argc > 3 && (in = fopen(argv[3], "rb")));
	size = fread(good, 1, sizeof(good), in);
	fclose(in);
	torment(good, size, rounds);
	torment(turned, structs_last(good, turned), rounds);
	return 0;
}
