/*
 * kernel/lib/printf.c against the host's snprintf: random formats that both know, and
 * buffers of every size, each exactly as long as it says.
 */
#include "kernel/lib/printf.h"

#include <string.h>

#include "kernel/lib/symbols.h"
#include "tests/host/host.h"

/* %pS: a table of one symbol. */
const char *symbol_lookup(uintptr_t addr, uint32_t *off)
{
	if (addr - 0x1000 >= 0x100)
		return NULL;
	*off = (uint32_t)(addr - 0x1000);
	return "start";
}

static uint64_t number(void)
{
	static const uint64_t edges[] = { 0,	      1,	  9,
					  10,	      0x7fffffff, 0x80000000,
					  0xffffffff, 1ull << 63, ~0ull };

	if (below(2))
		return edges[below(sizeof(edges) / sizeof(edges[0]))];
	return ((uint64_t)below(~0u) << 32 | below(~0u)) >> below(64);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

#define BOTH(...)                                                              \
	do {                                                                   \
		size_t size = below(70);                                       \
		char *ours = malloc(size + !size), *theirs = malloc(size + 1); \
		int a = ksnprintf(size ? ours : NULL, size, __VA_ARGS__);      \
		int b = snprintf(theirs, size, __VA_ARGS__);                   \
                                                                               \
		if (a != b || (size && strcmp(ours, theirs)))                  \
			fprintf(stderr, "[%s]: %d [%.*s], not %d [%.*s]\n",    \
				fmt, a, size ? 99 : 0, ours, b, size ? 99 : 0, \
				theirs);                                       \
		CHECK(a == b && (!size || strcmp(ours, theirs) == 0));         \
		free(ours);                                                    \
		free(theirs);                                                  \
	} while (0)

static void random_format(void)
{
	static const char *const lengths[] = { "", "l", "ll", "z" };
	static const char conv[] = "diuxXcs";
	static const char *const words[] = { "", "a", "gordian", "a b\n" };
	char fmt[64], c = conv[below(sizeof(conv) - 1)], width[8] = "";
	unsigned int l = below(4);
	const char *flag = below(3) == 0 ? "-" : "", *word = words[below(4)];
	uint64_t v = number();

	if (below(2))
		snprintf(width, sizeof(width), "%u", below(30));
	if (strchr("diuxX", c)) {
		if (!*flag && below(3) == 0)
			flag = "0";
		snprintf(fmt, sizeof(fmt), "<%%%s%s%s%c|%%%%>", flag, width,
			 lengths[l], c);
		if (l == 0)
			BOTH(fmt, (unsigned int)v);
		else if (l == 2)
			BOTH(fmt, (unsigned long long)v);
		else
			BOTH(fmt, (unsigned long)v);
	} else if (c == 'c') {
		snprintf(fmt, sizeof(fmt), "<%%%s%sc>", flag, width);
		BOTH(fmt, 'a' + (int)(v % 26));
	} else if (v & 1) {
		snprintf(fmt, sizeof(fmt), "<%%%s%ss>", flag, width);
		BOTH(fmt, word);
	} else {
		int wide = (int)below(20) - 5, precise = (int)below(9);

		snprintf(fmt, sizeof(fmt), "<%%%s*.*s>", flag);
		BOTH(fmt, wide, precise, word);
	}
}

static void check(const char *want, const char *fmt, ...)
{
	char out[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(out, sizeof(out), fmt, ap);
	va_end(ap);
	if (strcmp(out, want))
		fprintf(stderr, "[%s]: [%s]\n", fmt, out);
	CHECK(strcmp(out, want) == 0 && n == (int)strlen(want));
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	char fmt[4];

	check("start+0x10 0x00000010", "%pS %pS", (void *)0x1010, (void *)0x10);
	check("0x00000010", "%p", (void *)0x10);
	check("(null)", "%s", (char *)NULL);
	check("%q 1", "%q %d", 1);
	check("%", "%");
	check("100%", "100%%");
	/* A single % at the end of its buffer. */
	strcpy(fmt, "ab%");
	check("ab%", fmt);
	while (rounds--)
		random_format();
	return 0;
}
