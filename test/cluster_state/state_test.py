"""A node without state gets it from another one: wiped, new, with a giver that dies, and with nobody to give it.

Usage: state_test.py BIN_DIR [UNITTEST ARGUMENT…]
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test"))
from local_cluster import LocalCluster, tool  # noqa: E402

BIN = None

# Checkpoints often, so that the log is short soon.
SETTINGS = """\
patience = "10s"
[auth]
allow_anonymous = true
[store]
checkpoint_interval = "100ms"
"""
TAKEN = "this node has the state of another"
REFUSED = "a node did not give its state"
ASKED = "another node asks for this node's state"


class StateTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="courier_state_")
        self.cluster = LocalCluster(pathlib.Path(self.folder) / "cluster", BIN, settings=SETTINGS)
        self.addCleanup(self.forget)
        self.cluster.up(3, haproxy=False)

    def forget(self):
        if self._outcome.result.failures or self._outcome.result.errors:
            for name in self.cluster.nodes():
                lines = self.cluster.log(name).read_text().splitlines()
                print(f"--- {name}", *lines[-40:], sep="\n", file=sys.stderr)
        self.cluster.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- clients ---

    def courier(self, *arguments, input=None, check=True):
        done = subprocess.run([BIN / "courier", *map(str, arguments)], input=input, capture_output=True, timeout=120)
        if check and done.returncode != 0:
            self.fail(f"courier {' '.join(map(str, arguments))}: {done.returncode} {done.stderr.decode()}")
        return done.stdout.decode()

    def publish(self, node, topic, lines, *more):
        self.courier("pub", "-p", self.cluster.port(node), "-q", 1, "-t", topic, "-l", *more,
                     input="".join(line + "\n" for line in lines).encode())

    def sub(self, node, client, filter, *more, check=True):
        """What a client with a session gets."""
        return self.courier("sub", "-p", self.cluster.port(node), "-V", "311", "-c", "-i", client, "-q", 1,
                            "-t", filter, *more, check=check).splitlines()

    def retained(self, node, count):
        lines = self.courier("sub", "-p", self.cluster.port(node), "-t", "kept/#", "-v", "-C", count, "-W", 20)
        return sorted(lines.splitlines())

    # --- the cluster ---

    def log_keys(self):
        return len(self.cluster.etcdctl("get", "--prefix", "--keys-only", "/courier/loopback/in/").split())

    def wait_for_truncation(self):
        """Of every run of a node the newest piece stays, and what came last."""
        runs = sum(self.cluster.log(name).read_text().count("courierd is ready") for name in self.cluster.nodes())
        tool.wait_for("the truncation of the log", lambda: self.log_keys() <= runs + 1)

    def wipe(self, name):
        shutil.rmtree(self.cluster.dir / name / "data")

    def count(self, name, sentence):
        log = self.cluster.log(name)
        return log.read_text().count(sentence) if log.exists() else 0

    def inspect(self, name, what):
        return json.loads(self.courier("inspect", "-n", 0, "-o", "json", self.cluster.dir / name / "data", what))

    # --- the tests ---

    def fill(self):
        self.orders = [f"order {i}" for i in range(300)]
        for phone in ("phone-1", "phone-2"):
            self.sub("n1", phone, "orders/#", "-E")
        for worker in ("worker-1", "worker-2"):
            self.sub("n2", worker, "$share/crew/work/#", "-E")
        self.publish("n2", "orders/new", self.orders)
        self.work = [f"work {i}" for i in range(50)]
        self.publish("n3", "work/todo", self.work)
        for i in range(20):
            self.publish(f"n{i % 3 + 1}", f"kept/{i}", [f"value {i}"], "-r")
        self.kept = sorted(f"kept/{i} value {i}" for i in range(20))

    def fill_much(self):
        """More than is on the way at once, and nothing that shrinks."""
        for i in range(24):
            file = pathlib.Path(self.folder) / "large"
            file.write_bytes(os.urandom(1_000_000))
            self.courier("pub", "-p", self.cluster.port("n1"), "-q", 1, "-r", "-t", f"large/{i}", "-f", file)

    def test_a_wiped_node_and_a_new_one_get_everything(self):
        self.fill()
        self.wait_for_truncation()
        self.assertEqual(self.cluster.stop("n3"), 0)
        self.wipe("n3")
        self.cluster.start_node("n3")
        self.assertEqual(self.count("n3", TAKEN), 1)
        self.cluster.start_node("n4")
        self.assertEqual(self.count("n4", TAKEN), 1)
        data = self.cluster.dir / "n4" / "data"
        self.assertEqual([name for name in os.listdir(data) if name in ("incoming", "replacement")], [])
        givers = [name for name in ("n1", "n2", "n3") if (self.cluster.dir / name / "data" / "outgoing").exists()]
        self.assertEqual(givers, [])

        self.assertEqual(self.retained("n3", 20), self.kept)
        self.assertEqual(self.retained("n4", 20), self.kept)
        self.assertEqual(self.sub("n3", "phone-1", "orders/#", "-C", len(self.orders), "-W", 30), self.orders)
        self.assertEqual(self.sub("n4", "phone-2", "orders/#", "-C", len(self.orders), "-W", 30), self.orders)
        # What comes now goes on from there, on all nodes.
        self.publish("n4", "orders/new", ["one more"])
        self.assertEqual(self.sub("n1", "phone-2", "orders/#", "-C", 1, "-W", 30), ["one more"])

        for name in ("n4", "n3", "n2", "n1"):
            self.assertEqual(self.cluster.stop(name), 0)
        for what in ("retained", "groups"):
            rows = self.inspect("n1", what)
            self.assertGreater(len(rows), 0, what)
            for name in ("n2", "n3", "n4"):
                self.assertEqual(self.inspect(name, what), rows, f"{what} of {name}")
        sessions = {name: sorted(row["client_id"] for row in self.inspect(name, "sessions")) for name in self.cluster.nodes()}
        for name in ("n2", "n3", "n4"):
            self.assertEqual(sessions[name], sessions["n1"])
        self.assertLessEqual({"phone-1", "phone-2", "worker-1", "worker-2"}, set(sessions["n1"]))

        # With nobody there to give one, a start says so and ends.
        self.wipe("n3")
        self.cluster.start_node("n3", wait=False)
        self.assertEqual(self.cluster.wait_for_end("n3"), 6)
        self.assertEqual(self.count("n3", "no other node gave its state"), 1)
        # And once there is somebody, it is well again.
        self.cluster.start_node("n2")
        self.cluster.start_node("n3")
        self.assertEqual(self.retained("n3", 20), self.kept)

    def test_a_node_that_was_away_for_too_long_comes_back_while_others_publish(self):
        self.fill()
        self.assertEqual(self.cluster.stop("n3"), 0)
        # As if the ten minutes were over for which the log is kept for it.
        tool.wait_for("the end of its lease", lambda: "n3" not in self.cluster.etcdctl("get", "--prefix", "/courier/loopback/node/"))
        self.cluster.etcdctl("del", "/courier/loopback/done/n3")
        more = [f"later {i}" for i in range(100)]
        self.publish("n1", "orders/later", more)
        self.wait_for_truncation()

        live = [f"live {i}" for i in range(400)]
        ready = threading.Event()
        publisher = subprocess.Popen([BIN / "courier", "pub", "-p", str(self.cluster.port("n1")), "-q", "1", "-t",
                                      "orders/live", "-l"], stdin=subprocess.PIPE)

        def feed():
            for line in live:
                publisher.stdin.write((line + "\n").encode())
                publisher.stdin.flush()
                ready.wait(0.01)  # paced until the node is there, then at once
            publisher.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        self.cluster.start_node("n3")
        ready.set()
        feeder.join()
        self.assertEqual(publisher.wait(60), 0)
        self.assertEqual(self.count("n3", TAKEN), 1)
        everything = self.orders + more + live
        self.assertEqual(self.sub("n3", "phone-1", "orders/#", "-C", len(everything), "-W", 60), everything)

    def test_a_giver_that_dies_in_the_middle_is_followed_by_another(self):
        self.fill()
        self.fill_much()
        self.wait_for_truncation()
        # First the node that asks dies in the middle; what it had so far is nothing.
        self.cluster.stop("n3")
        self.wipe("n3")
        asked = self.count("n1", ASKED)
        self.cluster.start_node("n3", wait=False)
        tool.wait_for("n1 to be asked", lambda: self.count("n1", ASKED) > asked)
        self.cluster.kill("n3")
        self.cluster.start_node("n3")
        self.assertEqual(self.retained("n3", 20), self.kept)

        # Then the giver. Whether it died in the middle is a matter of moments, so it is tried until it did.
        for _ in range(5):
            self.cluster.stop("n3")
            self.wipe("n3")
            asked, refused, taken = self.count("n1", ASKED), self.count("n3", REFUSED), self.count("n3", TAKEN)
            self.cluster.start_node("n3", wait=False)
            tool.wait_for("n1 to be asked", lambda: self.count("n1", ASKED) > asked)
            self.cluster.signal("n3", signal.SIGSTOP)  # takes no more than fits the sockets and the window
            self.cluster.kill("n1")
            self.cluster.signal("n3", signal.SIGCONT)
            self.cluster.wait_for_node("n3")
            self.assertEqual(self.count("n3", TAKEN), taken + 1)
            in_the_middle = self.count("n3", REFUSED) > refused
            self.assertEqual(self.retained("n3", 20), self.kept)
            self.cluster.start_node("n1")
            if in_the_middle:
                break
        else:
            self.fail("the giver was never killed in time")
        leftovers = self.cluster.dir / "n1" / "data"
        self.assertEqual([name for name in os.listdir(leftovers) if name.startswith("outgoing")], [])
        # Two at once: whoever comes second is told to wait, or goes to another.
        self.cluster.stop("n3")
        self.wipe("n3")
        for name in ("n3", "n4"):
            self.cluster.start_node(name, wait=False)
        for name in ("n3", "n4"):
            self.cluster.wait_for_node(name)
            self.assertEqual(self.retained(name, 20), self.kept)
        self.assertEqual(self.sub("n3", "phone-1", "orders/#", "-C", len(self.orders), "-W", 30), self.orders)


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).absolute()
    unittest.main()
