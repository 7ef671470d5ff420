/*
 * Words of the kernel command line. Portable; owns nothing; any context.
 */
#include "kernel/lib/cmdline.h"

#include <string.h>

/* A firmware may pass on the line break of a file. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool cmdline_get(const char *cmdline, const char *key, char *out, size_t size)
{
	size_t klen = strlen(key);
	const char *p = cmdline;

	while (*p) {
		const char *word = p;
		bool quoted = false, match;
		size_t n = 0;

		while (is_blank(*word))
			word++;
		match = !strncmp(word, key, klen) && word[klen] == '=';
		p = match ? word + klen + 1 : word;
		for (; *p && (quoted || !is_blank(*p)); p++) {
			if (*p == '"')
				quoted = !quoted;
			else if (match && n + 1 < size)
				out[n++] = *p;
		}
		if (match) {
			if (size)
				out[n] = '\0';
			return true;
		}
	}
	return false;
}

bool parse_uint(const char *s, unsigned int *out)
{
	unsigned int n, v = 0;

	for (n = 0; n < 9 && s[n] >= '0' && s[n] <= '9'; n++)
		v = v * 10 + (unsigned int)(s[n] - '0');
	*out = v;
	return n && !s[n];
}
