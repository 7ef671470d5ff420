/*
 * The UART: ARM's PL011. Source: ARM DDI 0183.
 *
 * Owns the registers. pl011_putc() polls; any context. The receive side belongs
 * to kernel/shell/input.c.
 */
#include "drivers/devices.h"
#include "kernel/arch/mmu.h"

#define DR    0x00
#define FR    0x18
#define IBRD  0x24
#define FBRD  0x28
#define LCRH  0x2c
#define CR    0x30
#define IMSC  0x38
#define ICR   0x44
#define DMACR 0x48

#define PERIPHID0 0xfe0
#define PL011_ID  0x11

#define BAUD	  115200u
#define FR_BUSY	  0x08u /* it sends, or the FIFO is not empty */
#define FR_RXFE	  0x10u
#define FR_TXFF	  0x20u
#define CR_ON	  0x301u /* both directions */
#define LCRH_FIFO 0x10u
#define LCRH_8BIT 0x60u
#define INT_RX	  0x10u
#define INT_RT	  0x40u

#define TX_TRIES 100000u /* a dead UART must not hang the kernel */

static volatile uint32_t *regs;

static uint32_t rd(unsigned int off)
{
	return regs[off / 4];
}

static void wr(unsigned int off, uint32_t v)
{
	regs[off / 4] = v;
}

static void pl011_putc(char c)
{
	static bool stuck; /* nothing has gone out for TX_TRIES */
	unsigned int tries = READ_ONCE(stuck) ? 1 : TX_TRIES;

	while ((rd(FR) & FR_TXFF) && --tries)
		cpu_relax();
	/* Once the UART is stuck, each character is tried once, until there is
	 * room again. */
	if (READ_ONCE(stuck) != !tries)
		WRITE_ONCE(stuck, !tries);
	if (tries)
		wr(DR, (uint8_t)c);
}

static int pl011_getc(void)
{
	if (rd(FR) & FR_RXFE)
		return -1;
	return (int)(rd(DR) & 0xff);
}

static void pl011_rx_enable(void)
{
	wr(IMSC, INT_RX | INT_RT);
}

static void pl011_rx_ack(void)
{
	wr(ICR, INT_RX | INT_RT);
}

static struct uart_ops pl011_ops = {
	.name = "PL011",
	.putc = pl011_putc,
	.getc = pl011_getc,
	.rx_enable = pl011_rx_enable,
	.rx_ack = pl011_rx_ack,
};

void pl011_drain(void)
{
	for (unsigned int i = 0; (rd(FR) & FR_BUSY) && i < TX_TRIES; i++)
		cpu_relax();
}

/* Set the rate and the format, in the manual's order: wait until all is sent,
 * turn the UART off, empty the FIFOs, write the rate and the format. */
static void program_uart(uint32_t clock)
{
	uint32_t divisor = clock * 4 / BAUD; /* 1/64ths */

	pl011_drain();
	wr(CR, 0);
	wr(LCRH, 0);
	wr(IBRD, divisor >> 6);
	wr(FBRD, divisor & 63);
	wr(LCRH, LCRH_8BIT | LCRH_FIFO); /* IBRD and FBRD take effect */
}

bool pl011_init(uint32_t pa, unsigned int irq, uint32_t clock)
{
	uintptr_t va =
		clock ? map_device(pa, PAGE_SIZE) :
			map_checked(pa, PAGE_SIZE, PERIPHID0, 0xff, PL011_ID);

	if (!va)
		return false;
	regs = (volatile uint32_t *)va;
	wr(IMSC, 0);
	wr(DMACR, 0); /* no DMA takes received bytes away */
	/* Set 8 bits and FIFOs before the UART is enabled: otherwise QEMU 10
	 * loses input. Turning the FIFO on drops the bytes received so far, so
	 * if there are any, the FIFO stays as it is. */
	if (clock)
		program_uart(clock);
	else if (rd(FR) & FR_RXFE)
		wr(LCRH, LCRH_8BIT | LCRH_FIFO);
	else
		wr(LCRH, LCRH_8BIT | (rd(LCRH) & LCRH_FIFO));
	wr(CR, CR_ON);
	pl011_ops.irq = irq;
	uart = &pl011_ops;
	return true;
}
