"""Every command of the shell with wrong, missing, extra, huge, repeated and contradictory
words: each is refused with one line that tells the right words, and nothing runs."""
import pytest

from gordian import Console

ALONE = ("board", "cut", "locks", "poweroff", "ps", "rcu", "reboot", "slabinfo", "waits")
DEMO = "use forced|free|hold, ROUNDS, verbose, parts, each once"
FULL = "is none of graph, full|bound [N], max N, time, verbose (each once)"
LEG = "expected ACTOR:STEPS; ACTOR is D, U or RCU, STEPS is 1 to 960"
HUGE = "4294967297"
WRONG = {
    **{f"{c} x": f"usage: {c} (no other word)" for c in ALONE},
    "demo cut x": "usage: cut (no other word)",
    "bench x": 'bench: no row "x" (`bench` prints all)',
    "bench slab slab": "usage: bench [ROW | cores | growth | latency [SAMPLES]]",
    "bench growth 1": "usage: bench [ROW | cores | growth | latency [SAMPLES]]",
    "bench latency 1 1": "usage: bench [ROW | cores | growth | latency [SAMPLES]]",
    **{f"bench latency {w}": f'bench latency: "{w}" is no number of samples from 1 to 1000'
       for w in ("x", "0", "-1", "1001", HUGE)},
    "help x": 'help: no command "x" (`help` lists them)',
    "help ps ps": "usage: help [COMMAND]",
    "quit -1": "usage: quit [STATUS], a number from 0 to 255",
    "quit 1 2": "usage: quit [STATUS], a number from 0 to 255",
    f"quit {HUGE}": "usage: quit [STATUS], a number from 0 to 255",
    "cpu up 1 1": "usage: cpu [up|down N]",
    "cpu 1": "usage: cpu [up|down N]",
    "cpu up down": "cpu up down: no such core, there are 0 to 1",
    f"cpu down {HUGE}": f"cpu down {HUGE}: no such core, there are 0 to 1",
    "lights": "usage: lights on|off",
    "lights on off": "usage: lights on|off",
    "lockdep x": "usage: lockdep [classes|graph [dot]|last|reset]",
    "lockdep last last": "usage: lockdep [classes|graph [dot]|last|reset]",
    "lockdep graph dot dot": "usage: lockdep [classes|graph [dot]|last|reset]",
    "record stop": "record: it is off already",
    **{f"record {w}": "usage: record [FILE|serial [actors|live] | stop]" for w in (
        "stop stop", "x y", "serial x", "x actors actors", "serial actors x",
        "serial live x", "stop live")},
    "test x": 'test: no suite "x", see `test list`',
    "test list list": "usage: test [list|SUITE|SUITE.CASE [SEED]]",
    "test sched.x": 'test: no case "sched.x", see `test list`',
    "torture x": 'torture: no suite "x" (`torture` lists them)',
    "torture rcu -1": "usage: torture [NAME|all] [SECONDS] [SEED]",
    f"torture rcu {HUGE}": "usage: torture [NAME|all] [SECONDS] [SEED]",
    "torture rcu 1 x": "usage: torture [NAME|all] [SECONDS] [SEED]",
    "torture rcu 1 1 1": "usage: torture [NAME|all] [SECONDS] [SEED]",
    "demo x": 'demo: no experiment "x" (`demo` lists them)',
    "demo e2/x": 'demo: no experiment "e2/x" (`demo` lists them)',
    **{f"demo e2 {w}": f'demo: "{w.split()[-1]}": {DEMO}' for w in (
        "foo", "0", "-1", HUGE, "forced free", "free free", "hold forced", "free 5 6",
        "verbose verbose", "x" * 20)},
    "demo e2 forced 5": "demo: ROUNDS counts free rounds; leave it out with forced or hold",
    "demo e2 5 hold": "demo: ROUNDS counts free rounds; leave it out with forced or hold",
    "demo e2 verbose verbose": f'demo: "verbose": {DEMO}',
    "demo e2 search": "demo: search needs all, and the debug profile (for one "
                      "experiment use explore)",
    "demo all hold": "demo: hold needs one experiment, not all",
    "explore": "explore: name an experiment (demo lists them) or say all",
    "explore x": 'explore: no experiment "x" (`demo` lists them)',
    **{f"explore e2 {w}": f'explore: "{w.split()[0]}" {FULL}' for w in (
        "x", "5", "-1", "forced")},
    "explore e2 full full": f'explore: "full" {FULL}',
    "explore e2 full bound 2": f'explore: "bound" {FULL}',
    "explore e2 bound full": f'explore: "full" {FULL}',
    "explore e2 bound 1 2": f'explore: "2" {FULL}',
    "explore e2 max 3 max 3": f'explore: "max" {FULL}',
    **{f"explore {w}": "explore: graph takes one experiment and no other word" for w in (
        "e2 graph full", "e2 bound 1 graph", "e2 max 5 graph", "e2 graph time",
        "e2 verbose graph", "all graph", "program full graph a b | b a")},
    "explore e2 graph graph": f'explore: "graph" {FULL}',
    "explore e2 max": "explore: max takes a number of runs, from 1",
    **{f"explore e2 max {w}": f"explore: max takes a number of runs, from 1, not {w}"
       for w in ("0", "-1", "x", HUGE)},
    **{f"explore program{w}": "explore: program takes the threads as text: explore "
       "program a b | b a" for w in ("", " full")},
    "explore program a b | b a max 5": 'program: "max" is none of a-f A-F r w pr pw g h, '
                                       "with - too, ~A-~F P V ? ! x ^",
    "replay": "replay: which experiment? (demo lists them)",
    "replay x D:1": 'replay: no experiment "x" (`demo` lists them)',
    "replay e0 A:1": "replay: e0 has parts: name one (demo e0 prints them)",
    "replay e15 D:1": "replay: e15 is not explored: it tests lockdep's second "
                      "report, not schedules",
    "replay e8d/kernel up U:1": "replay: say first what U does, up or down (here: "
                                "down)",
    "replay e2 up free D:1": 'replay: "D:1": steps come before free and verbose (each once)',
    "replay e2 up D:1 verbose D:1": 'replay: "D:1": steps come before free and verbose '
                                    '(each once)',
    "replay e2": "replay: say first what U does, up or down",
    "replay e2 D:1": "replay: say first what U does, up or down",
    "replay e2 up": "replay: no steps are given (explore prints such lines: D:6 U:4)",
    "replay e2 up free": "replay: no steps are given (explore prints such lines: "
                         "D:6 U:4)",
    **{f"replay e2 up {w}": f'replay: "{w.split()[-1]}": {LEG}' for w in (
        "D:999", "D:961", "D:0", "D:-1", "D:", ":1", "D", f"D:{HUGE}", "X:1", "D:1 down",
        "D:1x")},
    "replay e2 up D:1 free free": 'replay: "free": steps come before free and verbose '
                                  '(each once)',
    "replay e0/a-a up A:1": 'replay: "up": expected ACTOR:STEPS; ACTOR is A or RCU, STEPS is 1 to 960',
    "step": "step: which experiment? (demo lists them)",
    "step x": 'step: no experiment "x" (`demo` lists them)',
    "step e0/a-a up": "step: no core goes off or on here: leave out up and down",
    "step e8d/kernel up": "step: here U only takes a core down",
}


@pytest.mark.check
def test_wrong_words():
    with Console(smp=2) as c:
        c.prompt()
        wrong = {}
        for line, answer in WRONG.items():
            said = c.cmd(line).split("\n")[1:]
            if said != [answer, "(status 1)", ""]:
                wrong[line] = said[:3]
        assert wrong == {}
        # The words of step's own prompt, given on the command line.
        for word, answer in (
                ("D:961", 'step: "961" is not a number of steps from 1 to 960: D 5'),
                ("D:x", 'step: "x" is not a number of steps from 1 to 960: D 5'),
                ("up", 'step: "up" is neither a thread (D, U, RCU) nor a command '
                       "(help lists them)"),
                ("back", "step: this is the beginning"),
                ("why:X", 'step: no thread "X"; the threads are D, U, RCU')):
            text = c.cmd(f"step e2 up {word} quit")
            assert f"\n{answer}\n" in text and "\n(status 1)\n" in text, text
        assert c.cmd("ps").count("\n") > 5
        assert c.quit() == 0
