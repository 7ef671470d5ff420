/*
 * Sentences. See say.h.
 *
 * Owns the text, guarded by demo_mutex.
 */
#include "lab/say.h"

#include <limits.h>
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

/* Print the text in lines of at most `width` columns, and forget it. Each line but the
 * first begins with `indent`. */
static void print_text(const char *indent, unsigned int width)
{
	unsigned int column = 0;

	for (char *word, *rest = text; (word = strsep(&rest, " "));) {
		unsigned int n = (unsigned int)strlen(word);

		for (char *p = word; *p; p++)
			if (*p == '~')
				*p = ' ';
		if (column && column + 1 + n > width) {
			kprintf("\n%s%s", indent, word);
			column = (unsigned int)strlen(indent) + n;
			continue;
		}
		kprintf("%s%s", column ? " " : "", word);
		column += (column != 0) + n;
	}
	if (column)
		kprintf("\n");
	text[0] = 0;
}

void say_it(void)
{
	print_text("", WIDTH);
}

void say_fields(bool in_lines)
{
	print_text("  ", in_lines ? WIDTH : UINT_MAX);
}

const char *say_separator(unsigned int i, unsigned int n)
{
	return !i ? "" : i + 1 < n ? ", " : " and ";
}
