"""The rules of the JSON that Perfetto and chrome://tracing read ("Trace Event Format"),
as far as a trace of ours uses it. An oracle: it shares no code with tools/trace.

  python3 tests/perfetto_rules.py FILE.json    prints each broken rule; status 1 if any
"""
import collections
import json
import sys

PHASES = set("XBEisfMC")
NUMBER = (int, float)
SLACK = 1e-6            # microseconds: the sums of floats


def check_event(e, n, wrong):
    """The fields that an event of its kind must have. Returns whether it has them."""
    def need(ok, what):
        if not ok:
            wrong.append(f"event {n}: {what}: {json.dumps(e)[:120]}")
        return ok

    if not need(isinstance(e, dict), "not an object"):
        return False
    ph = e.get("ph")
    good = need(ph in PHASES, "its ph is none that we know")
    for key in ("pid", "tid"):
        good &= need(type(e.get(key)) is int, f"its {key} is no whole number")
    good &= need(ph == "E" or isinstance(e.get("name"), str) and e["name"] != "",
                 "it has no name")
    if ph != "M":
        good &= need(isinstance(e.get("ts"), NUMBER) and e["ts"] >= 0,
                     "its ts is no time")
    if ph == "X":
        good &= need(isinstance(e.get("dur"), NUMBER) and e["dur"] >= 0,
                     "its dur is no length of time")
    if ph == "i":
        good &= need(e.get("s") in ("g", "p", "t"), "an instant has s: g, p or t")
    if ph in "sf":
        good &= need(isinstance(e.get("id"), (int, str)), "a flow has an id")
        good &= need(isinstance(e.get("cat"), str), "a flow has a cat")
    if ph == "M":
        args = e.get("args", {})
        key = "sort_index" if str(e.get("name")).endswith("sort_index") else "name"
        good &= need(isinstance(args.get(key), int if key == "sort_index" else str),
                     f"metadata has args.{key}")
    if ph == "C":
        args = e.get("args")
        good &= need(isinstance(args, dict) and len(args) > 0 and
                     all(isinstance(v, NUMBER) for v in args.values()),
                     "a counter has numbers in args")
    good &= need("args" not in e or isinstance(e["args"], dict), "args is no object")
    return bool(good)


def slices_of(events, wrong):
    """The slices of each track, as (begin, end, name); checks that they nest."""
    tracks = collections.defaultdict(list)
    open_ = collections.defaultdict(list)
    for e in events:
        key = (e["pid"], e["tid"])
        if e["ph"] == "X":
            tracks[key].append((e["ts"], e["ts"] + e["dur"], e["name"]))
        elif e["ph"] == "B":
            open_[key].append(e)
        elif e["ph"] == "E":
            if not open_[key]:
                wrong.append(f"track {key}: E without B at {e['ts']}")
                continue
            b = open_[key].pop()
            if b["ts"] > e["ts"]:
                wrong.append(f"track {key}: {b['name']} ends before it begins")
            tracks[key].append((b["ts"], e["ts"], b["name"]))
    for key, left in open_.items():
        wrong += [f"track {key}: {b['name']} never ends" for b in left]
    for key, slices in tracks.items():
        slices.sort(key=lambda s: (s[0], -s[1]))
        around = []
        for begin, end, name in slices:
            while around and around[-1][1] <= begin + SLACK:
                around.pop()
            if around and end > around[-1][1] + SLACK:
                wrong.append(f"track {key}: {name} [{begin}, {end}] reaches out of "
                             f"{around[-1][2]} [{around[-1][0]}, {around[-1][1]}]")
            around.append((begin, end, name))
    return tracks


def check_flows(events, tracks, wrong):
    """Each flow has one begin and one end, later, and both lie in slices."""
    import bisect
    flows = collections.defaultdict(list)
    starts = {key: [s[0] for s in slices] for key, slices in tracks.items()}

    def in_slice(e):
        key = (e["pid"], e["tid"])
        slices = tracks.get(key, [])
        n = bisect.bisect_right(starts.get(key, []), e["ts"] + SLACK)
        return any(s[0] <= e["ts"] + SLACK and e["ts"] <= s[1] + SLACK
                   for s in slices[max(n - 40, 0):n])

    for e in events:
        if e["ph"] in "sf":
            flows[e["cat"], e["name"], e["id"]].append(e)
    for key, ends in flows.items():
        if [e["ph"] for e in ends] != ["s", "f"]:
            wrong.append(f"flow {key}: {[e['ph'] for e in ends]}, not one s, then one f")
            continue
        if ends[0]["ts"] > ends[1]["ts"]:
            wrong.append(f"flow {key}: ends before it begins")
        if ends[1].get("bp") != "e":
            wrong.append(f"flow {key}: its end is not bound to the slice around it")
        wrong += [f"flow {key}: no slice around its {e['ph']} at {e['ts']}"
                  for e in ends if not in_slice(e)]


def broken_rules(text):
    """The broken rules, a line each."""
    wrong = []
    try:
        trace = json.loads(text)
    except ValueError as e:
        return [f"no JSON: {e}"]
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        return ["no object with traceEvents"]
    if trace.get("displayTimeUnit", "ms") not in ("ms", "ns"):
        wrong.append("displayTimeUnit is neither ms nor ns")
    events = [e for n, e in enumerate(trace["traceEvents"]) if check_event(e, n, wrong)]
    check_flows(events, slices_of(events, wrong), wrong)
    named = collections.Counter((e["name"], e["pid"],
                                 e["tid"] if e["name"].startswith("thread") else 0)
                                for e in events if e["ph"] == "M")
    wrong += [f"{name} of {pid}/{tid}: {n} times" for (name, pid, tid), n in named.items()
              if n > 1]
    for pid, tid in {(e["pid"], e["tid"]) for e in events if e["ph"] not in "MC"}:
        if ("thread_name", pid, tid) not in named:
            wrong.append(f"track {pid}/{tid} has no name")
    for pid in {e["pid"] for e in events}:
        if ("process_name", pid, 0) not in named:
            wrong.append(f"process {pid} has no name")
    return wrong


if __name__ == "__main__":
    found = broken_rules(open(sys.argv[1]).read())
    print(*found[:50], sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
