/*
 * Input: nothing is lost below 1 MiB, and nobody reads over a gap.
 *
 * A UART that is always faster than the reader stands in for the console's, so
 * these cases run in a batch only, where the shell does not listen.
 */
#include "kernel/shell/input.h"
#include "kernel/shell/shell.h"
#include "tests/kernel/ktest.h"

#define MIB    (1u << 20)
#define NO_IRQ 31 /* a core's own interrupt, which nobody enables */
#define CTRL_C 3

static unsigned int sent, to_send; /* bytes of the pattern */
static bool ctrl_c_next;

static char pattern(unsigned int i)
{
	return (char)('a' + i % 23);
}

static int next_byte(void)
{
	if (sent < to_send)
		return pattern(sent++);
	if (!ctrl_c_next)
		return -1;
	ctrl_c_next = false;
	return CTRL_C;
}

static void no_op(void)
{
}

static bool is_ctrl_c(char c)
{
	return c == CTRL_C;
}

/* So many bytes are in the UART, and its interrupt comes. */
static void interrupt_with(unsigned int n)
{
	to_send = sent + n;
	uart_listen(is_ctrl_c);
}

/* How many bytes can be read until one is wrong; the first is pattern(from). */
static unsigned int good_bytes(unsigned int from, unsigned int most)
{
	unsigned int i = 0;
	char c;

	while (i < most && uart_read(&c) && c == pattern(from + i))
		i++;
	return i;
}

KTEST(input, kept_until_read)
{
	const struct uart_ops *real = uart;
	struct uart_ops fake = *uart;
	char c;

	if (!READ_ONCE(console_taken)) {
		ktest_skip("needs a batch run: the shell listens");
		return;
	}
	fake.getc = next_byte;
	fake.irq = NO_IRQ;
	fake.rx_enable = fake.rx_ack = no_op;
	uart = &fake;
	sent = 0;

	interrupt_with(MIB);
	EXPECT_EQ(uart_lost(), 0);
	EXPECT_EQ(good_bytes(0, 5), 5);
	interrupt_with(15);	   /* five fit */
	EXPECT_EQ(uart_lost(), 0); /* not here: others come before */
	EXPECT_EQ(good_bytes(5, 7), 7);
	interrupt_with(20); /* there is room, but bytes before them are lost */
	EXPECT_EQ(good_bytes(12, MIB), MIB - 7);
	EXPECT(!uart_read(&c));
	EXPECT_EQ(uart_lost(), 30);
	interrupt_with(1);
	EXPECT(!uart_read(&c));
	EXPECT_EQ(uart_lost(), 31);

	ctrl_c_next = true; /* it drops all of that */
	interrupt_with(1);
	EXPECT_EQ(uart_lost(), 0);
	EXPECT(!uart_read(&c));
	interrupt_with(9);
	EXPECT_EQ(good_bytes(sent - 9, 10), 9);
	uart = real;
}
