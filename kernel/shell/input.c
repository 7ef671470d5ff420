/*
 * Input from the console UART: a ring between the interrupt and the reader.
 *
 * rx_lock (spinlock, IRQs off) guards the ring and the UART's receive side.
 * While the ring is full, further bytes stay in the UART. QEMU's UART then
 * makes the sender wait, so nothing is lost. A real UART has no flow control
 * here, so bytes beyond these 1 024 are lost. A reader that takes a byte out of
 * the ring also moves the waiting bytes from the UART into it, because the UART
 * interrupts for new bytes only.
 */
#include "kernel/shell/input.h"

#include "kernel/arch/board.h"
#include "kernel/irq/irq.h"
#include "kernel/lock/spinlock.h"

#define RING_SIZE 1024

static DEFINE_SPINLOCK(rx_lock);
/* rx_lock guards: */
static char ring[RING_SIZE];
static unsigned int ring_in, ring_out; /* bytes since the start */
static bool (*arrived)(char c);

/* Move bytes from the UART to the ring. rx_lock held. */
static void fetch_bytes(void)
{
	int c;

	while (ring_in - ring_out < RING_SIZE && (c = uart->getc()) >= 0)
		if (arrived((char)c))
			ring_out = ring_in;
		else
			ring[ring_in++ % RING_SIZE] = (char)c;
}

static void rx_interrupt(unsigned int irq, void *arg)
{
	uint32_t flags = spin_lock_irqsave(&rx_lock);

	(void)irq;
	(void)arg;
	uart->rx_ack(); /* first: a byte that comes later interrupts again */
	fetch_bytes();
	spin_unlock_irqrestore(&rx_lock, flags);
}

void uart_listen(bool (*fn)(char c))
{
	arrived = fn;
	irq_register(uart->irq, rx_interrupt, NULL);
	uart->rx_enable();
	rx_interrupt(uart->irq, NULL); /* fetch the bytes that came before */
}

bool uart_read(char *c)
{
	uint32_t flags = spin_lock_irqsave(&rx_lock);
	bool got = ring_in != ring_out;

	if (got) {
		*c = ring[ring_out++ % RING_SIZE];
		fetch_bytes();
	}
	spin_unlock_irqrestore(&rx_lock, flags);
	return got;
}
