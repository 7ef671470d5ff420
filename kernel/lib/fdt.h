/*
 * Flattened device tree reader: bounds-checked, read-only, allocates nothing.
 *
 * Owns no data. Portable: also built and fuzzed on the host. Every access stays
 * inside [blob, blob + totalsize) for any contents. Source: Devicetree
 * Specification v0.3, chapter 5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fdt {
	const uint8_t *blob;
	uint32_t size; /* totalsize, checked against the caller's bound */
	uint32_t structs, structs_size; /* offset and length of each block */
	uint32_t strings, strings_size;
	uint32_t rsvmap;
	bool checked; /* fdt_open() has seen that each name ends in its block */
};

/* A node is the offset of its FDT_BEGIN_NODE token; negative: none. */
typedef int32_t fdt_node;

/*
 * Check the header and walk the whole tree once. blob: an address aligned to 4
 * bytes; bound: how many bytes can be read there. Returns 0, or -EINVAL with
 * the reason in *why.
 */
int fdt_open(struct fdt *f, const void *blob, size_t bound, const char **why);

/*
 * A node whose "status" is neither "okay" nor "ok" may not be used. All the
 * functions that look for a node skip it, with every node inside it.
 */
fdt_node fdt_root(const struct fdt *f);
/* First child and next sibling; negative when there is none. */
fdt_node fdt_child(const struct fdt *f, fdt_node n);
fdt_node fdt_sibling(const struct fdt *f, fdt_node n);
/* The name with its unit address. */
const char *fdt_name(const struct fdt *f, fdt_node n);
/* The node of a path like "/cpus/cpu@0". A component without '@' matches any
 * unit. */
fdt_node fdt_path(const struct fdt *f, const char *path);
/* The next node behind `from` in document order that is compatible with compat.
 * from: -1 to begin at the root. */
fdt_node fdt_compatible(const struct fdt *f, fdt_node from, const char *compat);
bool fdt_is_compatible(const struct fdt *f, fdt_node n, const char *compat);
/* The bytes of a property, and in *len how many there are; NULL if the node
 * does not have the property. */
const void *fdt_prop(const struct fdt *f, fdt_node n, const char *name,
		     uint32_t *len);
/* Cell i of a property as a number; dflt if absent or too short. */
uint32_t fdt_prop_u32(const struct fdt *f, fdt_node n, const char *name,
		      uint32_t i, uint32_t dflt);
/* NUL-terminated string property, NULL if absent or not terminated. */
const char *fdt_prop_str(const struct fdt *f, fdt_node n, const char *name);
/* Entry i of "reg", by the parent's #address-cells and #size-cells, which may
 * be 2 at most. Returns 0 or -EINVAL. */
int fdt_reg(const struct fdt *f, fdt_node n, unsigned int i, uint64_t *addr,
	    uint64_t *size);
/* The same for a child of node up: nothing has to search for the parent. */
int fdt_child_reg(const struct fdt *f, fdt_node up, fdt_node n, unsigned int i,
		  uint64_t *addr, uint64_t *size);
/* Entry i of the memory reservation block. Returns false at the block's end. */
bool fdt_reserved(const struct fdt *f, unsigned int i, uint64_t *addr,
		  uint64_t *size);
