# Gordian: build it, run it, test it. Bare `make` builds and names the targets.
#
# PROFILE=debug (default) or release; WITH_TESTS=0 and WITH_DEMOS=0 leave the
# suites and the experiments out; O=dir puts the output elsewhere.
#
# What a target does beyond building stands in tools/, one script each. Lines
# that begin with "#:" are the help.

PROFILE    ?= debug
WITH_TESTS ?= 1
WITH_DEMOS ?= 1
VARIANT    := $(PROFILE)$(if $(filter 0,$(WITH_TESTS)),-notests)$(if $(filter 0,$(WITH_DEMOS)),-nodemos)
O          ?= build
OUT        := $(O)/$(VARIANT)
CROSS      ?= arm-none-eabi-
CC         := $(CROSS)gcc
PYTHON     ?= /usr/bin/python3
JOBS       ?= $(shell nproc 2>/dev/null || echo 2)

SRCS := $(wildcard boot/*.c boot/*.S kernel/*.c kernel/*/*.c kernel/*/*.S drivers/*.c)
ifneq ($(WITH_TESTS),0)
SRCS += $(wildcard tests/kernel/*.c)
endif
ifneq ($(WITH_DEMOS),0)
SRCS += $(wildcard lab/*.c lab/*/*.c demos/*.c demos/*/*.c)
endif
OBJS := $(addprefix $(OUT)/,$(addsuffix .o,$(SRCS)))

# Debug is ARM code with frame pointers, release is Thumb-2. The assembly files
# say .arm themselves.
STATE := $(if $(filter debug,$(PROFILE)),-marm,-mthumb)
# uint32_t is unsigned int here, as everywhere else: formats stay plain.
TYPES := -U__UINT32_TYPE__ "-D__UINT32_TYPE__=unsigned int" \
	 -U__INT32_TYPE__ -D__INT32_TYPE__=int
ARCH  := -mcpu=cortex-a7 $(STATE) -mgeneral-regs-only -mfloat-abi=soft
WARN  := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wundef
BASE  := -std=gnu11 $(ARCH) $(TYPES) $(WARN) -I. -ffunction-sections \
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
# Built without checks that would put calls where the MMU is off or a lock is
# being taken.
PLAIN := boot/% kernel/lock/spinlock.c kernel/lock/lockdep%
# What most other code waits for, in debug above all.
QUICK := kernel/lock/lockdep% kernel/lock/spinlock.c
LDFLAGS := $(ARCH) -nostartfiles -Wl,--gc-sections -Wl,--build-id=none \
	   -Wl,--no-warn-rwx-segments -T linker.ld
LIBS  := -lc -lgcc

.DEFAULT_GOAL := all

#: make                        build the debug image, print this
.PHONY: all image where
all: $(OUT)/gordian.img
	@echo "built $(OUT)/gordian.img"
	@sed -n 's/^#: //p' Makefile

image: $(OUT)/gordian.img
where:
	@echo $(OUT)

# ---- what it is for -------------------------------------------------------------

SMP     ?= 4
MACHINE ?= virt
RUNNER  := SMP='$(SMP)' MACHINE='$(MACHINE)' PROFILE='$(PROFILE)' \
	   IMAGE='$(OUT)/gordian.img' tools/run
READY    = tools/need demo $(if $(filter raspi%,$(MACHINE)),boards) && $(MAKE) --no-print-directory -j$(JOBS) image

#: make demo [ID=e2]           tie the knots and cut them, on 4 cores
.PHONY: demo
demo: TABLE = all$(if $(filter debug,$(PROFILE)), search)
demo:
	@$(READY)
	@RUN='demo $(or $(ID),$(TABLE))' $(RUNNER)
	@sed -n 's/^#> //p' Makefile
#> Try next:
#>   make demo ID=e2                    one experiment: the drawing of the thread
#>   make run RUN='demo e2 hold; waits' leave the knot tied, look at who waits
#>   make run                           the shell: help, ps, cpu down 2, demo

#: make run [SMP=n] [RUN='cmd; cmd']   the shell, or commands; on QEMU's virt
#:          [MACHINE=raspi2b|raspi3b|raspi4b]    or a Raspberry Pi
.PHONY: run
run:
	@$(READY)
	@RUN="$$RUN" $(RUNNER)
export RUN

#: make try [PATCH=file]       your own demos/yours.c, or a patch, on trial
.PHONY: try
try:
	@$(READY)
	@tools/try $(if $(PATCH),'PATCH=$(PATCH)')

#: make debug [SMP=n] [RUN=]   QEMU stopped at the start, gdb attached
.PHONY: debug
debug:
	@tools/need demo debug
	@$(MAKE) --no-print-directory -j$(JOBS) image
	@SMP='$(SMP)' tools/debug $(OUT)

#: make card [FIRMWARE=DIR] [RUN=]    an SD card for a Raspberry Pi, as an image
.PHONY: card
card:
	@tools/need card
	@$(MAKE) --no-print-directory -j$(JOBS) image
	@FIRMWARE='$(FIRMWARE)' tools/card $(OUT)/gordian.img $(O)/gordian-card.img

