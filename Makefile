# Gordian: build it, run it, test it. Bare `make` builds the debug image and lists
# the targets.
#
# PROFILE is debug (the default) or release. WITH_TESTS=0 leaves the suites out,
# WITH_DEMOS=0 the experiments. O=DIR puts all output elsewhere: the tree may be
# read-only then. CC=clang compiles with clang; gcc's linker links.
#
# Each target that does more than build has a script in tools/. The lines that begin
# with "#:" are the help; the lines that begin with "#>" follow a demo.

PROFILE    ?= debug
WITH_TESTS ?= 1
WITH_DEMOS ?= 1
ifneq ($(filter-out 0 1,$(WITH_TESTS) $(WITH_DEMOS)),)
$(error WITH_TESTS and WITH_DEMOS are 0 or 1)
endif
VARIANT    := $(PROFILE)$(if $(filter 0,$(WITH_TESTS)),-notests)$(if $(filter 0,$(WITH_DEMOS)),-nodemos)
O          ?= build
OUT        := $(O)/$(VARIANT)
# An object is the same in each variant of a profile.
OBJ        := $(O)/$(PROFILE)
export O
CROSS      ?= arm-none-eabi-
LD         := $(CROSS)gcc
CC         := $(LD)
PYTHON     ?= /usr/bin/python3
JOBS       ?= $(shell nproc 2>/dev/null || echo 2)

SRCS := $(wildcard boot/*.c boot/*.S kernel/*.c kernel/*/*.c kernel/*/*.S drivers/*.c)
ifneq ($(WITH_TESTS),0)
SRCS += $(wildcard tests/kernel/*.c)
endif
ifneq ($(WITH_DEMOS),0)
SRCS += $(wildcard lab/*.c lab/*/*.c demos/*.c demos/*/*.c)
endif
OBJS := $(addprefix $(OBJ)/,$(addsuffix .o,$(SRCS)))

# Debug is ARM code with frame pointers, release is Thumb-2. The assembly files
# select ARM code themselves.
STATE := $(if $(filter debug,$(PROFILE)),-marm,-mthumb)
# The compiler's uint32_t is unsigned long. With unsigned int, as on other machines,
# printf formats need no casts.
TYPES := -U__UINT32_TYPE__ "-D__UINT32_TYPE__=unsigned int" \
	 -U__INT32_TYPE__ -D__INT32_TYPE__=int
ARCH  := -mcpu=cortex-a7 $(STATE) -mgeneral-regs-only -mfloat-abi=soft
# A frame is smaller than the guard page below a stack (4 KiB), so none reaches over it.
WARN  := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wundef \
	 -Wframe-larger-than=3072 -Wvla
# clang uses the C library of gcc. These warnings are about what gcc accepts: options
# and an attribute that clang lacks, the types above, fields without a value.
ifneq ($(findstring clang,$(CC)),)
CLANG := --target=arm-none-eabi -fshort-enums \
	 -isystem $(dir $(shell $(LD) -print-file-name=libc.a))../include \
	 -Wno-unused-command-line-argument -Wno-unknown-attributes \
	 -Wno-builtin-macro-redefined -Wno-missing-field-initializers
endif
BASE  := -std=gnu11 $(ARCH) $(TYPES) $(WARN) $(CLANG) -I. -ffunction-sections \
	 -fdata-sections -fno-common -fno-delete-null-pointer-checks -MMD -MP
ifeq ($(PROFILE),debug)
BASE  += -DGORDIAN_DEBUG=1 -O1 -g3 -fno-omit-frame-pointer \
	 -fno-optimize-sibling-calls
CHECK := -fsanitize=undefined -fno-sanitize=alignment \
	 -fstack-protector-strong
else ifeq ($(PROFILE),release)
BASE  += -DGORDIAN_DEBUG=0 -Os -g -fomit-frame-pointer
CHECK :=
else
$(error PROFILE=$(PROFILE): there are debug and release)
endif
# These are built without the checks: a check is a call, and these files run with
# the MMU off, while a lock is taken or a reader begins, for each lock that lockdep sees
# (a backtrace), for each step (the search), or for each word of the device tree. (The
# tests on the host check the last two.)
PLAIN := boot/% kernel/lock/spinlock.c kernel/lock/park.c kernel/lock/lockdep% \
	 kernel/sync/fast.c kernel/rcu/read.c kernel/debug/backtrace.c \
	 kernel/explore/search.c kernel/lib/fdt.c
# In the debug profile the explorer sees each access of these to shared memory
# (kernel/explore/access.h). clang has no such option for this target.
SEEN  := $(if $(CLANG),,$(if $(filter debug,$(PROFILE)),demos/%))
SEE   := -fsanitize=thread --param tsan-instrument-func-entry-exit=0
# These are optimized in debug too: most of the time is spent in them.
QUICK := kernel/lock/lockdep% kernel/lock/spinlock.c kernel/lock/park.c \
	 kernel/sync/fast.c kernel/rcu/read.c kernel/explore/% \
	 kernel/debug/backtrace.c kernel/debug/trace.c
