/*
 * Flattened device tree reader. Portable; owns nothing; any context.
 *
 * fdt_open() walks the whole structure block once, with the next_token() that
 * all later steps use. So a tree that it accepts has balanced nodes, terminated
 * names, and properties that lie inside their blocks. find_begin(), which skips
 * whole nodes, checks nothing again: the tree does not change. Other steps check
 * each token, but not whether a name ends inside its block. Source: Devicetree
 * Specification v0.3, chapter 5.
 */
#include "kernel/lib/fdt.h"

#include <string.h>

#include "kernel/lib/compiler.h"
#include "kernel/lib/errno.h"

#define MAGIC	   0xd00dfeedu
#define HEADER	   40
#define BEGIN_NODE 1u
#define END_NODE   2u
#define PROP	   3u
#define NOP	   4u
#define END	   9u

struct token {
	uint32_t type;
	const char *name; /* of a node or property */
	const uint8_t *data;
	uint32_t len;
	uint32_t next; /* offset behind it, in the structure block */
};

static always_inline uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

/* Is there a NUL in [p, p + max)? */
static bool has_nul(const uint8_t *p, uint32_t max)
{
	return memchr(p, 0, max) != NULL;
}

/* Decode the token at off. Returns false if a part of it lies outside its
 * block. */
static bool next_token(const struct fdt *f, uint32_t off, struct token *t)
{
	const uint8_t *base = f->blob + f->structs;
	uint32_t size = f->structs_size;

	if (off > size || size - off < 4)
		return false;
	t->type = be32(base + off);
	off += 4;
	switch (t->type) {
	case BEGIN_NODE:
		if (!f->checked && !has_nul(base + off, size - off))
			return false;
		t->name = (const char *)base + off;
		t->next = off + ALIGN_UP((uint32_t)strlen(t->name) + 1, 4u);
		return t->next <= size;
	case PROP: {
		uint32_t name;

		if (size - off < 8)
			return false;
		t->len = be32(base + off);
		name = be32(base + off + 4);
		off += 8;
		if (t->len > size - off || name >= f->strings_size)
			return false;
		if (!f->checked && !has_nul(f->blob + f->strings + name,
					    f->strings_size - name))
			return false;
		t->name = (const char *)f->blob + f->strings + name;
		t->data = base + off;
		t->next = off + ALIGN_UP(t->len, 4u);
		return t->next <= size;
	}
	case END_NODE:
	case NOP:
	case END:
		t->next = off;
		return true;
	default:
		return false;
	}
}

static const char *check_header(struct fdt *f, const uint8_t *b, size_t bound)
{
	if (bound < HEADER || be32(b) != MAGIC)
		return "device tree: bad magic";
	f->blob = b;
	f->size = be32(b + 4);
	f->structs = be32(b + 8);
	f->strings = be32(b + 12);
	f->rsvmap = be32(b + 16);
	f->strings_size = be32(b + 32);
	f->structs_size = be32(b + 36);
	if (be32(b + 20) < 17 || be32(b + 24) > 17)
		return "device tree: version not understood";
	if (f->size < HEADER || f->size > bound)
		return "device tree: larger than its readable memory";
	if (f->structs > f->size || f->structs_size > f->size - f->structs ||
	    (f->structs & 3))
		return "device tree: structure block out of bounds";
	if (f->strings > f->size || f->strings_size > f->size - f->strings)
		return "device tree: strings block out of bounds";
	if (f->rsvmap > f->size)
		return "device tree: reservation block out of bounds";
	return NULL;
}

static const char *check_structs(const struct fdt *f)
{
	uint32_t off = 0, roots = 0;
	int depth = 0;
	bool ok = true;
	struct token t = { .type = NOP };

	for (; ok && t.type != END; off = t.next) {
		if (!next_token(f, off, &t))
			return "device tree: broken structure block";
		if (t.type == BEGIN_NODE)
			ok = depth++ > 0 || !roots++;
		else if (t.type == END_NODE)
			ok = --depth >= 0;
		else if (t.type == PROP)
			ok = depth > 0;
	}
	return ok && depth == 0 && roots ? NULL :
					   "device tree: nodes nest wrongly";
}

int fdt_open(struct fdt *f, const void *blob, size_t bound, const char **why)
{
	f->checked = false;
	*why = check_header(f, blob, bound);
	if (!*why)
		*why = check_structs(f);
	f->checked = !*why;
	return *why ? -EINVAL : 0;
}

