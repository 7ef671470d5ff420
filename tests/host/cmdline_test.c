/*
 * kernel/lib/cmdline.c: fixed cases, and random lines. Each buffer has exactly the size
 * of its line, so the address sanitizer finds every access beyond it.
 */
#include "kernel/lib/cmdline.h"

#include <string.h>

#include "tests/host/host.h"

static void expect(const char *line, const char *key, const char *want)
{
	char out[32];
	bool found = cmdline_get(line, key, out, sizeof(out));

	CHECK(found == (want != NULL));
	if (want)
		CHECK(strcmp(out, want) == 0);
}

static void random_line(void)
{
	static const char bits[] = "ab= \"\n";
	size_t len = below(24), size = below(6);
	char *line = malloc(len + 1), *out = malloc(size ? size : 1);

	for (size_t i = 0; i < len; i++)
		line[i] = bits[below(sizeof(bits) - 1)];
	line[len] = '\0';
	if (cmdline_get(line, below(2) ? "a" : "ab", out, size) && size)
		CHECK(strlen(out) < size);
	free(out);
	free(line);
}

int main(int argc, char **argv)
{
	unsigned long rounds = host_args(argc, argv);
	char tiny[4];

	expect("run=x", "run", "x");
	expect("quiet run=\"demo e2; cpu\" x=1", "run", "demo e2; cpu");
	expect("quiet run=\"demo e2; cpu\" x=1", "x", "1");
	expect("  run=  a=b", "run", "");
	expect("prerun=1", "run", NULL);
	expect("running=1", "run", NULL);
	expect("run", "run", NULL);
	expect("", "run", NULL);
	expect("x=\"run=1\" run=2", "run", "2");
	expect("run=1 run=2", "run", "1");
	expect("run=\"open end", "run", "open end");
	expect("quiet\tmaxcpus=2\r\n", "maxcpus", "2");
	expect("\nrun=\"a\tb\nc\"\n", "run", "a\tb\nc");
	CHECK(cmdline_get("run=abcdef", "run", tiny, sizeof(tiny)));
	CHECK(strcmp(tiny, "abc") == 0);
	while (rounds--)
		random_line();
	return 0;
}