# ---- is it right ----------------------------------------------------------------

#: make test [T='-k boot']     everything that must hold, under 15 minutes
.PHONY: test
test:
	@tools/need demo test
	@$(MAKE) --no-print-directory -j$(JOBS) image
	@$(PYTHON) -m pytest -q -p no:cacheprovider -n 2 --dist loadfile tests $(T)

#: make qemu10 [T='-k boot']   QEMU 10 into build/, and the same tests with it
.PHONY: qemu10
qemu10:
	@tools/need demo test
	@$(MAKE) --no-print-directory -j$(JOBS) image
	@tools/qemu10 $(O)/qemu10
	@QEMU='$(abspath $(O))/qemu10/qemu-system-arm' \
		$(PYTHON) -m pytest -q -p no:cacheprovider -n 2 --dist loadfile tests $(T)

#: make lint                   formatter, static checkers, rules of the image
.PHONY: lint
lint:
	@tools/need demo lint
	@$(MAKE) --no-print-directory -j$(JOBS) image
	@$(MAKE) --no-print-directory -j$(JOBS) PROFILE=release image
	@tools/lint $(O)

#: make size                   bytes and lines against their budgets
.PHONY: size
size:
	@tools/need demo size
	@$(MAKE) --no-print-directory -j$(JOBS) PROFILE=debug image
	@$(MAKE) --no-print-directory -j$(JOBS) PROFILE=release WITH_TESTS=0 \
		WITH_DEMOS=0 image
	@$(PYTHON) tools/size $(O)

#: make bench                  instructions per operation, release and debug
.PHONY: bench
bench:
	@tools/need demo size
	@$(MAKE) --no-print-directory -j$(JOBS) PROFILE=debug image
	@$(MAKE) --no-print-directory -j$(JOBS) PROFILE=release image
	@$(PYTHON) tools/bench $(O)

#: make boots [N=25]           N boots on each of 1, 2, 4 and 8 cores
.PHONY: boots
boots:
	@tools/need demo test
	@$(PYTHON) tools/boots $(or $(N),25)

#: make model                  the experiments by spin, against the explorer
.PHONY: model
model:
	@tools/need demo model
	@$(MAKE) --no-print-directory -j$(JOBS) image
	@$(PYTHON) tools/model

#: make mutants [RUNS=10] [SECONDS=60]    broken kernels that torture must catch
.PHONY: mutants
mutants:
	@tools/need demo test
	@tools/mutants $(if $(RUNS),--runs $(RUNS)) $(if $(SECONDS),--seconds $(SECONDS))

#: make soak                   the long proofs, one line each; hours
.PHONY: soak
soak:
	@tools/need demo test
	@$(PYTHON) tools/soak

#: make clean                  remove the output
.PHONY: clean
clean:
	rm -rf $(O)

# ---- the image ------------------------------------------------------------------

# Changes when the compiler's line, a rule or the list of files does.
SETTINGS := $(CC) $(BASE) | $(CHECK) | $(LDFLAGS) | $(SRCS)
$(OUT)/settings: Makefile FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(SETTINGS)' > $@.new
	@cmp -s $@.new $@ && [ $@ -nt Makefile ] && rm $@.new || mv $@.new $@
.PHONY: FORCE
FORCE:

$(OUT)/%.c.o: %.c $(OUT)/settings
	@mkdir -p $(@D)
	@$(CC) $(BASE) $(if $(filter $(PLAIN),$<),,$(CHECK)) $(if $(filter $(QUICK),$<),-O2) -c $< -o $@

$(OUT)/%.S.o: %.S $(OUT)/settings
	@mkdir -p $(@D)
	@$(CC) $(ARCH) -I. -g -MMD -MP -c $< -o $@

# Two links: the second has the symbol table, at the end of rodata, so that no
# text moves; the rule checks that none did.
$(OUT)/gordian.elf: $(OBJS) linker.ld tools/mksyms $(OUT)/settings
	@: | sh tools/mksyms > $(OUT)/ksyms0.S
	@$(CC) $(ARCH) -c $(OUT)/ksyms0.S -o $(OUT)/ksyms0.o
	@$(CC) $(LDFLAGS) $(OBJS) $(OUT)/ksyms0.o $(LIBS) -o $(OUT)/stage1.elf
	@$(CROSS)nm -n $(OUT)/stage1.elf | sh tools/mksyms > $(OUT)/ksyms.S
	@$(CC) $(ARCH) -c $(OUT)/ksyms.S -o $(OUT)/ksyms.o
	@$(CC) $(LDFLAGS) -Wl,-Map=$(OUT)/gordian.map $(OBJS) $(OUT)/ksyms.o $(LIBS) -o $@
	@$(CROSS)nm -n $(OUT)/stage1.elf | grep -i ' t ' > $(OUT)/text1
	@$(CROSS)nm -n $@ | grep -i ' t ' | cmp -s - $(OUT)/text1 || \
		{ rm -f $@; echo "the symbol table has moved the text"; exit 1; }

$(OUT)/gordian.img: $(OUT)/gordian.elf
	@$(CROSS)objcopy -O binary $< $@

-include $(OBJS:.o=.d)
