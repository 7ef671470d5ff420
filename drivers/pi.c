/*
 * The Raspberry Pi boards: a table of the differences, and the set-up that is
 * the same on all of them.
 *
 * A board is recognised by its device tree or, as there may be none, by its
 * processor and by the load address. Device addresses come from the table here,
 * because the trees give addresses as the bus sees them.
 *
 * Owns the pins, the property mailbox and the power manager. Boot core, during
 * start; for the functions in board_ops see board.h.
 * Source: BCM2835 ARM Peripherals, BCM2711 ARM Peripherals; Linux bcm2835_wdt.
 */
#include <string.h>

#include "boot/boot.h"
#include "drivers/devices.h"
#include "kernel/arch/clock.h"
#include "kernel/arch/mmu.h"
#include "kernel/lib/printf.h"

#define PART_A7	 0xc07
#define PART_A53 0xd03
#define PART_A72 0xd08

#define LED_AT_FIRMWARE (-1) /* the firmware alone can reach that pin */
#define NO_LED		(-2)

static const struct pi {
	const char *compatible, *name;
	uint32_t part; /* of MIDR */
	uint32_t peripherals, local;
	uint32_t uart_irq;
	uint32_t gicd, gicc; /* 0: the local controller */
	int led;	     /* pin, or LED_AT_FIRMWARE */
} pis[] = {
	{ "brcm,bcm2836", "Raspberry Pi 2", PART_A7, 0x3f000000, 0x40000000,
	  32 + 57, 0, 0, 47 },
	{ "brcm,bcm2837", "Raspberry Pi 3", PART_A53, 0x3f000000, 0x40000000,
	  32 + 57, 0, 0, LED_AT_FIRMWARE },
	{ "brcm,bcm2711", "Raspberry Pi 4", PART_A72, 0xfe000000, 0xff800000,
	  153, 0xff841000, 0xff842000, 42 },
};

#define PERIPHERALS_SIZE 0x216000u
#define PI3_HZ		 19200000u
#define UART_HZ		 48000000u /* unless the firmware says otherwise */
#define TYPE_2B		 0x04u	   /* of the revision */
#define TYPE_3B_PLUS	 0x0du
#define TYPE_3A_PLUS	 0x0eu
#define TYPE_ZERO_2	 0x12u
#define LOW_MEMORY	 0x8000u /* the firmware's: its loops, tags, tree */
#define NR_PI_CORES	 4
#define BLINKS		 16u /* changes of the LED in a second, after a panic */
#define UART0		 0x201000u /* the PL011, from the peripherals' base */

static const struct pi *pi;
static uintptr_t regs; /* of the peripherals */
static int led;	       /* pin of the activity LED, LED_AT_FIRMWARE or NO_LED */
static bool led_low;   /* it is on when the pin is low */
static bool led_is_on;

/* ---- the system timer, at 1 MHz ------------------------------------------ */

#define SYSTEM_TIMER 0x3004    /* its low word */
#define SYSTEM_TRIES 10000000u /* then it stands still */

/* Wait for at least us microseconds, if the timer runs. Returns how many
 * microseconds have passed. */
static uint32_t pause_us(uint32_t us)
{
	uint32_t start = mmio_read(regs + SYSTEM_TIMER), took = 0;

	for (unsigned int i = 0; i < SYSTEM_TRIES && took <= us; i++)
		took = mmio_read(regs + SYSTEM_TIMER) - start;
	return took;
}

/* ---- property mailbox ---------------------------------------------------- */

#define VC_READ	  0xb880
#define VC_STATUS 0xb898
#define VC_WRITE  0xb8a0
#define VC_FULL	  0x80000000u
#define VC_EMPTY  0x40000000u
#define VC_TAGS	  8u /* channel */
#define VC_BUS	  0xc0000000u
#define VC_DONE	  0x80000000u
#define VC_TRIES  1000000u

#define TAG_CLOCK     0x00030002u /* of clock id, in Hz */
#define TAG_SET_CLOCK 0x00038002u /* the same, and a flag: change no other */
#define TAG_SET_PIN   0x00038041u
#define TAG_MEMORY    0x00010005u /* the ARM's: base, size */
#define TAG_REVISION  0x00010002u
#define CLOCK_UART    2u
#define PIN_LED	      130u
#define WORDS	      3u /* of a tag, at most */

