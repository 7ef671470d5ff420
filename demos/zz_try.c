#include "demos/demo.h"
#include "kernel/lib/printf.h"
#include "kernel/shell/shell.h"
static int prog_cmd(int argc, char **argv)
{
	unsigned int rounds = 0;
	struct tally t;
	if (argc < 2 || !parse_uint(argv[1], &rounds)) return 1;
	if (!program_parse((unsigned int)argc - 2, argv + 2)) return 1;
	t = scenario_run(program_demo(), program_demo()->scenarios, RUN_FREE, rounds, true);
	kprintf("prog: %s rounds=%u stuck=%u ok=%d pcs", outcome_name(t.outcome), t.rounds, t.stuck, t.ok);
	for (unsigned int i = 0; i < 5; i++) kprintf(" %u", program_pc(i));
	kprintf("\n");
	return !t.ok;
}
SHELL_COMMAND(prog, .name = "prog", .usage = "prog N TEXT", .help = "x", .fn = prog_cmd);
