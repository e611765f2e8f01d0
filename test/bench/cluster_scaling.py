"""The tables of docs/operations/scaling.md, from what tools/bench-cluster measured: unit costs, and what follows from
them for clusters that were not measured. No figure is written there by hand.

What a cluster's processes spend is a x + b m: so much for each transaction of the log, and so much for each message.
The rows puback-* have as many transactions whatever their rate, and so tell a from b (least squares).
"""

BEGIN, END = "<!-- tools/bench-cluster --docs: begin -->", "<!-- tools/bench-cluster --docs: end -->"

NODES = 3                    # of the rows that unit costs are taken from
SECONDS_A_MESSAGE = 60       # each client gets a message a minute
SECONDS_A_CONNECT = 1800     # and comes back twice an hour
TRANSACTIONS_OF_A_NODE = 100  # a second, at most: its linger is 10 ms under load
KERNEL_BYTES = 4100          # of a connection
BUSY_MAX = 0.7               # of a thread or a machine

# The suite has 300 pairs, whose sessions stay in the processor's caches. Among more, performance.md (Growth, stored
# sessions in memory, one thread) has so many times the cost of a message: for 100,000 and for 1,000,000.
COLD = (7.48 / 2.87, 18.08 / 2.87)

SIZES = [("200,000 clients", 200_000, 4, 2, 7.5, COLD[0]), ("1,000,000 clients", 1_000_000, 8, 4, 16, COLD[1]),
         ("10,000,000 in one cluster", 10_000_000, 60, 8, 32, COLD[1])]


def fit(points, spent):
    """(a, b) of spent(point) = a × transactions + b × messages, each at least 0; µs."""
    xx = sum(p["revisions"] ** 2 for p in points)
    xm = sum(p["revisions"] * p["rate"] for p in points)
    mm = sum(p["rate"] ** 2 for p in points)
    xy = sum(p["revisions"] * spent(p) for p in points)
    my = sum(p["rate"] * spent(p) for p in points)
    a, b = (xy * mm - my * xm) / (xx * mm - xm * xm), (my * xx - xy * xm) / (xx * mm - xm * xm)
    if a < 0:
        return 0.0, my / mm
    return (a, b) if b >= 0 else (xy / xx, 0.0)


def units(results):
    rows = {int(row.partition("-")[2]): said["figures"] for row, said in results.items()
            if row.startswith("puback-") and "figures" in said}
    points = [figures for rate, figures in rows.items() if figures["rate"] >= 0.98 * rate]
    memory, start, disk, storm = (results[row]["figures"] for row in ("memory", "start", "disk", "storm"))
    etcd = fit(points, lambda p: p["etcd_us"] * p["rate"])
    feed, client, shards = (fit(points, lambda p, role=role: p[role] * p["rate"] / NODES)
                            for role in ("feed", "etcd client", "shards"))
    transactions = disk["revisions"] / disk["rate"]  # a message
    return {
        "E": etcd[0] / 1e3, "e": etcd[1], "F": feed[0], "f": feed[1], "L": client[0] + shards[0], "l": client[1],
        "c": shards[1] * NODES, "b": max(p["log_bytes"] for p in points if p["rate"] > 4000),
        "W": (disk["etcd_disk"] - disk["log_bytes"]) / transactions, "d": disk["node_disk"],
        "k": memory["connect_us"], "K": memory["connect_etcd_us"],
        "p": max(memory["busy"] - memory["idle"], 0) / 100 / 10_000 * 1e6, "h": memory["connected"], "a": start["rss"],
        "r": start["disk"], "s": 15_000 / storm["seconds"], "t": max(p["rate"] for p in points)}


