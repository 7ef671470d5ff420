/*
 * A QEMU plugin: does any core use LDREX or STREX before its MMU is on?
 *
 * On a board such an access may abort or fail for ever. QEMU lets it pass, so no other
 * test finds it. Load the plugin with `-plugin exclusives.so,cores=N`. It prints a line
 * on stderr for each finding, and one for each core at the end. The status of QEMU
 * becomes STATUS if there was a finding, or if one of the first N cores made no
 * exclusive access after its MMU came on: then the check itself is broken.
 *
 * How the plugin knows whether the MMU is on: it compares the virtual and the physical
 * address of the data. The kernel has no data at a virtual address that equals its
 * physical one, so the two are equal if and only if the access was not translated. The
 * plugin counts no instructions and needs no symbol or load address, and a core may
 * start any number of times. (The registers cannot be read in QEMU 7.2. The address of
 * an instruction is of no use: translated code is shared between virtual addresses, and
 * the address is that of the first core that ran it.)
 *
 * A STREX whose reservation is lost makes no access. It is judged by the last exclusive
 * access of its core since the last write to SCTLR; there must be one. An exclusive
 * access to a device is a finding, too.
 *
 * The first data access of a machine is not translated. It shows that the two addresses
 * can be compared; if they differ there, the check is broken.
 *
 * PLUGIN_API (-D): 1 for QEMU 4.2 to 8.2, 3 for QEMU 9.1 and newer. No header is
 * packaged; these are the few functions used. Callbacks run on the threads of
 * the cores; each core writes its own struct, the rest is atomic.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS	  70
#define MAX_CORES 32
#define MAX_SAID  32 /* findings that are printed */

#define EXPORT __attribute__((__visibility__("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum { CB_NO_REGS };
/* QEMU 7.2 confuses the kinds "load" and "store", so we use only this one. */
enum { MEM_LOAD_OR_STORE = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int core,
						       void *arg),
					    int flags, void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int core,
						 uint32_t info, uint64_t va,
						 void *arg),
				      int flags, int rw, void *arg);
void qemu_plugin_register_atexit_cb(uint64_t id,
				    void (*cb)(uint64_t id, void *arg),
				    void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t va);
bool qemu_plugin_mem_is_store(uint32_t info);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *h);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *h);
#if PLUGIN_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to,
			     size_t size);
#else
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#endif

EXPORT int qemu_plugin_version = PLUGIN_API;
/* The second argument describes the machine; it is not needed. */
EXPORT int qemu_plugin_install(uint64_t id, const void *machine, int argc,
			       char **argv);

static struct core {
	bool on; /* its last exclusive access was translated */
	unsigned long early, late; /* before its MMU was on, and after */
} cores[MAX_CORES];

static unsigned int want_cores = 1;
static atomic_uint said;
static atomic_bool compared, broken;

/* ---- instructions ------------------------------------------------------------- */

enum kind { OTHER, LOAD, STORE, SCTLR };

/* Four bytes of ARM or Thumb code. No exclusive access of one is one of the other, but some
 * ARM branches look like the Thumb instruction STREX. thumb_code: it is Thumb code for
 * certain. */
static enum kind kind_of(uint32_t arm, bool thumb_code)
{
	uint32_t thumb = arm << 16 | arm >> 16;

	/* MCR p15, 0, Rt, c1, c0, 0 */
	if ((arm & 0x0fff0fff) == 0x0e010f10 ||
	    (thumb & 0xffff0fff) == 0xee010f10)
		return SCTLR;
	/* LDREX, STREX; B, H, D; the acquire and release forms */
	if (arm >> 28 != 15 && (arm & 0x0f800ef0) == 0x01800e90)
		return arm & 1u << 20 ? LOAD : STORE;
	if (!thumb_code && arm >> 28 != 15 && (arm & 0x0e000000) == 0x0a000000)
		return OTHER; /* B, BL */
	if ((thumb & 0xffe00000) == 0xe8400000 ||
	    (thumb & 0xffe00040) == 0xe8c00040)
		return thumb & 1u << 20 ? LOAD : STORE;
	return OTHER;
}

static uint32_t code_of(const struct qemu_plugin_insn *insn)
{
	uint32_t code = 0;

#if PLUGIN_API >= 3
	qemu_plugin_insn_data(insn, &code, sizeof(code));
#else
	memcpy(&code, qemu_plugin_insn_data(insn), sizeof(code));
#endif
	return code;
}

/* ---- while the machine runs ----------------------------------------------------- */

/* arg: the address of the instruction when it was first seen. */
static void found(unsigned int core, const char *what, void *arg)
{
	cores[core].early++;
	if (atomic_fetch_add(&said, 1) < MAX_SAID)
		fprintf(stderr, "exclusives: core %u: %s at 0x%08lx\n", core,
			what, (unsigned long)(uintptr_t)arg);
}

