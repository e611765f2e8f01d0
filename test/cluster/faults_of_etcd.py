"""The log's engine loses members, all of them, or is away for longer than a lease."""

import json
import signal
import socket
import subprocess
import threading
import time

from client import wait_until
from faults_of_nodes import EXIT_LEFT_CLUSTER, strike, wait_for_wills
from network import Unavailable
from stage import LEASE, LONG, Load, Stage, say

STALL_SECONDS_MAX = 3.0


def leader(stage):
    for i in stage.etcd_numbers():
        if stage.pid(f"e{i}") is None:
            continue
        status = json.loads(stage.etcdctl("endpoint", "status", "-w", "json", endpoint=stage.at(f"e{i}")))
        if status[0]["Status"]["leader"] == status[0]["Status"]["header"]["member_id"]:
            return f"e{i}"
    return None


def lead(stage, name):
    """Makes it the leader."""
    now = wait_until("a leader", lambda: leader(stage))
    if now != name:
        members = json.loads(stage.etcdctl("member", "list", "-w", "json"))["members"]
        number = next(each["ID"] for each in members if each["name"] == name)
        stage.etcdctl("move-leader", f"{number:x}", endpoint=stage.at(now))


def lose_member(stage, load, name):
    """kill -9 of an etcd; how long publishers waited. It comes back at the end."""
    since = time.monotonic()
    stage.kill(name)
    load.grow(400)
    stall = max(load.ledger.stall(one.id, since) for one in load.publishers)
    dropped = {one.id: one.drops(since) for one in load.everyone() if one.drops(since)}
    assert not dropped, f"connections were dropped: {dropped}"
    stage.start_etcd(name)
    load.grow(100)
    return stall


def test_etcd_follower():
    with Stage() as stage:
        load = Load(stage).start()
        first = wait_until("a leader", lambda: leader(stage))
        for name in [f"e{i}" for i in (1, 2, 3) if f"e{i}" != first]:
            stall = lose_member(stage, load, name)
            say(f"kill -9 of the follower {name}: publishers waited {stall:.2f} s at most")
            assert stall <= STALL_SECONDS_MAX
        load.finish()


def test_etcd_leader():
    with Stage() as stage:
        load = Load(stage).start()
        for _ in range(2):
            name = wait_until("a leader", lambda: leader(stage))
            stall = lose_member(stage, load, name)
            say(f"kill -9 of the leader {name}: publishers waited {stall:.2f} s at most")
            assert stall <= STALL_SECONDS_MAX
        load.finish()


def test_etcd_all():
    """Killed and started again within the lease: nothing is acknowledged meanwhile, nobody is sent away."""
    with Stage(lease="15s") as stage:
        load = Load(stage).start()
        names = [f"e{i}" for i in stage.etcd_numbers()]
        since = time.monotonic()
        for name in names:
            stage.signal(name, signal.SIGKILL)
        for name in names:
            stage.wait_for_end(name)
        for name in names:
            stage.start_etcd(name, wait=False)
        for name in names:
            stage.wait_for_etcd(name)
        back = time.monotonic() - since
        load.grow(400)
        stall = max(load.ledger.stall(one.id, since) for one in load.publishers)
        dropped = {one.id: one.drops(since) for one in load.everyone() if one.drops(since)}
        say(f"kill -9 of all etcd: they answered again after {back:.1f} s, publishers waited {stall:.2f} s at most, "
            f"{len(dropped)} of {len(load.everyone())} connections were dropped")
        assert not dropped, f"connections were dropped: {dropped}"
        assert all(stage.pid(name) for name in stage.nodes())
        load.finish()