UNITS = [
    ("E", "CPU ms a transaction, all three etcd", "`puback-*`: all etcd"),
    ("e", "CPU µs a message, all three etcd", "the same"),
    ("F", "CPU µs a transaction, at every node: the feed's thread", "`puback-*`: feed"),
    ("f", "CPU µs a message, at every node: the feed's thread, which folds", "the same"),
    ("L", "CPU µs a transaction, at every node: etcd's client, shards that wake", "`puback-*`: etcd client, shards"),
    ("l", "CPU µs a message, at every node: etcd's client", "`puback-*`: etcd client"),
    ("c", "CPU µs a message, at the nodes of its two clients together", "`puback-*`: shards"),
    ("b", "bytes of log a message (of 200 bytes)", "`puback-*`, 5,000/s and more"),
    ("W", "bytes that each etcd writes to its disk a transaction, beside its b", "`disk`"),
    ("d", "bytes that each node writes to its disk a message", "`disk`"),
    ("k", "CPU µs a CONNECT with SUBSCRIBE, all three nodes together", "`memory`"),
    ("K", "the same, all three etcd", "`memory`"),
    ("p", "CPU µs a second of a connected client that pings once a minute", "`memory`"),
    ("h", "bytes of memory a connected client, at its node", "`memory`"),
    ("a", "bytes of memory a sleeping session, at every node", "`start`"),
    ("r", "bytes of disk a session, at every node", "`start`"),
    ("s", "clients a second that come back after a kill, all of it on two cores", "`storm`"),
    ("t", "messages/s that a cluster was seen to take, all of it on two cores", "`puback-*`, the highest reached"),
]


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def sizes(u, clients, n, vcpus, gigabytes, cold):
    """[(what, how, value)]"""
    m, q, here = clients / SECONDS_A_MESSAGE, clients / SECONDS_A_CONNECT, clients / n
    x = min(TRANSACTIONS_OF_A_NODE * n, 2 * m)
    own = m * u["c"] * cold / n / 1e6
    fold = (x * u["F"] + m * u["f"] * cold) / 1e6
    log = (x * u["L"] + m * u["l"]) / 1e6
    connects, rest = q * u["k"] / n / 1e6, here * u["p"] / 1e6
    node = own + fold + log + connects + rest
    etcd = (x * u["E"] * 1e3 + m * u["e"] + q * u["K"]) / 3 / 1e6
    memory = (here * (u["h"] + KERNEL_BYTES) + (clients - here) * u["a"]) / 1e9
    over = [f"{what} × {share:.1f}" for what, share in
            (("messages/s", m / u["t"]), ("the fold", fold / BUSY_MAX), ("a node's CPU", node / vcpus / BUSY_MAX),
             ("a node's memory", memory / gigabytes / BUSY_MAX)) if share > 1]
    return [
        ("messages/s", f"m = clients / {SECONDS_A_MESSAGE}", number(m)),
        ("connects/s", f"q = clients / {SECONDS_A_CONNECT:,}", number(q)),
        ("transactions/s", f"x = {TRANSACTIONS_OF_A_NODE} n", number(x)),
        ("sessions that are cold in the caches", "g: performance.md, Growth", number(cold)),
        ("one node, cores: its own clients' messages", "m c g / n", number(own)),
        ("the fold of all messages", "x F + m f g", number(fold)),
        ("the log of all messages", "x L + m l", number(log)),
        ("connects", "q k / n", number(connects)),
        ("clients at rest", "clients p / n", number(rest)),
        ("**one node, cores**", "their sum", f"{number(node)} of {vcpus}"),
        ("one etcd, cores (the leader half as much again)", "(x E + m e + q K) / 3", number(etcd)),
        ("log, MB/s", "m b", number(m * u["b"] / 1e6)),
        ("disk of one etcd, MB/s", "x W + m b", number((x * u["W"] + m * u["b"]) / 1e6)),
        ("disk of one node, MB/s", "m d", number(m * u["d"] / 1e6)),
        ("**memory of one node, GB**", f"(h + {KERNEL_BYTES:,}) clients / n + a (clients − clients / n)",
         f"{number(memory)} of {gigabytes:g}"),
        ("disk of one node, all sessions, GB", "clients r", number(clients * u["r"] / 1e9)),
        ("s until a dead node's clients are back", "clients / n / s", number(here / u["s"])),
        ("the fold is full at, messages/s", f"({BUSY_MAX} core − x F) / (f g)",
         number(max(0, BUSY_MAX * 1e6 - x * u["F"]) / u["f"] / cold) if u["f"] else ""),
        (f"**within {BUSY_MAX:.0%} of all that**", "and m ≤ t", "yes" if not over else "no: " + ", ".join(over)),
    ]


def tables(results, head):
    unit = units(results)
    lines = [head, "", "| | | | row |", "|---|---|---|---|"]
    lines += [f"| {symbol} | {what} | {number(unit[symbol])} | {row} |" for symbol, what, row in UNITS]
    heads = [f"{what}, n = {n} × {vcpus} vCPU, {gigabytes:g} GB" for what, _, n, vcpus, gigabytes, _ in SIZES]
    lines += ["", "| | how | " + " | ".join(heads) + " |", "|---|---|" + "---|" * len(heads)]
    for rows in zip(*(sizes(unit, *rest) for _, *rest in SIZES)):
        lines.append(f"| {rows[0][0]} | {rows[0][1]} | " + " | ".join(row[2] for row in rows) + " |")
    return "\n".join(lines)


def rewrite(path, text):
    before, begin, rest = path.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
