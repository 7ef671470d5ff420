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
/* How many bytes were lost at this place of the input, because UART_RING others
 * were waiting. Not 0: all before them are read, and none comes after them. */
unsigned int uart_lost(void);