static uint32_t vc[16] aligned(64);

/* Write vc[] to memory and drop it from the caches. The firmware then sees what
 * the core has written, and the core what the firmware has written. */
static void vc_flush(void)
{
	dsb(); /* the stores to vc[] come first */
	__asm__ volatile("mcr p15, 0, %0, c7, c14, 1" ::"r"(vc) : "memory");
	dsb(); /* the cache operation has ended */
}

/* Send one tag with WORDS words to the firmware; the answer replaces the words.
 * Returns false if there is no answer. */
static bool ask_firmware(uint32_t tag, uint32_t *value)
{
	uint32_t to = image_phys(vc) | VC_BUS;
	const uint32_t head[] = { (6 + WORDS) * 4, 0, tag, WORDS * 4, 0 };
	unsigned int i;

	memcpy(vc, head, sizeof(head));
	memcpy(vc + 5, value, WORDS * 4);
	vc[5 + WORDS] = 0; /* no more tags */
	vc_flush();
	/* A panic may have interrupted an earlier call: drop its answer. */
	for (i = 0; i < VC_TRIES && !(mmio_read(regs + VC_STATUS) & VC_EMPTY);
	     i++)
		(void)mmio_read(regs + VC_READ);
	for (i = 0; i < VC_TRIES && mmio_read(regs + VC_STATUS) & VC_FULL; i++)
		cpu_relax();
	mmio_write(regs + VC_WRITE, to | VC_TAGS);
	for (i = 0; i < VC_TRIES; i++)
		if (!(mmio_read(regs + VC_STATUS) & VC_EMPTY) &&
		    mmio_read(regs + VC_READ) == (to | VC_TAGS))
			break;
	vc_flush();
	memcpy(value, vc + 5, WORDS * 4);
	return i < VC_TRIES && vc[1] == VC_DONE && vc[4] & VC_DONE;
}

/* ---- pins ---------------------------------------------------------------- */

#define GPIO	      0x200000
#define GPFSEL(pin)   (GPIO + (pin) / 10 * 4)
#define GPSET(pin)    (GPIO + 0x1c + (pin) / 32 * 4)
#define GPCLR(pin)    (GPIO + 0x28 + (pin) / 32 * 4)
#define GPLEV(pin)    (GPIO + 0x34 + (pin) / 32 * 4)
#define GPPUD	      (GPIO + 0x94) /* BCM2836, BCM2837: two steps */
#define GPPUDCLK(pin) (GPIO + 0x98 + (pin) / 32 * 4)
#define GPPUPPDN(pin) (GPIO + 0xe4 + (pin) / 16 * 4) /* BCM2711 */
#define PIN_INPUT     0u
#define PIN_OUTPUT    1u
#define PIN_ALT0      4u
#define PULL_US	      2u /* the manual asks for 150 cycles */
#define PIN_TX	      14u
#define PIN_RX	      15u

static void pin_function(unsigned int pin, uint32_t fn)
{
	uint32_t shift = pin % 10 * 3, a = mmio_read(regs + GPFSEL(pin));

	mmio_write(regs + GPFSEL(pin), (a & ~(7u << shift)) | fn << shift);
}

/* Turn the pull-up on, or both pulls off. */
static void pin_pull(unsigned int pin, bool up)
{
	unsigned int shift = pin % 16 * 2;

	if (pi->gicd) { /* BCM2711: one register */
		uint32_t a = mmio_read(regs + GPPUPPDN(pin)) & ~(3u << shift);

		mmio_write(regs + GPPUPPDN(pin), a | (uint32_t)up << shift);
		return;
	}
	mmio_write(regs + GPPUD, up ? 2 : 0);
	pause_us(PULL_US);
	mmio_write(regs + GPPUDCLK(pin), 1u << pin % 32);
	pause_us(PULL_US);
	mmio_write(regs + GPPUDCLK(pin), 0);
}

static void pin_output(unsigned int pin)
{
	pin_function(pin, PIN_OUTPUT);
}

static void pin_input(unsigned int pin)
{
	pin_function(pin, PIN_INPUT);
	pin_pull(pin, true);
}

