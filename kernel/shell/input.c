/*
 * Input from the console UART: a ring between the interrupt and the reader.
 *
 * rx_lock (spinlock, IRQs off) guards the ring and the UART's receive side. The
 * interrupt always takes all bytes out of the UART, because Ctrl-C may be among
 * them. A pipe is faster than the shell. So the ring is larger than any script
 * that is pasted or piped in. When the ring is full, the next byte is lost, and
 * so are all bytes after it: nobody must read on as if nothing were missing.
 */
#include "kernel/shell/input.h"

#include "kernel/arch/board.h"
#include "kernel/irq/irq.h"
#include "kernel/lock/spinlock.h"

static DEFINE_SPINLOCK(rx_lock);
/* rx_lock guards: */
static char ring[UART_RING] not_cleared;
static unsigned int ring_in, ring_out; /* bytes since the start */
static unsigned int lost;	       /* bytes behind those of the ring */
static bool (*arrived)(char c);

/* Move all bytes from the UART to the ring. rx_lock held. */
static void fetch_bytes(void)
{
	int c;

	while ((c = uart->getc()) >= 0) {
		if (arrived((char)c)) {
			ring_out = ring_in;
			lost = 0;
		} else if (lost || ring_in - ring_out == UART_RING) {
			lost++;
		} else {
			ring[ring_in++ % UART_RING] = (char)c;
		}
	}
}

static void rx_interrupt(unsigned int irq, void *arg)
{
	uint32_t flags = spin_lock_irqsave(&rx_lock);

	(void)irq;
	(void)arg;
	/* Before the fetch: a byte that comes later interrupts again. */
	uart->rx_ack();
	fetch_bytes();
	spin_unlock_irqrestore(&rx_lock, flags);
}

void uart_listen(bool (*fn)(char c))
{
	arrived = fn;
	irq_register(uart->irq, rx_interrupt, NULL);
	uart->rx_enable();
	rx_interrupt(uart->irq, NULL); /* fetch the bytes that are there */
}

bool uart_read(char *c)
{
	uint32_t flags = spin_lock_irqsave(&rx_lock);
	bool got = ring_in != ring_out;

	if (got)
		*c = ring[ring_out++ % UART_RING];
	spin_unlock_irqrestore(&rx_lock, flags);
	return got;
}

unsigned int uart_lost(void)
{
	uint32_t flags = spin_lock_irqsave(&rx_lock);
	unsigned int n = ring_in == ring_out ? lost : 0;

	spin_unlock_irqrestore(&rx_lock, flags);
	return n;
}
