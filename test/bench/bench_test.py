#!/usr/bin/env python3
"""tools/bench judges rightly, shows no figure for an invalid row, and its generator and forwarder work together.

Usage: bench_test.py BIN
"""
import argparse
import pathlib
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from tool_module import load_tool  # noqa: E402

bench = load_tool("bench")
BIN = None


def row(*targets):
    return bench.Row("row", "what", ["pairs"], list(targets))


def results(**figures):
    return {"row": {1: {broker: {"figures": some} for broker, some in figures.items()}}}


class Judging(unittest.TestCase):
    def test_a_target_against_another_broker_is_a_ratio(self):
        target = bench.Target("cpu_us", 1.5, "forwarder")
        met, _ = bench.judge(target, results(courier={"cpu_us": 15}, forwarder={"cpu_us": 10}), row(target), 1)
        self.assertTrue(met)
        met, text = bench.judge(target, results(courier={"cpu_us": 30}, forwarder={"cpu_us": 10}), row(target), 1)
        self.assertFalse(met)
        self.assertIn("missed 2.00", text)

    def test_a_rate_must_be_at_least_its_target(self):
        target = bench.Target("per_second", 0.9, "forwarder", at_least=True)
        slow = results(courier={"per_second": 45}, forwarder={"per_second": 100})
        met, text = bench.judge(target, slow, row(target), 1)
        self.assertFalse(met)
        self.assertIn("missed 2.00", text)

    def test_a_target_against_a_row_that_did_not_run_is_neither_met_nor_missed(self):
        target = bench.Target("cpu_us", 2, row="another")
        met, text = bench.judge(target, results(courier={"cpu_us": 1}), row(target), 1)
        self.assertIsNone(met)
        self.assertIn("not measured", text)

    def test_an_invalid_run_leaves_no_figure(self):
        target = bench.Target("cpu_us", 2)
        one = row(target)
        wrong = {"row": {1: {"courier": {"invalid": "a message came twice"}, "forwarder": {"figures": {"cpu_us": 9}}}}}
        args = argparse.Namespace(runs=1, seconds=1)
        line = bench.table(wrong, [one], args).splitlines()[-1]
        self.assertIn("invalid: a message came twice", line)
        self.assertIn("**invalid**", line)
        self.assertNotIn("met", line)

    def test_every_row_that_a_target_names_exists(self):
        names = {one.name for one in bench.ROWS}
        for one in bench.ROWS:
            for target in one.targets:
                self.assertIn(target.figure, bench.FIGURES)
                self.assertTrue(not target.row or target.row in names, target.row)


class Plotting(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.said = {"machine": "2 × <CPU>", "date": "today", "commit": "abc"}

    def texts_of(self, name):
        return [one.text for one in xml.etree.ElementTree.parse(self.folder / name).iter("{http://www.w3.org/2000/svg}text")]

    def test_the_suite_is_drawn_with_its_ratios_and_its_targets(self):
        one = {"courier": 12.3, "forwarder": 10, "mosquitto": 20}
        figures = {broker: {"figures": {"cpu_us": cpu}} for broker, cpu in one.items()}
        bench.draw_table({**self.said, "results": {"qos0-16": {"1": figures}}}, self.folder)
        texts = self.texts_of("suite-threads-1.svg")
        self.assertIn("1.23", texts)  # met: 1.5
        self.assertIn("0.61", texts)  # missed: 0.1
        drawn = (self.folder / "suite-threads-1.svg").read_text()
        for colour in (bench.plots.COLOURS[2], bench.plots.COLOURS[1]):
            self.assertEqual(drawn.count(colour), 2)  # a bar and its legend

    def test_a_curve_shows_what_was_measured_and_leaves_out_what_went_wrong(self):
        curve = {"x": [100, 1000, 10000], "series": {"courierd, threads = 1": [10, None, 20]}}
        bench.curves.draw({**self.said, "curves": {"connections-qos0": curve}}, self.folder)
        self.assertIn("10,000", self.texts_of("curve-connections-qos0.svg"))
        self.assertEqual((self.folder / "curve-connections-qos0.svg").read_text().count("<circle"), 2)


class Running(unittest.TestCase):
    def setUp(self):
        args = argparse.Namespace(bin=BIN, seconds=0.2, mosquitto="")
        self.bench = bench.Bench(args)
        self.addCleanup(self.bench.scratch.rmdir)

    def run_on_forwarder(self, load, threads):
        with self.bench.broker("forwarder", threads, False) as (process, port):
            return self.bench.finish(self.bench.load(load, port, process.pid, False))

    def test_every_shape_of_load_runs_on_the_forwarder(self):
        for load in (bench.pairs(20, 0, 1), bench.pairs(20, 1, 16), bench.pairs(20, 2, 4),
                     bench.pairs(20, 1, 1, "--rate=500"), bench.many("all", 2, 20, 1, 1),
                     bench.many("shared", 10, 4, 1, 4), ["storm", "--connections=8"]):
            for threads in (1, 2):
                with self.subTest(load=load, threads=threads):
                    figures = self.run_on_forwarder(load, threads)
                    self.assertGreater(figures["messages"], 0)
                    self.assertGreater(figures["cpu_us"], 0)

    def test_a_crowd_without_sockets_connects_and_gets_its_messages(self):
        for what in ({"qos": 0}, {"qos": 1}, {"qos": 1, "stored": 1}):
            with self.subTest(**what):
                figures = self.bench.crowd(2, sessions=2000, publishers=10, seconds=1, **what)
                self.assertEqual(figures["sessions"], 2000)
                self.assertGreater(figures["messages"], 0)
                self.assertGreater(figures["bytes_each"], 100)

    def test_a_broker_that_stores_nothing_is_not_given_a_figure_for_it(self):
        with self.assertRaises(bench.Invalid):
            load = ["offline", "--publishers=2", "--qos=1", "--messages=2", "--window=2", "--wait=1"]
            self.run_on_forwarder(load, 1)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
