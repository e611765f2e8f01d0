#!/usr/bin/env python3
"""tools/bench-cluster judges rightly, and a small cluster gives it all the figures that its rows show.

Usage: bench_cluster_test.py BIN
"""
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tool_module import load_tool  # noqa: E402

tool = load_tool("bench-cluster")
BIN = None


class Judging(unittest.TestCase):
    def test_a_figure_is_met_or_missed_by_a_factor(self):
        self.assertEqual(tool.Figure("ms", "ms", 20).judge(20), "met")
        self.assertIn("missed 2.00", tool.Figure("ms", "ms", 20).judge(40))
        self.assertIn("missed 2.00", tool.Figure("rate", "rate", 1000, True).judge(500))
        self.assertEqual(tool.Figure("lost", "lost", 0).judge(0), "met")
        self.assertIn("missed", tool.Figure("lost", "lost", 0).judge(3))
        self.assertEqual(tool.Figure("ms", "ms").judge(3), "")

    def test_a_row_that_went_wrong_shows_no_figure_and_others_stand(self):
        def wrong(_):
            raise tool.runs.Invalid("a message came twice")
        rows = [tool.Row("a", "row a", wrong, [tool.Figure("ms", "ms", 1)]),
                tool.Row("b", "row b", lambda _: {"ms": 7}, [tool.Figure("ms", "wait", 1)])]
        said = tool.table(rows, tool.measure(None, rows, 2)).splitlines()
        self.assertIn("invalid: a message came twice", said[-2])
        self.assertIn("| row b | wait | ≤ 1 | 7 | **missed 7.00 ×** |", said[-1])

    def test_of_several_runs_the_median_counts_or_the_worst(self):
        runs = iter(({"s": 1}, {"s": 9}, {"s": 2}))
        row = tool.Row("a", "row a", lambda _: next(runs), [])
        self.assertEqual(tool.measure(None, [row], 3)["a"]["figures"], {"s": 2})
        runs, row.worst = iter(({"s": 1}, {"s": 9}, {"s": 2})), True
        self.assertEqual(tool.measure(None, [row], 3)["a"]["figures"], {"s": 9})

    def test_what_a_further_node_adds_is_a_slope(self):
        figures = {name: 0 for name in ("node_us", "etcd_us", *tool.runs.ROLES)}
        results = {f"cost-{n}": {"figures": {**figures, "node_us": 20 + 5 * n}} for n in (1, 2, 3)}
        self.assertIn("| all courierd | 25 | 30 | 35 | +5 |", tool.growth(results))


class Scaling(unittest.TestCase):
    def test_what_a_transaction_costs_is_told_from_what_a_message_costs(self):
        points = [{"revisions": x, "rate": m} for x, m in ((350, 1000), (280, 5000), (220, 20_000))]
        a, b = tool.cluster_scaling.fit(points, lambda p: 2000 * p["revisions"] + 3 * p["rate"])
        self.assertAlmostEqual(a, 2000)
        self.assertAlmostEqual(b, 3)
        self.assertEqual(tool.cluster_scaling.fit(points, lambda p: 7 * p["rate"] - 100 * p["revisions"])[0], 0)

    def test_a_cluster_that_is_too_small_says_what_of(self):
        unit = {symbol: 1.0 for symbol, *_ in tool.cluster_scaling.UNITS} | {"t": 1000}
        said = tool.cluster_scaling.sizes(unit, 600_000, 4, 2, 7.5, 1)
        self.assertIn("messages/s × 10.0", said[-1][2])


class Running(unittest.TestCase):
    def test_messages_through_two_nodes_give_all_figures(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = tool.Bench(BIN, pathlib.Path(folder), pathlib.Path(folder), 1)
            for qos, like in ((1, "puback-1000"), (0, "qos0")):
                with tool.runs.Site(bench, nodes=2, etcds=1) as site:
                    said = tool.runs.measured(site, site.pairs(10, 100, qos, (("warm", 1), ("measure", 2))), 1)
                row = next(one for one in tool.ROWS if one.name == like)
                self.assertIn("CPU µs a message", tool.table([row], {like: {"figures": said}}))
                self.assertGreater(said["rate"], 0)
                self.assertGreater(said["node_us"], 0)

    def test_the_phone_and_the_will_of_a_killed_node_are_seen_elsewhere(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = tool.Bench(BIN, pathlib.Path(folder), pathlib.Path(folder), 1)
            with tool.runs.Site(bench, nodes=2, etcds=1, lease="2s") as site:
                probe = tool.runs.Probe(site)
                killed_at = time.monotonic()
                site.kill("n1")
                served, will = probe.watch(killed_at, 20)
                probe.close()
        self.assertGreater(served, 0)
        self.assertGreater(will, 1, "the lease of 2 s had run for as long as it takes to be renewed")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        sys.exit(77)
    unittest.main()