/* ---- nodes --------------------------------------------------------------- */

/* A node may be used if it has no status, or the status "okay" or "ok". All
 * other values forbid it: "disabled", "reserved", "fail", "fail-sss". */
static bool means_usable(const char *status, uint32_t len)
{
	return !status || (len == 5 && !memcmp(status, "okay", 5)) ||
	       (len == 3 && !memcmp(status, "ok", 3));
}

static bool is_usable(const struct fdt *f, fdt_node n)
{
	uint32_t len = 0;
	const char *status = fdt_prop(f, n, "status", &len);

	return means_usable(status, len);
}

/*
 * The first node from off on, usable or not, at this level (depth 0) or one
 * level further out (depth 1). Returns -1 if the enclosing node ends first.
 */
static fdt_node find_begin(const struct fdt *f, uint32_t off, int depth)
{
	const uint8_t *base = f->blob + f->structs;
	uint32_t word;

	for (;;) {
		switch (be32(base + off)) {
		case BEGIN_NODE:
			if (depth++ == 0)
				return (fdt_node)off;
			do { /* The last word of the name has a NUL byte. */
				off += 4;
				word = be32(base + off);
			} while (!((word - 0x01010101u) & ~word & 0x80808080u));
			break;
		case END_NODE:
			if (--depth < 0)
				return -1;
			break;
		case PROP:
			off += 8 + ALIGN_UP(be32(base + off + 4), 4u);
			break;
		case NOP:
			break;
		default:
			return -1;
		}
		off += 4;
	}
}

/* Decode the FDT_BEGIN_NODE token of node n. Returns false if n is no node. */
static bool begin_token(const struct fdt *f, fdt_node n, struct token *t)
{
	return n >= 0 && next_token(f, (uint32_t)n, t) && t->type == BEGIN_NODE;
}

/* The first child (depth 0) or the next sibling (depth 1), usable or not. */
static fdt_node next_node(const struct fdt *f, fdt_node n, int depth)
{
	struct token t;

	return begin_token(f, n, &t) ? find_begin(f, t.next, depth) : -1;
}

const char *fdt_name(const struct fdt *f, fdt_node n)
{
	struct token t;

	return begin_token(f, n, &t) ? t.name : "";
}

/* Does the name match this path component, or is the component empty? The name
 * may have a unit address that the component does not have. */
static bool name_matches(const char *name, const char *want, size_t len)
{
	return !strncmp(name, want, len) &&
	       (!len || !name[len] ||
		(name[len] == '@' && !memchr(want, '@', len)));
}

/* The first usable node with that name among n and the siblings behind it. (The
 * name is looked at first, because most nodes have another one.) */
static fdt_node find_named(const struct fdt *f, fdt_node n, const char *want,
			   size_t len)
{
	while (n >= 0 &&
	       !(name_matches(fdt_name(f, n), want, len) && is_usable(f, n)))
		n = next_node(f, n, 1);
	return n;
}

fdt_node fdt_root(const struct fdt *f)
{
	return find_named(f, find_begin(f, 0, 0), "", 0);
}

fdt_node fdt_child(const struct fdt *f, fdt_node n)
{
	return find_named(f, next_node(f, n, 0), "", 0);
}

fdt_node fdt_sibling(const struct fdt *f, fdt_node n)
{
	return find_named(f, next_node(f, n, 1), "", 0);
}

fdt_node fdt_path(const struct fdt *f, const char *path)
{
	fdt_node n = fdt_root(f);

	while (n >= 0 && *path && *path != ':') {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/:");
		if (!len)
			break;
		n = find_named(f, next_node(f, n, 0), path, len);
		path += len;
	}
	return n;
}

/* ---- properties ---------------------------------------------------------- */

const void *fdt_prop(const struct fdt *f, fdt_node n, const char *name,
		     uint32_t *len)
{
	struct token t;

	if (!begin_token(f, n, &t))
		return NULL;
	/* Properties stand before children. */
	for (uint32_t off = t.next;
	     next_token(f, off, &t) && (t.type == PROP || t.type == NOP);
	     off = t.next)
		if (t.type == PROP && strcmp(t.name, name) == 0) {
			*len = t.len;
			return t.data;
		}
	return NULL;
}