# These are optimized for speed in release: locks, switches, callbacks, objects.
ifeq ($(PROFILE),release)
QUICK += kernel/sched/% kernel/sync/% kernel/cpu/hotplug_lock.c \
	 kernel/rcu/callback.c kernel/rcu/cblist.c kernel/rcu/rcu.c \
	 kernel/slab/slab.c kernel/slab/kmalloc.c
endif
LDFLAGS := $(ARCH) -nostartfiles -Wl,--gc-sections -Wl,--build-id=none \
	   -Wl,--no-warn-rwx-segments -T linker.ld
ifdef CLANG # its objects name this function, whose code nothing here calls
LDFLAGS += -Wl,--defsym=__aeabi_unwind_cpp_pr0=0 -Wl,-z,noexecstack
endif
LIBS  := -lc -lgcc

.DEFAULT_GOAL := all

#: make                        build the debug image, then print this list
#: make help                   print this list
.PHONY: all help image where
all: $(OUT)/gordian.img
	@echo "built $(OUT)/gordian.img"
	@sed -n 's/^#: //p' Makefile

help:
	@sed -n 's/^#: //p' Makefile

image: $(OUT)/gordian.img
where:
	@echo $(OUT)

# ---- run it ---------------------------------------------------------------------

SMP     ?= 4
MACHINE ?= virt
RUNNER  := SMP='$(SMP)' MACHINE='$(MACHINE)' PROFILE='$(PROFILE)' \
	   IMAGE='$(OUT)/gordian.img' tools/run
READY    = tools/need demo $(if $(filter raspi%,$(MACHINE)),boards) && $(BUILD)
# Build before something else. On a terminal the name of a file replaces the one before;
# elsewhere nothing is printed.
BUILD    = if [ -t 1 ]; then $(MAKE) --no-print-directory -j$(JOBS) SAY=replace image && \
		printf '\r\033[K'; \
	   else $(MAKE) --no-print-directory -j$(JOBS) SAY=nothing image; fi

#: make demo [ID=e2|all]       run all experiments on 4 cores, and compare the
#:                             results with the expected results; print four
#:                             experiments and a table of all; ID=all: print all
#:                             experiments; ID=e2: run and print this one
.PHONY: demo
demo:
	@$(READY)
	@SMP='$(SMP)' MACHINE='$(MACHINE)' PROFILE='$(PROFILE)' \
		IMAGE='$(OUT)/gordian.img' $(PYTHON) tools/demo $${ID:+"$$ID"}
	@sed -n 's/^#> //p' Makefile
#> Try next:
#>   make run RUN='step e2' THEN=shell    choose each step yourself until it hangs
#>   make run RUN='demo e2 hold; waits'   keep the deadlock and show the waits
#>   edit demos/yours.c, then make try    your own kmem_cache_destroy(), judged

#: make run [SMP=n] [RUN='cmd; cmd'] [THEN=shell]
#:          [MACHINE=raspi2b|raspi3b|raspi4b]
#:                             start the shell, on QEMU's virt machine or a model
#:                             of a Pi; RUN= runs the commands and ends;
#:                             THEN=shell starts the shell after the commands
.PHONY: run
run:
	@$(READY)
	@RUN="$$RUN" $(RUNNER)
# The shell reads these from its environment: they may have quotes.
export RUN THEN ID PATCH FIRMWARE

#: make try [PATCH=file]       judge demos/yours.c; PATCH=file: run experiments
#:                             with and without the patch, and show which
#:                             verdicts the patch changes
.PHONY: try
try:
	@tools/need demo try
	@tools/try

#: make diff ID=e1             show how the functions of an experiment differ
#:                             from the kernel's own functions
.PHONY: diff
diff:
	@tools/need diff
	@$(PYTHON) tools/diff "$$ID"

#: make pictures               draw recorded runs of E1 and E2 for the README
.PHONY: pictures
pictures:
	@$(READY)
	@$(PYTHON) tools/pictures

#: make trace ID=e2            record an experiment; write build/trace/e2.json
#:                             for ui.perfetto.dev, and pictures of the
#:                             schedule, the order of locks and the waits
.PHONY: trace
trace:
	@tools/need demo trace
	@$(BUILD)
	@$(PYTHON) tools/trace run "$${ID:?make trace ID=e2}"

#: make show [PORT=/dev/ttyUSB0] [HTTP=8000]
#:                             show a running kernel in a browser: the shell, the
#:                             cores, the locks and the waits; PORT= shows a board
#:                             on a serial line
.PHONY: show
show:
	@tools/need show $(if $(PORT),,demo)
	@$(if $(PORT),:,$(BUILD))
	@SMP='$(SMP)' MACHINE='$(MACHINE)' IMAGE='$(OUT)/gordian.img' $(PYTHON) tools/show
