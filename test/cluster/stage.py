"""Where a test plays: a cluster of its own (tools/cluster, on ports that are free), and a load with its books.

Files go to memory where there is room: no disk is tested here, and etcd is as fast as its disk. A failing test prints
what the nodes logged.
"""

import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.request

from client import Client, Closed, PATIENCE, Phone, Refused, wait_until
from ledger import Ledger
from network import Network

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from local_cluster import LocalCluster  # noqa: E402

MEMORY = "/dev/shm"
MEMORY_BYTES_MIN = 2 << 30
LEASE = 3.0
LONG = os.environ.get("COURIER_LONG") == "1"
# Who sleeps through a long load may not lose what is too much for an inbox: nothing is to be lost here.
SETTINGS = """
[auth]
allow_anonymous = true
[limits]
inbox_messages_max = 10_000_000
inbox_bytes_max = "4GB"
"""


def say(*words):
    print(f"{time.strftime('%H:%M:%S')}", *words, flush=True)


def _folder():
    try:
        room = os.statvfs(MEMORY)
        where = MEMORY if room.f_bavail * room.f_frsize >= MEMORY_BYTES_MIN and os.access(MEMORY, os.W_OK) else None
    except OSError:
        where = None
    return pathlib.Path(tempfile.mkdtemp(prefix="courier-cluster-", dir=where))