static void pin_set(unsigned int pin, bool high)
{
	mmio_write(regs + (high ? GPSET(pin) : GPCLR(pin)), 1u << pin % 32);
}

static bool pin_is_high(unsigned int pin)
{
	return mmio_read(regs + GPLEV(pin)) >> pin % 32 & 1;
}

static const struct pin_ops pi_pins = {
	.output = pin_output,
	.input = pin_input,
	.set = pin_set,
	.is_high = pin_is_high,
};

/* Find the pin of the LED. Boards with the same chip have the LED on different
 * pins, so the type of the board decides. type: from the firmware, or 0 if the
 * firmware does not tell it. */
static void led_init(void)
{
	uint32_t revision[WORDS] = { 0 };
	uint32_t type = ask_firmware(TAG_REVISION, revision) ?
				revision[0] >> 4 & 0xff :
				0;

	led = pi->led;
	if (type == TYPE_2B) { /* also later 2Bs, which have a BCM2837 */
		board.name = pis[0].name;
		led = pis[0].led;
	}
	if (type == TYPE_3B_PLUS || type == TYPE_3A_PLUS || type == TYPE_ZERO_2)
		led = 29;
	led_low = type == TYPE_ZERO_2;
	if (type == TYPE_ZERO_2)
		board.name = "Raspberry Pi Zero 2 W";
	if (led >= 0)
		pin_function((unsigned int)led, PIN_OUTPUT);
}

static void set_led(bool on)
{
	uint32_t pin[WORDS] = { PIN_LED, on };

	if (led == NO_LED || on == led_is_on)
		return;
	led_is_on = on;
	if (led != LED_AT_FIRMWARE) {
		pin_set((unsigned int)led, on != led_low);
		return;
	}
	/* If the firmware does not answer, it is not asked again. */
	if (!ask_firmware(TAG_SET_PIN, pin))
		led = NO_LED;
}

/* Connect the PL011 to the header's pins. The firmware may have connected the
 * PL011 to the Bluetooth chip, by pins 32 and 33. */
static void console_init(void)
{
	uint32_t clock[WORDS] = { CLOCK_UART, UART_HZ, 1 };

	pin_function(32, PIN_INPUT);
	pin_function(33, PIN_INPUT);
	pin_function(PIN_TX, PIN_ALT0);
	pin_function(PIN_RX, PIN_ALT0);
	pin_pull(PIN_TX, false);
	pin_pull(PIN_RX, true); /* without a cable nothing is received */
	ask_firmware(TAG_SET_CLOCK, clock);
	clock[0] = CLOCK_UART;
	if (!ask_firmware(TAG_CLOCK, clock) || !clock[1])
		clock[1] = UART_HZ;
	pl011_init(pi->peripherals + UART0, pi->uart_irq, clock[1]);
}

/* ---- power --------------------------------------------------------------- */

#define PM_RSTC	 0x10001c
#define PM_RSTS	 0x100020
#define PM_WDOG	 0x100024
#define PASSWORD 0x5a000000u
#define RSTC_CFG 0x30u
#define RSTC_ALL 0x20u
#define HALTED	 0x555u /* partition 63: the firmware does not start again */
#define TICKS	 10u	/* of about 15 us */

/* Power off or reset. The effect comes some microseconds later. */
static void power_off_or_reset(bool off)
{
	pl011_drain(); /* send the last line */
	mmio_write(regs + PM_RSTS,
		   PASSWORD | (mmio_read(regs + PM_RSTS) & ~HALTED) |
			   (off ? HALTED : 0));
	mmio_write(regs + PM_WDOG, PASSWORD | TICKS);
	mmio_write(regs + PM_RSTC,
		   PASSWORD | (mmio_read(regs + PM_RSTC) & ~RSTC_CFG) |
			   RSTC_ALL);
}

/* The firmware may have left the watchdog running, which would reset the
 * machine. */
static void stop_hardware_watchdog(void)
{
	mmio_write(regs + PM_RSTC,
		   PASSWORD | (mmio_read(regs + PM_RSTC) & ~RSTC_CFG));
}

/* ---- the counter against the other clock --------------------------------- */

#define MEASURE_US 5000u
#define LOOKS	   16u
#define OFF_BY	   50u /* a difference of 1/50 is too much */

