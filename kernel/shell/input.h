/*
 * Input from the console UART, by interrupt. Any context but FIQ.
 */
#pragma once

#include <stdbool.h>

#define UART_RING (1u << 20) /* bytes that can wait to be read */

/* Start input; called once. arrived() is called for each byte, in the
 * interrupt. If it returns true, this byte and all bytes that were not read yet
 * are dropped. */
void uart_listen(bool (*arrived)(char c));
/* Read the next byte. Returns false if there is none. */
bool uart_read(char *c);
/* How many bytes of the input were lost, because UART_RING bytes were waiting.
 * Returns 0 until all bytes before the lost ones have been read. No byte comes
 * after the lost ones. */
unsigned int uart_lost(void);