export PORT HTTP

#: make report [ID=e1,e2]      record all experiments (or these), and write
#:                             build/report/index.html: one page without network,
#:                             in which you step through each recorded round, and
#:                             play the scheduler
.PHONY: report
report:
	@tools/need demo report
	@$(BUILD)
	@$(PYTHON) tools/report $${ID:+"only=$$ID"}

#: make debug [SMP=n] [RUN=]   start QEMU and gdb; the kernel waits at its first
#:                             instruction
.PHONY: debug
debug:
	@tools/need demo debug
	@$(BUILD)
	@SMP='$(SMP)' MACHINE='$(MACHINE)' tools/debug $(OUT)

#: make card [FIRMWARE=DIR] [RUN=]    write the image of an SD card for a
#:                             Raspberry Pi
.PHONY: card
card:
	@tools/need card
	@$(BUILD)
	@tools/card $(OUT)/gordian.img $(O)/gordian-card.img

# ---- test it --------------------------------------------------------------------

#: make check                  run a short test while you edit, in under 90 seconds
.PHONY: check
check:
	@tools/need demo test
	@$(BUILD)
	@$(PYTHON) -m pytest -q -p no:cacheprovider -n 2 -m check --tb=short tests $(T)

#: make test [T='-k boot']     run all tests, in under 15 minutes
.PHONY: test
test:
	@tools/need demo test
	@$(BUILD)
	@$(PYTHON) -m pytest -q -p no:cacheprovider -n 2 --dist loadfile tests $(T)

#: make qemu10 [T='-k boot']   get QEMU 10 into build/ and run all tests with it
.PHONY: qemu10
qemu10:
	@tools/need demo test
	@$(BUILD)
	@tools/qemu10 $(O)/qemu10
	@QEMU='$(abspath $(O))/qemu10/qemu-system-arm' \
		$(PYTHON) -m pytest -q -p no:cacheprovider -n 2 --dist loadfile tests $(T)

#: make lint                   check the format, the code and the machine code
.PHONY: lint
lint:
	@tools/need demo lint
	@$(BUILD)
	@$(MAKE) --no-print-directory -j$(JOBS) SAY=nothing PROFILE=release image
	@tools/lint $(O)

#: make size                   compare bytes and lines with their budgets
.PHONY: size
size:
	@tools/need demo size
	@$(MAKE) --no-print-directory -j$(JOBS) SAY=nothing PROFILE=debug image
	@$(MAKE) --no-print-directory -j$(JOBS) SAY=nothing PROFILE=release WITH_TESTS=0 \
		WITH_DEMOS=0 image
	@$(PYTHON) tools/size $(O)

#: make bench                  count instructions per operation, release and debug
#: make bench-check            compare these counts with docs/cost.json
#: make bench-docs             write the counts to docs/cost.json and docs/cost.md
#: make bench-latency [N=100]  measure in guest time, on 2 and 4 cores, how long
#:                             operations take; N samples of each
#: make bench-scale            count with 1 to 32 cores, and with 1, 10 and 100
#:                             times as many objects; draw the curves
#: make bench-start [N=10] [LONG=1]
#:                             measure what a start costs the host, over an empty
#:                             image; N pairs of runs; LONG=1: also what make demo
#:                             and `explore all` cost
#: make bench-linux PEER=DIR   compare with a Linux, which DIR/measure.py measures
.PHONY: bench bench-check bench-docs bench-latency bench-scale bench-start bench-linux
BENCH = tools/need demo size && \
	$(MAKE) --no-print-directory -j$(JOBS) SAY=nothing PROFILE=debug image && \
	$(MAKE) --no-print-directory -j$(JOBS) SAY=nothing PROFILE=release image && \
	$(PYTHON) tools/bench
bench:
	@$(BENCH) $(O) bench
bench-check bench-docs bench-latency:
	@$(BENCH) $(O) $(@:bench-%=%) $(if $(filter %latency,$@),$(N))
bench-scale:
	@$(BENCH)_scale $(O)
bench-start:
	@$(BENCH)_start $(O) $(or $(N),10) $(if $(LONG),long)
bench-linux:
	@$(BENCH)_linux $(O) '$(PEER)'

#: make boots [N=25]           boot N times each with 1, 2, 4 and 8 cores
.PHONY: boots
boots:
	@tools/need demo test
	@$(PYTHON) tools/boots $(or $(N),25)

#: make model                  check models of the experiments with spin, and
#:                             compare the results with the explorer's
.PHONY: model
model:
	@tools/need demo model
	@$(BUILD)
	@$(PYTHON) tools/model