def test_compacted_watch():
    """A node stands still, for less than its lease. Then the log that it has not read is compacted, and the member of
    etcd that it watched, the first in its list, is gone: no watch can bring what is missing."""
    with Stage(lease="10s") as stage:
        lead(stage, "e2")
        load = Load(stage, subscribers=("n2", "n1", "n3"), node_of_judge="n1").start()
        others, since = load.unlike("n2"), time.monotonic()
        stage.pause("n2")
        stage.kill("e1")
        enough = load.ledger.acks() + 100
        wait_until("the log goes on", lambda: load.ledger.acks() >= enough)
        status = json.loads(stage.etcdctl("endpoint", "status", "-w", "json", endpoint=stage.at("e2")))
        stage.etcdctl("compact", str(status[0]["Status"]["header"]["revision"]), endpoint=stage.at("e2"))
        stage.resume("n2")
        say(f"n2 stood still for {time.monotonic() - since:.1f} s")
        load.grow(300)
        assert stage.pid("n2"), "n2 has ended"
        dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
        assert not dropped, f"connections of other nodes were dropped: {dropped}"
        stage.start_etcd("e1")
        load.finish()


SYNC_SECONDS = 0.1


def slow_disk():
    """What an etcd is started behind, so that each sync of its disk takes longer. -D: the child is etcd, not strace."""
    command = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", "signal=none",
               "-e", "trace=fsync,fdatasync", "-e", f"inject=fsync,fdatasync:delay_exit={int(SYNC_SECONDS * 1e6)}"]
    try:
        subprocess.run([*command, "true"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as failed:
        raise Unavailable(f"no disk can be slowed down by strace here ({failed})") from failed
    return command


def waits(load, acks):
    """The median wait for that many acknowledgements, in seconds, and the longest time without one."""
    since = time.monotonic()
    pause = load.hold(acks)
    return load.ledger.wait_median(since), pause


def test_etcd_slow_leader():
    """The leader's disk is slow, and no node asks that member: acknowledgements wait for it, and that is all."""
    with Stage(launchers={"e3": slow_disk()}) as stage:
        lead(stage, "e2")
        load = Load(stage).start()
        before = waits(load, 100)
        lead(stage, "e3")
        slow = waits(load, 150)
        say(f"acknowledgements took {before[0]:.3f} s, the longest pause was {before[1]:.2f} s; with {SYNC_SECONDS} s "
            f"for a sync of the leader's disk {slow[0]:.3f} and {slow[1]:.2f} s")
        assert slow[0] > before[0] + SYNC_SECONDS / 2, "nothing was slow"
        load.finish()


def test_etcd_slow():
    """The disks of all etcd are slow."""
    with Stage(launchers={f"e{i}": slow_disk() for i in (1, 2, 3)}) as stage:
        load = Load(stage).start(acks_min=20)
        slow = waits(load, 100)
        say(f"with {SYNC_SECONDS} s for a sync of every disk acknowledgements took {slow[0]:.3f} s, the longest pause "
            f"was {slow[1]:.2f} s")
        assert slow[0] > SYNC_SECONDS, "nothing was slow"
        load.finish()


def ends(stage, name, until):
    """The exit code of a node that ends by then; None: it runs on."""
    try:
        wait_until(f"{name} ends", lambda: stage.pid(name) is None, until - time.monotonic())
    except AssertionError:
        return None
    return stage.wait_for_end(name)


def test_etcd_away():
    """For longer than the lease: nothing is acknowledged, sockets stay, and when it is back all goes on."""
    with Stage() as stage:
        load = Load(stage).start()
        names = [f"e{i}" for i in stage.etcd_numbers()]
        since = time.monotonic()
        for name in names:
            stage.signal(name, signal.SIGKILL)
        codes = {name: ends(stage, name, since + (60 if LONG else LEASE + 5)) for name in stage.nodes()}
        away = time.monotonic() - since
        left = sum(one.connected for one in load.everyone())
        late = max(at for times in load.ledger.acked_at.values() for at in times) - since
        ready = [name for name in stage.nodes() if stage.ready(name)]
        say(f"etcd is away for {away:.1f} s: {left} of {len(load.everyone())} connections are there still; the last "
            f"acknowledgement was {late:.2f} s after the kill")
        for name in names:
            stage.wait_for_end(name)
            stage.start_etcd(name, wait=False)
        for name in names:
            stage.wait_for_etcd(name)
        began = time.monotonic()
        for name in stage.nodes():
            stage.wait_for_node(name)
        say(f"all nodes are ready {time.monotonic() - began:.1f} s after etcd")
        load.grow(200)
        load.finish()
        assert late < 1.0, "acknowledged without a log"
        assert codes == {name: None for name in codes}, f"nodes ended: {codes}"
        assert not ready, f"{ready} would take new clients, to whom nothing can be promised"
        dropped = {one.id: one.drops(since) for one in load.everyone() if one.drops(since)}
        assert not dropped, f"connections were dropped: {dropped}"


def test_cut_off():
    """One node no longer reaches etcd, others do: they take over, and its clients must be sent away to them."""
    with Stage(nodes=0) as stage:
        stage.count = 3
        ways = [Way(stage.port(f"w{i}", "client"), stage.port(f"e{i}")) for i in stage.etcd_numbers()]
        stage.write_settings("n2")
        file = stage.dir / "n2" / "courier.toml"
        text = file.read_text()
        for i in stage.etcd_numbers():
            text = text.replace(f'"{stage.at(f"e{i}")}"', f'"{stage.at(f"w{i}", "client")}"')
        file.write_text(text)
        for name in ("n1", "n2", "n3"):
            stage.start_node(name, wait=False)
        for name in ("n1", "n2", "n3"):
            stage.wait_for_node(name)
        load = Load(stage, publishers=("n1", "n2", "n3"), subscribers=("n2", "n1", "n3"), node_of_judge="n1").start()
        hit, others = load.at("n2"), load.unlike("n2")
        since = time.monotonic()
        for way in ways:
            way.cut()
        wait_for_wills(load, "n2", since)
        code = ends(stage, "n2", since + LEASE + 5)
        closed = [one.id for one in hit if one.drops(since)]
        say(f"n2 was cut off from etcd {time.monotonic() - since:.1f} s ago: it ended with {code}; of {len(hit)} "
            f"clients {len(closed)} were sent away")
        dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
        for way in ways:
            way.mend()
        if code is None:
            code = ends(stage, "n2", time.monotonic() + LEASE + 5)
            say(f"mended, it ended with {code}")
            assert code == EXIT_LEFT_CLUSTER
            late = True
        else:
            late = False
        took = load.served_again(hit, since)
        stage.start_node("n2")
        load.grow(200)
        load.finish()
        assert not dropped, f"connections of other nodes were dropped: {dropped}"
        assert code == EXIT_LEFT_CLUSTER, f"exit code {code}"
        assert not late, (f"n2 kept {len(hit)} clients for {max(took.values()):.1f} s, to whom it could promise and "
                          f"bring nothing, though others had long taken it for dead")


class Way:
    """TCP from one port to another, that can be cut: what is under way is closed, what is new is refused."""

    def __init__(self, port, to):
        self.to, self.open = to, True
        self.lock, self.pairs = threading.Lock(), set()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            one, _ = self.listener.accept()
            with self.lock:
                if not self.open:
                    one.close()
                    continue
                try:
                    other = socket.create_connection(("127.0.0.1", self.to), timeout=5)
                except OSError:
                    one.close()
                    continue
                other.settimeout(None)
                self.pairs |= {one, other}
            for source, sink in ((one, other), (other, one)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        with self.lock:
            for each in (source, sink):
                self._shut(each)
            self.pairs -= {source, sink}

    @staticmethod
    def _shut(one):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut(self):
        with self.lock:
            self.open = False
            for each in self.pairs:
                self._shut(each)

    def mend(self):
        with self.lock:
            self.open = True


def test_qos2():
    """Exactly once, whoever dies."""
    with Stage() as stage:
        load = Load(stage, qos=(2,), rate=80, subscribers=("n1", "n2", "n3"), node_of_judge="n3").start()
        since = strike(stage, load, "n1")
        wait_for_wills(load, "n1", since)
        stage.start_node_again("n1")
        name = wait_until("a leader", lambda: leader(stage))
        stall = lose_member(stage, load, name)
        say(f"kill -9 of the leader {name}: publishers waited {stall:.2f} s at most")
        strike(stage, load, "n2")
        load.finish()
