# Gordian: build it, run it, test it. Bare `make` builds and names the targets.
#
# PROFILE=debug (default) or release; WITH_TESTS=0 and WITH_DEMOS=0 leave the
# suites and the experiments out; O=dir puts the output elsewhere.

PROFILE    ?= debug
WITH_TESTS ?= 1
WITH_DEMOS ?= 1
VARIANT    := $(PROFILE)$(if $(filter 0,$(WITH_TESTS)),-notests)$(if $(filter 0,$(WITH_DEMOS)),-nodemos)
O          ?= build
OUT        := $(O)/$(VARIANT)
CROSS      ?= arm-none-eabi-
CC         := $(CROSS)gcc
PYTHON     ?= /usr/bin/python3

SRCS := $(wildcard boot/*.c boot/*.S kernel/*.c kernel/*/*.c kernel/*/*.S drivers/*.c)
ifneq ($(WITH_TESTS),0)
SRCS += $(wildcard tests/kernel/*.c)
endif
ifneq ($(WITH_DEMOS),0)
SRCS += $(wildcard demos/*.c)
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
PLAIN := boot/% kernel/lock/spinlock.c
LDFLAGS := $(ARCH) -nostartfiles -Wl,--gc-sections -Wl,--build-id=none \
	   -Wl,--no-warn-rwx-segments -T linker.ld
LIBS  := -lc -lgcc

.DEFAULT_GOAL := all

.PHONY: all
all: $(OUT)/gordian.img
	@echo "built $(OUT)/gordian.img"
	@sed -n 's/^#: //p' Makefile

$(OUT)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(BASE) $(if $(filter $(PLAIN),$<),,$(CHECK)) -c $< -o $@

$(OUT)/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	@$(CC) $(ARCH) -I. -g -MMD -MP -c $< -o $@

# Two links: the second has the symbol table, at the end of rodata, so that no
# text moves; the rule checks that none did.
$(OUT)/gordian.elf: $(OBJS) linker.ld tools/mksyms
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

.PHONY: clean
clean:
	rm -rf $(O)

-include $(OBJS:.o=.d)