#: make mutants [RUNS=10] [SECONDS=60]
#:                             run kernels with a broken RCU: the torture test must
#:                             fail on each kernel
.PHONY: mutants
mutants:
	@tools/need demo test
	@tools/mutants $(if $(RUNS),--runs $(RUNS)) $(if $(SECONDS),--seconds $(SECONDS))

#: make soak                   run the long tests (hours)
.PHONY: soak
soak:
	@tools/need demo test
	@$(PYTHON) tools/soak

#: make clean                  remove build/
.PHONY: clean
clean:
	rm -rf $(O)

# ---- the image ------------------------------------------------------------------

# Two makes may run in one tree. Each writes a file under its own name first, then
# renames it: $$$$ is the shell's process id, $$PPID is make's. A command that fails
# removes its files. A make that is killed leaves them, and a later one removes those
# that are more than an hour old.
# The object is renamed last: an object has its dependencies. These name $(OBJ)
# itself, so they are right in a copy of the tree, too.
# SAY: a line for each file that is compiled; or see BUILD; with -s, nothing.
SAY ?= lines
SAYS = $(if $(findstring s,$(firstword -$(MAKEFLAGS))),:,$(SAY_$(SAY)))
SAY_lines   := printf '  %s\n'
SAY_replace := printf '\r\033[K  %s'
SAY_nothing := :
PUT = -o $@.$$$$ -MF $@.d.$$$$ -MT '$$(OBJ)/$<.o' -c $< && \
	mv $@.d.$$$$ $(@:.o=.d) && mv $@.$$$$ $@ || \
	{ rm -f $@.$$$$ $@.d.$$$$; false; }
L   = $(OUT)/link.$$PPID
OLD = find $(sort $(OUT) $(OBJ)) -regex '.*\.[0-9]+' -mmin +60 -prune -exec rm -rf {} +

# These files change when the compiler's options, a rule or the list of files changes.
# The objects follow the first one. The image follows both.
TEXT_settings := $(CC) $(BASE) | $(CHECK) | $(SEEN) $(SEE) | $(LDFLAGS)
TEXT_sources  := $(SRCS)
$(OBJ)/settings $(OUT)/sources: Makefile FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(TEXT_$(@F))' > $@.$$PPID
	@cmp -s $@.$$PPID $@ && [ $@ -nt Makefile ] && rm $@.$$PPID || mv $@.$$PPID $@
.PHONY: FORCE
FORCE:

$(OBJ)/%.c.o: %.c $(OBJ)/settings
	@mkdir -p $(@D) && $(SAYS) $<
	@$(CC) $(BASE) $(if $(filter $(PLAIN),$<),,$(CHECK)) $(if $(filter $(QUICK),$<),-O2) $(if $(filter $(SEEN),$<),$(SEE)) $(PUT)

$(OBJ)/%.S.o: %.S $(OBJ)/settings
	@mkdir -p $(@D) && $(SAYS) $<
	@$(CC) $(ARCH) $(CLANG) -I. -g -MMD -MP $(PUT)

# There are two links. The second adds the symbol table at the end of rodata, so it
# moves no text; the rule checks this.
$(OUT)/gordian.elf: $(OBJS) linker.ld tools/mksyms $(OBJ)/settings $(OUT)/sources
	@$(OLD)
	@mkdir -p $(L) && $(SAYS) $@
	@{ : | sh tools/mksyms > $(L)/ksyms0.S && \
	$(LD) $(ARCH) -c $(L)/ksyms0.S -o $(L)/ksyms0.o && \
	$(LD) $(LDFLAGS) $(OBJS) $(L)/ksyms0.o $(LIBS) -o $(L)/stage1.elf && \
	$(CROSS)nm -n $(L)/stage1.elf | sh tools/mksyms > $(L)/ksyms.S && \
	$(LD) $(ARCH) -c $(L)/ksyms.S -o $(L)/ksyms.o && \
	$(LD) $(LDFLAGS) -Wl,-Map=$(L)/gordian.map $(OBJS) $(L)/ksyms.o $(LIBS) \
		-o $(L)/gordian.elf && \
	$(CROSS)nm -n $(L)/stage1.elf | grep -i ' t ' > $(L)/text1 && \
	{ $(CROSS)nm -n $(L)/gordian.elf | grep -i ' t ' | cmp -s - $(L)/text1 || \
		{ echo "error: the symbol table has moved the text"; false; }; } && \
	mv $(L)/gordian.map $(L)/gordian.elf $(OUT); } || { rm -r $(L); false; }
	@rm -r $(L)

$(OUT)/gordian.img: $(OUT)/gordian.elf
	@$(CROSS)objcopy -O binary $< $@.$$$$ && mv $@.$$$$ $@ || { rm -f $@.$$$$; false; }

-include $(OBJS:.o=.d)