/* Read both clocks at one moment. Returns the microseconds of the system timer.
 * An emulator may stop for a while between the two reads, so the function reads
 * LOOKS times and takes the fastest reading. */
static uint32_t read_both_clocks(uint64_t *counter)
{
	uint64_t least = ~0ull;
	uint32_t best = 0;

	for (unsigned int i = 0; i < LOOKS; i++) {
		uint64_t before = timer_now();
		uint32_t us = mmio_read(regs + SYSTEM_TIMER);
		uint64_t after = timer_now();

		if (after - before >= least)
			continue;
		least = after - before;
		best = us;
		*counter = before + least / 2;
	}
	return best;
}

/* The counter's rate in Hz, measured with the 1 MHz system timer. 0 if the
 * system timer stands still. Takes 5 ms. */
static uint32_t measure_counter(void)
{
	uint64_t from, to;
	uint32_t start = read_both_clocks(&from), us;

	if (pause_us(MEASURE_US) < MEASURE_US)
		return 0;
	us = read_both_clocks(&to) - start;
	return (uint32_t)((to - from) * 1000000ull / us);
}

static void clock_init(void)
{
	uint32_t said = timer_cntfrq(), hz;

	/* If the kernel was entered in SVC mode, it could not clear the offset
	 * of the virtual counter. So it uses the physical one. */
	timer_physical = (boot_info.entry_cpsr & PSR_MODE_MASK) != PSR_MODE_HYP;
	hz = measure_counter();
	if (hz && (hz > said ? hz - said : said - hz) > hz / OFF_BY)
		kprintf("timer: CNTFRQ says %u Hz, measured %u Hz: using "
			"that\n",
			said, hz);
	else
		hz = 0;
	board_clock(timer_physical ? TIMER_IRQ_PHYSICAL : TIMER_IRQ_VIRTUAL,
		    hz);
}

/*
 * The firmware can start a Pi 4 in 32-bit mode in two ways. If it takes the way
 * of the Pi 3, all interrupts belong to the secure state, and the kernel cannot
 * change this. So the machine ends.
 */
static noreturn void no_gic(void)
{
	kprintf("board: CNTFRQ %u, no GIC: the card needs enable_gic=1, "
		"bcm2711-*.dtb\n",
		timer_cntfrq());
	machine_exit(1);
}

/* If the counter of a Pi 4 has the rate of a Pi 3, the Pi 4 was started in the
 * Pi 3's way. */
static void check_stub(void)
{
	if (pi->gicd && timer_cntfrq() == PI3_HZ)
		no_gic();
}

/* ---- facts from the firmware, without a tree ----------------------------- */

#define ATAG_CORE    0x54410001u
#define ATAG_MEM     0x54410002u
#define ATAG_CMDLINE 0x54410009u
#define TAGS_BOUND   0x4000u

/* Memory and command line from the list of tags at r2, if there is one. */
static void read_tags(void)
{
	uint32_t pa = boot_info.r2;
	const uint32_t *tag, *end;

	if (pa & 3 || pa < 0x100 || pa >= SAFE_RAM)
		return;
	tag = map_early(pa, TAGS_BOUND);
	end = tag + TAGS_BOUND / 4;
	if (tag[1] != ATAG_CORE)
		return;
	/* Each tag begins with its length in words and its type. */
	for (; tag + 4 <= end && tag[0] >= 2 && tag[0] <= (size_t)(end - tag);
	     tag += tag[0]) {
		if (tag[1] == ATAG_MEM && tag[0] >= 4 && tag[3] == 0)
			board_memory(0, min(tag[2], pi->peripherals), "tags");
		if (tag[1] == ATAG_CMDLINE)
			board_args((const char *)&tag[2], (tag[0] - 2) * 4u);
	}
}

/* Ask the firmware for the memory, if there are no tags and no tree that
 * describes the memory. */
static void ask_for_memory(void)
{
	uint32_t memory[WORDS] = { 0 };
	bool known = ask_firmware(TAG_MEMORY, memory) && !memory[0] &&
		     memory[1];

	kprintf("board: %s; memory by %s\n", board.fdt_trouble,
		known ? "the firmware" : "assumption");
	if (known)
		board_memory(0, min(memory[1], pi->peripherals),
			     "the firmware");
	else
		board_memory(0, SAFE_RAM, "assumption");
}

