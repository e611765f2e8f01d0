#!/usr/bin/env python3
"""The demo over a cluster, as its users meet it: the verdict, what is left behind, and what goes wrong.

Usage: demo_test.py BIN_DIR ORDERS [unittest arguments]      ORDERS: a file of some hundred
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True
from local_cluster import ROOT, tool  # noqa: E402

SKIPPED = 77
PATIENCE = 120  # of everything together
BIN = ORDERS = None


class Demo:
    """`tools/cluster demo` as a child, with a temporary directory of its own."""

    def __init__(self, *arguments, own=(), path=None):
        self.temporary = pathlib.Path(tempfile.mkdtemp(prefix="courier-demo-test-"))
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tools/cluster", "--bin", BIN, *own, "demo", *map(str, arguments)],
            env={**os.environ, "TMPDIR": str(self.temporary), **({"PATH": path} if path is not None else {})},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.said = ""
        self.watchdog = threading.Timer(PATIENCE, self.process.kill)
        self.watchdog.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.process.kill()
        for line in self.process.stdout:
            self.said += line
        self.process.stdout.close()
        self.process.wait()
        for pid in self.left_running():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def wait_for(self, text):
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
        raise AssertionError(f"it ended without {text!r}:\n{self.said}")

    def end(self):
        self.said += self.process.stdout.read()
        return self.process.wait()

    def folder(self):
        return next(self.temporary.iterdir())

    def left_running(self):
        """Processes that were given a path in the temporary directory."""
        mine = str(self.temporary).encode()
        pids = []
        for each in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mine in (each / "cmdline").read_bytes():
                    pids.append(int(each.name))
            except OSError:
                pass  # it has ended meanwhile
        return pids


class DemoOverACluster(unittest.TestCase):
    def assert_nothing_is_left(self, demo, files=False):
        self.assertEqual(demo.left_running(), [], demo.said)
        self.assertEqual(bool(list(demo.temporary.iterdir())), files, demo.said)

    def test_only_the_phones_of_the_killed_node_come_back_and_nothing_is_lost(self):
        with Demo("--phones", 60, "--rate", 100, "--orders", ORDERS) as demo:
            self.assertEqual(demo.end(), 0, demo.said)
            self.assertRegex(demo.said, r"lost +0 ")
            self.assertRegex(demo.said, r"n1 +\d+ +0\n")
            self.assertRegex(demo.said, r"n3 +\d+ +0\n")
            row = re.search(r"n2, killed +(\d+) +(\d+) +((?:\d+ at n[13](?:, )?)+)", demo.said)
            phones, dropped, where = row.groups()
            self.assertEqual(phones, dropped)
            self.assertEqual(int(phones), sum(map(int, re.findall(r"(\d+) at", where))))
            self.assertIn("n1", where)
            self.assertIn("n3", where)
            self.assertIn("Nothing was lost", demo.said)
            self.assert_nothing_is_left(demo)

    def test_keep_keeps_the_files_and_ends_the_processes(self):
        with Demo("--keep", "--phones", 60, "--rate", 400, "--orders", ORDERS) as demo:
            self.assertEqual(demo.end(), 0, demo.said)
            self.assertIn(f"logs are in {demo.folder()}", demo.said)
            self.assertTrue((demo.folder() / "n2/log").exists())
            self.assert_nothing_is_left(demo, files=True)

    def test_a_node_that_dies_by_itself_is_named_and_its_files_are_kept(self):
        with Demo("--phones", 60, "--rate", 40, "--orders", ORDERS) as demo:
            demo.wait_for("the backend publishes")
            os.kill(int((demo.folder() / "n3/pid").read_text()), signal.SIGKILL)
            self.assertEqual(demo.end(), 1, demo.said)
            self.assertIn("n3 lost", demo.said)
            self.assertIn("n3 ended by SIGKILL", demo.said)
            self.assertNotIn("Nothing was lost", demo.said)
            self.assertIn(str(demo.folder()), demo.said)
            self.assert_nothing_is_left(demo, files=True)

    def test_one_that_dies_after_the_kill_is_named_too(self):
        with Demo("--phones", 60, "--rate", 40, "--orders", ORDERS) as demo:
            demo.wait_for("are back")
            os.kill(int((demo.folder() / "n3/pid").read_text()), signal.SIGKILL)
            self.assertEqual(demo.end(), 1, demo.said)
            self.assertRegex(demo.said, r"n3 lost \d+ connections of phones, though it was n2 that was killed")
            self.assertRegex(demo.said, r"lost +0 ")
            self.assertIn("n3 ended by SIGKILL", demo.said)
            self.assert_nothing_is_left(demo, files=True)

    def test_ctrl_c_takes_all_of_it_away(self):
        for to_all in (True, False):
            with Demo("--rate", 10) as demo:
                demo.wait_for("the backend publishes")
                if to_all:
                    os.killpg(demo.process.pid, signal.SIGINT)
                else:
                    demo.process.terminate()
                self.assertEqual(demo.end(), 1, demo.said)
                self.assertIn("interrupted", demo.said)
                self.assertIn("nothing of it is left", demo.said)
                self.assert_nothing_is_left(demo)

    def test_ctrl_c_while_it_starts(self):
        with Demo() as demo:
            tool.wait_for("an etcd", lambda: list(demo.temporary.glob("*/e3/pid")))
            os.killpg(demo.process.pid, signal.SIGINT)
            self.assertEqual(demo.end(), 1, demo.said)
            self.assert_nothing_is_left(demo)

    def test_wrong_arguments_are_usage_and_leave_nothing(self):
        for arguments, words in ((["--phone", 5], "--phone"), (["--orders", "/nowhere"], "/nowhere")):
            with Demo(*arguments) as demo:
                self.assertEqual(demo.end(), 2, demo.said)
                self.assertIn(words, demo.said)
                self.assert_nothing_is_left(demo)

    def test_a_port_in_use_is_named(self):
        base = next(base for base in range(20000, 30000, tool.PORTS)
                    if not tool.Cluster(ROOT, base, BIN).taken_ports(3))
        with tool.socket.socket() as other:
            other.bind(("127.0.0.1", base + 21))
            other.listen()
            with Demo(own=["--base", str(base)]) as demo:
                self.assertEqual(demo.end(), 1, demo.said)
                self.assertIn(f"port {base + 21} of 127.0.0.1, which was to be n2's, is in use", demo.said)
                self.assert_nothing_is_left(demo)

    def test_without_etcd_it_says_what_installs_it(self):
        with Demo(path="/nowhere") as demo:
            self.assertEqual(demo.end(), 1, demo.said)
            self.assertIn("there is no etcd on this machine: tools/setup cluster installs it", demo.said)
            self.assert_nothing_is_left(demo)


if __name__ == "__main__":
    BIN, ORDERS = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    if not shutil.which("etcd"):
        print("there is no etcd on this machine: tools/setup cluster installs it; NOT TESTED")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