static bool known(unsigned int core)
{
	if (core < MAX_CORES)
		return true;
	broken = true;
	return false;
}

static void first_access(unsigned int core, uint32_t info, uint64_t va,
			 void *arg)
{
	struct qemu_plugin_hwaddr *h = qemu_plugin_get_hwaddr(info, va);

	(void)core;
	(void)arg;
	if (!h || qemu_plugin_hwaddr_is_io(h) ||
	    atomic_exchange(&compared, true))
		return;
	if (qemu_plugin_hwaddr_phys_addr(h) != va)
		broken = true;
}

static void accessed(unsigned int core, uint32_t info, uint64_t va, void *arg,
		     bool load)
{
	struct qemu_plugin_hwaddr *h = qemu_plugin_get_hwaddr(info, va);
	struct core *c = &cores[core];

	if (!known(core))
		return;
	if (!h || qemu_plugin_hwaddr_is_io(h)) {
		found(core, "an exclusive access to a device", arg);
	} else if (qemu_plugin_hwaddr_phys_addr(h) != va) {
		c->on = true;
		c->late++;
	} else {
		if (load || c->on) /* else store_executed() has reported it */
			found(core, "an exclusive access with the MMU off",
			      arg);
		c->on = false;
	}
}

static void loaded(unsigned int core, uint32_t info, uint64_t va, void *arg)
{
	accessed(core, info, va, arg, true);
}

static void stored(unsigned int core, uint32_t info, uint64_t va, void *arg)
{
	/* With a single core a STREX is a load and a store. */
	if (qemu_plugin_mem_is_store(info))
		accessed(core, info, va, arg, false);
}

/* Before each STREX, also one that will make no access. */
static void store_executed(unsigned int core, void *arg)
{
	if (known(core) && !cores[core].on)
		found(core, "a STREX with the MMU off", arg);
}

static void sctlr_written(unsigned int core, void *arg)
{
	(void)arg;
	if (known(core))
		cores[core].on = false;
}

/* Only Thumb code has instructions of two bytes. A block has one kind of code. */
static bool is_thumb(const struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_size(insn) == 2 ||
		    qemu_plugin_insn_vaddr(insn) & 2)
			return true;
	}
	return false;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	bool thumb_code = is_thumb(tb);

	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		void *at = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);
		enum kind kind = OTHER;

		if (qemu_plugin_insn_size(insn) == sizeof(uint32_t))
			kind = kind_of(code_of(insn), thumb_code);
		if (!compared)
			qemu_plugin_register_vcpu_mem_cb(insn, first_access,
							 CB_NO_REGS,
							 MEM_LOAD_OR_STORE,
							 NULL);
		if (kind == LOAD)
			qemu_plugin_register_vcpu_mem_cb(insn, loaded,
							 CB_NO_REGS,
							 MEM_LOAD_OR_STORE, at);
		if (kind == STORE) {
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, store_executed, CB_NO_REGS, at);
			qemu_plugin_register_vcpu_mem_cb(insn, stored,
							 CB_NO_REGS,
							 MEM_LOAD_OR_STORE, at);
		}
		if (kind == SCTLR)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, sctlr_written, CB_NO_REGS, NULL);
	}
}

/* ---- the end ---------------------------------------------------------------------- */

/* QEMU calls this before it exits, for whatever reason. */
static void at_exit(uint64_t id, void *arg)
{
	bool bad = false;

	(void)id;
	(void)arg;
	if (!compared || broken) {
		fprintf(stderr, "exclusives: broken: %s\n",
			compared ? "addresses cannot be compared here" :
				   "no data access was seen");
		bad = true;
	}
	for (unsigned int i = 0; i < MAX_CORES; i++) {
		const struct core *c = &cores[i];

		if (i >= want_cores && !c->early && !c->late)
			continue;
		fprintf(stderr,
			"exclusives: core %u: %lu before its MMU was on, "
			"%lu after%s\n",
			i, c->early, c->late,
			i < want_cores && !c->late ? ": broken, none seen" :
						     "");
		bad |= c->early || (i < want_cores && !c->late);
	}
	fprintf(stderr, "exclusives: %s\n", bad ? "FAIL" : "ok");
	fflush(stderr);
	if (bad)
		_exit(STATUS);
}

int qemu_plugin_install(uint64_t id, const void *machine, int argc, char **argv)
{
	(void)machine;
	for (int i = 0; i < argc; i++) {
		if (sscanf(argv[i], "cores=%u", &want_cores) == 1 &&
		    want_cores && want_cores <= MAX_CORES)
			continue;
		fprintf(stderr,
			"exclusives: %s: there is cores=1 to cores=%d\n",
			argv[i], MAX_CORES);
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