static void pi_without_tree(void)
{
	read_tags();
	board.nr_cores = NR_PI_CORES;
	for (unsigned int i = 0; i < NR_PI_CORES; i++)
		board.mpidr[i] = (board.mpidr[0] & ~3u) | i;
}

/* ---- its table ----------------------------------------------------------- */

static void pi_print(unsigned int map_findings)
{
	report_start(measure_counter());
	report_cores(bcm2836_unread, map_findings);
}

/* The second half of the boot report: pi_init() has printed the first. */
static void pi_greet(unsigned int map_findings)
{
	report_cores(bcm2836_unread, map_findings);
}

static void pi_heartbeat(void)
{
	static unsigned int beats; /* one thread calls this */

	set_led(beats++ & 1);
}

static void pi_exit(int status)
{
	leave_machine(status);
	power_off_or_reset(true);
}

/* Let the LED blink fast from now on, so that the board does not look switched
 * off. */
static void pi_give_up(int status)
{
	leave_machine(status);
	for (;;) {
		set_led(timer_now() * BLINKS / timer_hz & 1);
		cpu_relax();
	}
}

static void pi_reboot(void)
{
	power_off_or_reset(false);
}

static const struct board_ops pi_ops = {
	.print = pi_print,
	.greet = pi_greet,
	.core_up = report_core_up,
	.heartbeat = pi_heartbeat,
	.exit = pi_exit,
	.give_up = pi_give_up,
	.reboot = pi_reboot,
};

/* ---- the board ----------------------------------------------------------- */

static uint32_t midr_part(void)
{
	uint32_t midr;

	__asm__ volatile("mrc p15, 0, %0, c0, c0, 0" : "=r"(midr));
	return midr >> 4 & 0xfff;
}

static bool tree_names(const struct fdt *fdt, const struct pi *p)
{
	return fdt && fdt_is_compatible(fdt, fdt_root(fdt), p->compatible);
}

/*
 * Which Pi is this machine? NULL: no Pi. The processor tells which chip the
 * machine has. (A tree for another chip must be wrong.) A low load address
 * shows that the machine is a Pi, because no other machine with such a
 * processor has one. A Pi 4 can also be loaded above RAM_MAX; then the tree
 * must name the Pi 4.
 */
static const struct pi *find_pi(const struct fdt *fdt)
{
	const struct pi *p = pis, *end = pis + ARRAY_SIZE(pis);

	while (p < end && p->part != midr_part())
		p++;
	if (p == end || (boot_info.image_pa >= RAM_MAX &&
			 (p->peripherals < RAM_MAX || !tree_names(fdt, p))))
		return NULL;
	return p;
}

/* The tree of another board is used as far as it fits. A line says so. */
static void report_foreign_tree(const struct fdt *fdt)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pis); i++)
		if (tree_names(fdt, &pis[i]) &&
		    pis[i].peripherals != pi->peripherals)
			kprintf("board: the tree is for %s, the processor is "
				"that of a %s\n",
				pis[i].compatible, pi->name);
}

bool pi_init(const struct fdt *tree)
{
	pi = find_pi(tree);
	if (!pi)
		return false;
	board_ops = &pi_ops;
	pins = &pi_pins;
	regs = map_device(pi->peripherals, PERIPHERALS_SIZE);
	stop_hardware_watchdog();
	board.name = pi->name;
	board_reserve(0, LOW_MEMORY, false);
	console_init();
	led_init();
	check_stub();
	report_foreign_tree(tree);
	bcm2836_local(pi->local);
	if (!pi->gicd)
		bcm2836_init(regs);
	else if (!gic2_init(pi->gicd, pi->gicc))
		no_gic();
	clock_init();
	pen_init(bcm2836_release);
	if (tree)
		board_from_tree(
			tree, &(struct facts){ .ram_end = pi->peripherals,
					       .core_bits = NR_PI_CORES - 1 });
	else
		pi_without_tree();
	if (!board.ram_size)
		ask_for_memory();
	/* Print the first half of the boot report now, because the other cores
	 * may hang the machine. */
	report_start(measure_counter());
	return true;
}
