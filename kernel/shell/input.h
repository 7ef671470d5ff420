/*
 * Input from the console UART, by interrupt. Any context but FIQ.
 */
#pragma once

#include <stdbool.h>

/* From now on arrived() sees each byte as it comes, in the interrupt. If it
 * returns true, this byte and all that nobody has read yet are dropped. Once.
 * */
void uart_listen(bool (*arrived)(char c));
/* Read the next byte. Returns false if there is none. */
bool uart_read(char *c);