class Stage(LocalCluster):
    """with Stage(...) as stage: a cluster that is ready, and is gone afterwards."""

    bin_dir = None  # set by cluster_test.py

    def __init__(self, nodes=3, etcds=3, lease="3s", haproxy=False, settings=SETTINGS, network=False,
                 launchers=None, etcd_flags=()):
        """With a network, each process is alone in a place of it, and the test is where clients are. `launchers` has
        what commands are put behind, by name."""
        places = [f"n{i + 1}" for i in range(nodes)] + [f"e{i + 1}" for i in range(etcds)]
        self.network = Network(places) if network else None
        self.launchers = launchers or {}
        self.etcd_flags = etcd_flags
        self.folder = _folder()
        super().__init__(self.folder / "c", Stage.bin_dir, lease=lease, settings=settings, etcds=etcds)
        self.count, self.with_haproxy = nodes, haproxy
        self.clients = []

    def __enter__(self):
        began = time.monotonic()
        try:
            self.up(self.count, self.with_haproxy)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        say(f"{self.count} courierd and {self.etcds} etcd are ready after {time.monotonic() - began:.1f} s")
        return self

    def __exit__(self, kind, error, _):
        try:
            if kind is not None:
                self.print_logs()
            for one in self.clients:
                one.end() if isinstance(one, Phone) else one.cut()
            running = [name for name in self.nodes() if self.pid(name)]
            for name in running:
                self.signal(name, signal.SIGCONT)
                self.signal(name, signal.SIGTERM if kind is None else signal.SIGKILL)
            codes = {name: self.wait_for_end(name) for name in running}
            if kind is None and any(codes.values()):
                self.print_logs()
                raise AssertionError(f"SIGTERM at the end, and courierd ended with {codes}")
        finally:
            for name in self.known():
                if self.pid(name) is not None:
                    self.signal(name, signal.SIGCONT)
                    self.kill(name)
            if self.network:
                self.network.end()
            shutil.rmtree(self.folder, ignore_errors=True)

    def start_etcd(self, name, wait=True):
        super().start_etcd(name, wait, self.etcd_flags)

    def address(self, name):
        return self.network.address(name) if self.network else super().address(name)

    def launcher(self, name):
        return (self.network.launcher(name) if self.network else []) + self.launchers.get(name, [])

    def print_logs(self):
        for name in sorted(self.known()):
            if self.log(name).exists():
                lines = self.log(name).read_text(errors="replace").splitlines()
                child = self._children.get(name)
                state = "runs" if self.pid(name) else f"ended with {child and child.returncode}"
                print(f"--- {name}: {state}", *(line[:400] for line in lines[-60:]), sep="\n", flush=True)

    # --- clients ---

    def doors(self, *preferred):
        """Where the nodes are, those that are named first."""
        names = [*preferred, *(f"n{i + 1}" for i in range(self.count) if f"n{i + 1}" not in preferred)]
        return lambda: [(name, self.at(name)) for name in names]

    def client(self, client_id, node=None, **more):
        """One that is connected there, if a node is named."""
        one = Client(client_id, **more)
        self.clients.append(one)
        if node:
            one.connect(self.at(node))
        return one

    def phone(self, client_id, *preferred, **more):
        one = Phone(client_id, self.doors(*preferred), **more).start()
        self.clients.append(one)
        return one

    def pause(self, name):
        """Until every thread of it stands still."""
        self.signal(name, signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.pid(name)}/task")
        wait_until(f"{name} stands still", lambda: all(
            (each / "stat").read_text().rpartition(")")[2].split()[0] == "T" for each in tasks.iterdir()))

    def resume(self, name):
        self.signal(name, signal.SIGCONT)

    def metric(self, node, name):
        """The sum over all labels that are not named: `courier_mesh_links{state="up"}`."""
        with urllib.request.urlopen(f"http://{self.at(node, 'admin')}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
        values = [float(line.split()[-1]) for line in lines if re.match(rf"{re.escape(name)}[{{ ]", line)]
        assert values, f"{node} has no {name}"
        return sum(values)

    def logged(self, name):
        return self.log(name).read_text(errors="replace")

    def start_node_again(self, name):
        """Until it is ready; seconds that took."""
        began = time.monotonic()
        self.start_node(name)
        return time.monotonic() - began


class Publisher(Phone):
    """Publishes with QoS 1, 2 and 0 in turn, at most `window` without an answer."""

    def __init__(self, client_id, doors, ledger, rate, qos=(1, 2, 0), window=40, **more):
        super().__init__(client_id, doors, **more)
        self.ledger, self.rate, self.qos, self.window = ledger, rate, qos, window
        self.seq = 0
        self._stop = threading.Event()
        self._work = threading.Thread(target=self._publish_all, daemon=True)

    def begin(self):
        self._work.start()

    def stop(self):
        self._stop.set()
        self._work.join(PATIENCE)

    def _publish_all(self):
        next_at = time.monotonic()
        while not self._stop.is_set():
            if not self.connected or len(self.out) >= self.window:
                self._stop.wait(0.002)
                continue
            now = time.monotonic()
            if now < next_at:
                self._stop.wait(next_at - now)
                continue
            next_at = max(next_at + 1 / self.rate, now - 0.1)
            self.seq += 1
            qos = self.qos[self.seq % len(self.qos)]
            topic, payload = f"load/{self.id}/q{qos}", f"{self.id}:{self.seq} ".encode() + b"." * 80
            self.ledger.sending(self.id, self.seq, topic, qos, payload)
            try:
                self.publish(topic, payload, qos, retain=qos == 1)
            except Closed:
                pass  # what has a packet id is sent again when the connection is back

    def acknowledged(self, message):
        self.ledger.acknowledged(message.payload, message.code)


class Subscriber(Phone):
    """To all of the load, with QoS 2; subscribes once and never again, since its session stays."""

    def __init__(self, client_id, doors, ledger, filters=("load/#",), **more):
        super().__init__(client_id, doors, **more)
        self.ledger, self.filters, self.subscribed = ledger, filters, False
        self.on_message = lambda _, packet: ledger.arrived(self.id, packet)

    def arrived(self, connack):
        if not self.subscribed:
            self.subscribe(*self.filters, qos=2)
            self.subscribed = True


class Load:
    """Publishers, subscribers, sleepers (subscribed and away) and bearers of wills, spread as it is told."""

    def __init__(self, stage, publishers=("n1", "n2", "n3"), subscribers=("n1", "n2", "n3"), rate=60, qos=(1, 2, 0),
                 wills=2, node_of_judge="n1"):
        self.stage, self.ledger = stage, Ledger()
        self.publishers = [Publisher(f"p{i + 1}", stage.doors(node), self.ledger, rate, qos, version=5 - i % 2)
                           for i, node in enumerate(publishers)]
        self.subscribers = [Subscriber(f"s{i + 1}", stage.doors(node), self.ledger, version=5 - i % 2)
                            for i, node in enumerate(subscribers)]
        self.slept = {f"load/p{i + 1}/q{each}" for i in (0, 1)[:len(publishers)] for each in (1, 2) if each in qos}
        filters = [*sorted(self.slept), "load/fence"]
        self.sleepers = [Subscriber(f"z{i + 1}", stage.doors("n1"), self.ledger, filters) for i in range(2)]
        self.judge_of_wills = Subscriber("judge", stage.doors(node_of_judge), self.ledger, ("will/#", "load/fence"))
        self.mourners = []
        self.wills, self.fences = wills, 0
        stage.clients += self.publishers + self.subscribers + [self.judge_of_wills] + self.sleepers

    def start(self, acks_min=200):
        for sleeper in self.sleepers:
            sleeper.start()
        for one in self.subscribers + [self.judge_of_wills] + self.publishers:
            one.start()
        for one in self.subscribers + [self.judge_of_wills] + self.sleepers:
            wait_until(f"{one.id} has subscribed", lambda: one.subscribed)
            # It takes part by its node's own word; that others know of it is what the judge's fence shows.
        for sleeper in self.sleepers:
            sleeper.end()
            sleeper._end.clear()
        for i in range(self.stage.count):
            for k in range(self.wills):
                name = f"w{i + 1}{k}"
                self.mourners.append((f"n{i + 1}", self.stage.client(
                    name, f"n{i + 1}", will=(f"will/{name}", f"will of {name}", 1, False, {}))))
        for one in self.publishers:
            wait_until(f"{one.id} is connected", lambda: one.connected)
            one.begin()
        self.grow(acks_min)
        return self

    def grow(self, acks, patience=PATIENCE):
        """Until so many more acknowledgements came, from every publisher its share of half of that."""
        before = {one.id: len(self.ledger.acked_at[one.id]) for one in self.publishers}
        total = self.ledger.acks() + acks
        share = acks // (2 * len(self.publishers))
        wait_until(f"{acks} more acknowledgements", lambda: self.ledger.acks() >= total and all(
            len(self.ledger.acked_at[name]) >= count + share for name, count in before.items()), patience)

    def hold(self, acks):
        """So many more acknowledgements under a fault that is nobody's end: no connection is dropped, no node ends.
        Returns the longest time that a publisher was not answered, in seconds."""
        since = time.monotonic()
        self.grow(acks)
        dropped = {one.id: one.drops(since) for one in self.everyone() if one.drops(since)}
        assert not dropped, f"connections were dropped: {dropped}"
        assert all(self.stage.pid(name) for name in self.stage.nodes())
        return max(self.ledger.stall(one.id, since) for one in self.publishers)

    def everyone(self):
        return self.publishers + self.subscribers + [self.judge_of_wills]

    def at(self, node):
        return [one for one in self.everyone() if one.node == node]

    def unlike(self, *nodes):
        return [one for one in self.everyone() if one.node not in nodes]

    def served_again(self, hit, since, patience=PATIENCE):
        """Seconds from `since` until each of those is back, and got a message or an acknowledgement after that."""
        took = {}
        for one in hit:
            back = wait_until(f"{one.id} is connected again", lambda: next(
                (each[0] for each in one.history if each[1] == "up" and each[0] > since), None), patience)
            if isinstance(one, Publisher):
                served = wait_until(f"{one.id} is acknowledged again", lambda: next(
                    (at for at in self.ledger.acked_at[one.id] if at > back), None), patience)
            elif one is self.judge_of_wills:
                served = back
            else:
                served = wait_until(f"{one.id} is served again",
                                    lambda: self.ledger.first_after(one.id, back), patience)
            took[one.id] = served - since
        return took

    def finish(self, patience=PATIENCE):
        """Stops the load, waits for what is owed, and holds all of it against the rules."""
        for one in self.publishers:
            one.stop()
        for one in self.publishers:
            wait_until(f"all of {one.id} is acknowledged, {len(one.out)} are not", lambda: not one.out, patience)
        for node, sleeper in zip(("n3", "n2"), self.sleepers):
            again = Subscriber(sleeper.id, self.stage.doors(node), self.ledger, sleeper.filters)
            again.subscribed = again._ever = True
            self.stage.clients.append(again)
            sleeper.awake = again.start()
        everybody = [(one, None) for one in self.subscribers] + [(one.awake, self.slept) for one in self.sleepers]
        wrong = []
        for one, topics in everybody:
            try:
                wait_until(f"{one.id} has all", lambda: not self.ledger.missing(one.id, topics), patience)
            except AssertionError:
                pass  # the judgement says what is missing
        wrong += self.settle_wills(patience)
        self.fence(patience, [one.awake for one in self.sleepers])
        if 1 in self.publishers[0].qos:
            wrong += self.compare_retained(patience)
        for one, topics in everybody:
            wrong += self.ledger.judge(one.id, topics)
            if one.lost_sessions:
                wrong.append(f"{one.id}: CONNACK's session present was wrong {one.lost_sessions} times: {one.history}")
        for one in self.publishers:
            if one.lost_sessions:
                wrong.append(f"{one.id}: CONNACK's session present was wrong {one.lost_sessions} times: {one.history}")
        say(f"{len(self.ledger.sent)} sent, {len(self.ledger.promised())} acknowledged, "
            f"{self.ledger.refused()} refused; QoS 1 twice: {sum(self.ledger.again(one.id) for one, _ in everybody)}; "
            f"reconnects: {sum(len(one.drops()) for one in self.everyone())}")
        assert not wrong, "\n".join(wrong)

    def compare_retained(self, patience):
        """Every node shows, for each topic of QoS 1, what was acknowledged last."""
        due = sorted(self.ledger.last(f"load/{one.id}/q1") for one in self.publishers)
        wrong = []
        for node in filter(self.stage.pid, self.stage.nodes()):
            one = self.stage.client(f"retained-at-{node}", node)
            one.subscribe("load/+/q1")
            try:
                one.wait_for(*due, patience=patience)
            except AssertionError:
                pass
            if sorted(one.payloads()) != due or not all(each.retain for each in one.inbox):
                wrong.append(f"retained at {node}: {[each[:20] for each in one.payloads()]}, due "
                             f"{[each[:20] for each in due]}")
            one.disconnect()
        return wrong

    def settle_wills(self, patience):
        """Who lost its connection is mourned once, who took leave never."""
        due = [f"will of {one.id}" for _, one in self.mourners if not one.connected]
        for _, one in self.mourners:
            if one.connected:
                one.disconnect()
        try:
            self.judge_of_wills.wait_for(*due, patience=patience)
        except AssertionError:
            pass
        self.fence(patience)
        came = sorted(each for each in self.judge_of_wills.payloads() if each.startswith("will of "))
        return [] if came == sorted(due) else [f"wills that came {came}, due were {sorted(due)}"]

    def fence(self, patience, also=()):
        """A message that every subscriber gets after whatever was before it."""
        self.fences += 1
        payload = f"fence:{self.fences}".encode()
        self.ledger.sending("fence", self.fences, "load/fence", 1, payload)
        one = Client(f"fence-{self.fences}")
        code = wait_until("a fence is taken", lambda: self._try_fence(one, payload), patience)
        self.ledger.acknowledged(payload, code - 1)
        for each in (*self.subscribers, self.judge_of_wills, *also):
            wait_until(f"{each.id} is at the fence",
                       lambda: any(entry[0] == payload for entry in self.ledger.came[each.id][-500:]), patience)

    def _try_fence(self, one, payload):
        for _, where in self.stage.doors()():
            try:
                one.connect(where, patience=2.0)
                return one.publish("load/fence", payload, 1).wait() + 1
            except (OSError, Closed, Refused):
                continue
            finally:
                one.disconnect()
        return 0