uint32_t fdt_prop_u32(const struct fdt *f, fdt_node n, const char *name,
		      uint32_t i, uint32_t dflt)
{
	uint32_t len;
	const uint8_t *p = fdt_prop(f, n, name, &len);

	return p && i < len / 4 ? be32(p + i * 4) : dflt;
}

const char *fdt_prop_str(const struct fdt *f, fdt_node n, const char *name)
{
	uint32_t len;
	const char *p = fdt_prop(f, n, name, &len);

	return p && len && has_nul((const uint8_t *)p, len) ? p : NULL;
}

/* Is the string in the list of len bytes, in which a NUL ends each string? */
static bool is_listed(const char *list, uint32_t len, const char *string)
{
	if (!list || !len || list[len - 1])
		return false;
	for (const char *s = list; s < list + len; s += strlen(s) + 1)
		if (strcmp(s, string) == 0)
			return true;
	return false;
}

bool fdt_is_compatible(const struct fdt *f, fdt_node n, const char *compat)
{
	uint32_t len;
	const char *list = fdt_prop(f, n, "compatible", &len);

	return is_listed(list, len, compat);
}

/* Returns the parent of n. For the root, returns the root itself. */
static fdt_node parent_of(const struct fdt *f, fdt_node n)
{
	fdt_node up = find_begin(f, 0, 0), at = up, next;

	while (at >= 0 && at < n) {
		next = next_node(f, at, 1);
		if (next < 0 || next > n) { /* n lies in the node `at` */
			up = at;
			next = next_node(f, at, 0);
		}
		at = next;
	}
	return at == n ? up : -1;
}

/* (One walk: the two properties are taken as they come, and the node is judged when
 * its properties end.) */
fdt_node fdt_compatible(const struct fdt *f, fdt_node from, const char *compat)
{
	uint32_t off = 0;
	int hidden = 0;	   /* depth in a node that may not be used */
	fdt_node n = -1;   /* the tokens are properties of this node */
	bool fits = false; /* n is compatible */
	bool has_list = false, has_status = false;
	struct token t;

	if (from >= 0) {
		if (!begin_token(f, from, &t))
			return -1;
		off = t.next;
	}
	for (; next_token(f, off, &t) && t.type != END; off = t.next) {
		if (t.type == PROP && n >= 0) {
			if (!has_list && !strcmp(t.name, "compatible")) {
				has_list = true;
				fits = is_listed((const char *)t.data, t.len,
						 compat);
			} else if (!has_status && !strcmp(t.name, "status")) {
				has_status = true;
				if (!means_usable((const char *)t.data, t.len))
					hidden = 1;
			}
		} else if (t.type == BEGIN_NODE || t.type == END_NODE) {
			if (n >= 0 && fits && !hidden)
				return n;
			fits = has_list = has_status = false;
			if (hidden)
				hidden += t.type == BEGIN_NODE ? 1 : -1;
			n = t.type == BEGIN_NODE && !hidden ? (fdt_node)off :
							      -1;
		}
	}
	return -1;
}

static uint64_t read_cells(const uint8_t *p, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v = v << 32 | be32(p + i * 4);
	return v;
}

int fdt_child_reg(const struct fdt *f, fdt_node up, fdt_node n, unsigned int i,
		  uint64_t *addr, uint64_t *size)
{
	uint32_t ac = fdt_prop_u32(f, up, "#address-cells", 0, 2);
	uint32_t sc = fdt_prop_u32(f, up, "#size-cells", 0, 1);
	uint32_t len, entry = (ac + sc) * 4;
	const uint8_t *p = fdt_prop(f, n, "reg", &len);

	if (!p || ac < 1 || ac > 2 || sc > 2 || i >= len / entry)
		return -EINVAL;
	*addr = read_cells(p + i * entry, ac);
	*size = read_cells(p + i * entry + ac * 4, sc);
	return 0;
}

int fdt_reg(const struct fdt *f, fdt_node n, unsigned int i, uint64_t *addr,
	    uint64_t *size)
{
	return fdt_child_reg(f, parent_of(f, n), n, i, addr, size);
}

bool fdt_reserved(const struct fdt *f, unsigned int i, uint64_t *addr,
		  uint64_t *size)
{
	const uint8_t *p = f->blob + f->rsvmap;

	if (i >= (f->size - f->rsvmap) / 16)
		return false;
	p += (size_t)i * 16;
	*addr = read_cells(p, 2);
	*size = read_cells(p + 8, 2);
	return *addr || *size;
}
