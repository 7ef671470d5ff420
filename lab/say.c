/*
 * Sentences. See say.h.
 *
 * Owns the text, guarded by demo_mutex.
 */
#include "lab/say.h"

#include <string.h>

#include "kernel/lib/printf.h"

#define WIDTH 80

static char text[1024]; /* demo_mutex */

void say(const char *format, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, format);
	kvsnprintf(text + n, sizeof(text) - n, format, ap);
	va_end(ap);
}

void say_it(void)
{
	unsigned int column = 0;

	for (char *word, *rest = text; (word = strsep(&rest, " "));) {
		unsigned int n = (unsigned int)strlen(word);

		for (char *p = word; *p; p++)
			if (*p == '~')
				*p = ' ';
		if (column && column + 1 + n > WIDTH) {
			kprintf("\n");
			column = 0;
		}
		kprintf("%s%s", column ? " " : "", word);
		column += (column != 0) + n;
	}
	if (column)
		kprintf("\n");
	text[0] = 0;
}

const char *say_separator(unsigned int i, unsigned int n)
{
	return !i ? "" : i + 1 < n ? ", " : " and ";
}
