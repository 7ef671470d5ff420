/*
 * Input from the console UART, by interrupt. Any context but FIQ.
 */
#pragma once

#include <stdbool.h>

/* Start input; called once. arrived() is called for each byte, in the
 * interrupt. If it returns true, this byte and all bytes that were not read yet
 * are dropped. */
void uart_listen(bool (*arrived)(char c));
/* Read the next byte. Returns false if there is none. */
bool uart_read(char *c);
/* How many bytes were lost since the last call, because the program did not read
 * them in time. */
unsigned int uart_lost(void);
