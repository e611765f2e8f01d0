"""tools/bench --curves: what a message costs as connections, sessions and threads grow; and its plots.

Connections: all of them are active, and together they send 20,000 messages a second whatever their number, so that each
message comes in a read of its own and the broker wakes for as many at a time; what grows is only what the broker has to
find its way in. A socket among 10,000 costs the kernel more too: the forwarder shows how much, and the ratio is ours.

Sessions: 100 pairs with stored sessions exchange 20,000 messages a second beside sleeping ones, with a filter each.

Crowd: so many connected sessions over a transport in memory (memory_crowd.cc), and each gets a message in turn: no kernel
to hide behind, and nothing of a session is in the cache when its message comes.
"""
import json
import statistics
import sys

import plots

RATE = 20_000
CONNECTIONS = (100, 1_000, 10_000)
SESSIONS = (10_000, 100_000, 1_000_000)
PAIRS_BESIDE = 100
CROWDS = {"qos0": {"qos": 0}, "qos1": {"qos": 1}, "stored": {"qos": 1, "stored": 1}}


def measure(bench, args):
    """{"connections-qos0": {"x": […], "series": {name: CPU µs a message, for each x}}, …}"""
    curves = {}
    for qos in (0, 1):
        curve = curves[f"connections-qos{qos}"] = {"x": CONNECTIONS, "series": {}}
        for broker in ("courier", "forwarder"):
            for threads in args.threads:
                curve["series"][f"{title_of(broker)}, threads = {threads}"] = []
        for connections in CONNECTIONS:
            load = ["pairs", f"--publishers={connections // 2}", f"--qos={qos}", f"--rate={RATE}"]
            for threads in args.threads:
                said = in_turns(bench, args, ("courier", "forwarder"), load, threads, f"{connections} connections")
                for broker, figure in said.items():
                    curve["series"][f"{title_of(broker)}, threads = {threads}"].append(figure)
    curve = curves["sessions"] = {"x": SESSIONS, "series": {f"courierd, threads = {t}": [] for t in args.threads}}
    for sessions in SESSIONS:
        data = bench.sleeping(f"curve-{sessions}", [f"--sessions={sessions}", "--messages=0"])
        load = ["pairs", f"--publishers={PAIRS_BESIDE}", "--qos=1", "--persistent", f"--rate={RATE}"]
        for threads in args.threads:
            said = in_turns(bench, args, ("courier",), load, threads, f"{sessions} sessions", data)
            curve["series"][f"courierd, threads = {threads}"].append(said["courier"])
    for kind, what in CROWDS.items():
        curve = curves[f"crowd-{kind}"] = {"x": SESSIONS, "series": {f"courierd, threads = {t}": [] for t in args.threads}}
        for sessions in SESSIONS:
            for threads in args.threads:
                runs = [bench.crowd(threads, sessions=sessions, publishers=50, **what)["cpu_us"] for _ in range(args.runs)]
                print(f"crowd of {sessions}, {kind}, threads = {threads}: {runs}", file=sys.stderr)
                curve["series"][f"courierd, threads = {threads}"].append(statistics.median(runs))
    return curves


def in_turns(bench, args, brokers, load, threads, what, data=None):
    """{broker: the median of its runs' CPU µs a message, None when one went wrong}"""
    runs = {broker: [] for broker in brokers}
    for turn in range(args.runs):
        for broker in brokers:
            try:
                with bench.broker(broker, threads, threads == 1, data) as (process, port):
                    said = bench.finish(bench.load(load, port, process.pid, threads == 1))
                runs[broker].append(said["cpu_us"])
            except bench.Invalid as why:
                print(f"{what}, {broker}: {why}", file=sys.stderr)
                runs[broker].append(None)
        print(f"{what}, {' '.join(load[2:])}, threads = {threads}: run {turn + 1} of {args.runs}", file=sys.stderr)
    return {broker: None if None in some else statistics.median(some) for broker, some in runs.items()}


HEADS = {
    "sessions": "sleeping sessions",
    "crowd-qos0": "connected sessions in memory, QoS 0",
    "crowd-qos1": "connected sessions in memory, QoS 1, clean",
    "crowd-stored": "connected sessions in memory, QoS 1, stored",
}


def title_of(broker):
    return {"courier": "courierd"}.get(broker, broker)


def table(curves):
    """CPU µs a message in Markdown; for connections also the ratio to the forwarder."""
    for name, curve in curves.items():
        head = HEADS.get(name) or f"connections, QoS {name[-1]}"
        print(f"\n| {head} | " + " | ".join(f"{x:,}" for x in curve["x"]) + " |\n|---" + "|---" * len(curve["x"]) + "|")
        for line, values in curve["series"].items():
            print(f"| {line} | " + " | ".join("invalid" if v is None else f"{v:.2f}" for v in values) + " |")
            yardstick = curve["series"].get(line.replace("courierd", "forwarder"))
            if line.startswith("courierd") and yardstick:
                ratios = (f"{v / y:.2f}" if v and y else "" for v, y in zip(values, yardstick))
                print(f"| × forwarder, {line.partition(', ')[2]} | " + " | ".join(ratios) + " |")


def draw(said, folder):
    """The plots of a file of curves."""
    where = f"{said['machine']}; {said['date']}, commit {said['commit']}"
    for name, curve in said["curves"].items():
        if name == "sessions":
            title = "A message's cost beside sleeping sessions (QoS 1, stored, 100 pairs)"
            x_label = "sleeping sessions with a subscription each"
        elif name.startswith("crowd"):
            title = f"A message's cost when each gets one in turn ({HEADS[name].partition(', ')[2]})"
            x_label = "sessions, all connected, over a transport in memory"
        else:
            title = f"A message's cost by connections (1:1, QoS {name[-1]})"
            x_label = f"connections, all active, together {RATE:,} messages/s"
        path = folder / f"curve-{name}.svg"
        path.write_text(plots.lines(title, where, x_label, "CPU µs of the broker per message", curve["x"], curve["series"]))
        print(path)


def save(path, machine, date, commit, curves):
    path.write_text(json.dumps({"machine": machine, "date": date, "commit": commit, "curves": curves}, indent=1))
