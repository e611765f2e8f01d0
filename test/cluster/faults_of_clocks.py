"""A node whose wall clock is an hour off, or is set while it runs: no deadline is missed, and none comes early."""

import base64
import datetime
import hashlib
import hmac
import itertools
import json
import shutil
import struct
import tempfile
import time

import wire
from client import wait_until
from faults_of_nodes import strike, wait_for_wills
from stage import Load, Stage, say

HOUR = 3600
EXPIRY = 60
SLACK = 10
DELAY = 2
EARLY = 0.3
SECRET = b"0123456789abcdef0123456789abcdef"
TOKEN = 4
LEEWAY = 1
NOT_AUTHORIZED = 0x87
SETTINGS = f"""\
[auth]
allow_anonymous = true
[auth.jwt]
secret_file = "{{}}"
leeway = "{LEEWAY}s"
"""


def test_clock():
    with tempfile.NamedTemporaryFile() as secret:
        secret.write(SECRET)
        secret.flush()
        play(SETTINGS.format(secret.name))


def play(settings):
    with Stage(settings=settings) as stage:
        # Who left, and what was kept, before the clock was wrong.
        old = [stage.client(f"old{i}", f"n{i % 3 + 1}", clean=False, expiry=EXPIRY + HOUR // 2) for i in range(12)]
        teller = stage.client("teller", "n1")
        for one in old:
            one.subscribe(f"old/{one.id}")
            one.disconnect()
            teller.publish(f"old/{one.id}", f"to {one.id}", 1, props={wire.MESSAGE_EXPIRY: HOUR // 2}).wait()
        teller.publish("kept/old", "kept", 1, retain=True, props={wire.MESSAGE_EXPIRY: HOUR // 2}).wait()

        assert stage.stop("n2") == 0
        clock = WrongClock(stage, "n2")
        clock.set(HOUR)
        stage.start_node("n2")
        clock.check(HOUR)
        load = Load(stage, subscribers=("n2", "n1", "n3"), node_of_judge="n1", rate=20).start()
        deadlines(stage, "ahead")
        tokens(stage, "n2", HOUR)
        clock.set(-HOUR)
        load.hold(100)
        deadlines(stage, "set back")
        tokens(stage, "n2", -HOUR)
        clock.check(-HOUR)

        for i, one in enumerate(old):
            assert one.connect(stage.at(f"n{i % 3 + 1}")).present, f"the session of {one.id} is gone"
            one.wait_for(f"to {one.id}")
        for node in stage.nodes():
            late = stage.client(f"late-{node}", node)
            late.subscribe("kept/#")
            late.wait_for("kept")
        since = strike(stage, load, "n2")
        wait_for_wills(load, "n2", since)
        stage.start_node("n2")
        deadlines(stage, "behind")
        load.finish()


def test_empty_first():
    """All nodes were stopped. The first that comes again has lost its disk, so it needs another's state, and the others
    wait for the first to say what time it is. Its clock is wrong besides, and it asks when it has the state."""
    with Stage() as stage:
        load = Load(stage).start()
        load.finish()
        wait_until("the log is cut", lambda: stage.etcdctl(
            "get", "/courier/loopback/in/", "--prefix", "--keys-only").count("/in/") <= stage.count)
        for node in stage.nodes():
            assert stage.stop(node) == 0
        shutil.rmtree(stage.dir / "n1" / "data")
        clock = WrongClock(stage, "n1")
        clock.set(-HOUR)
        stage.start_node("n1", wait=False)
        wait_until("n1 wants a state", lambda: "another node is asked for its own" in stage.logged("n1"))
        since = time.monotonic()
        for node in ("n2", "n3"):
            stage.start_node(node, wait=False)
        for node in stage.nodes():
            stage.wait_for_node(node)
        say(f"all are ready after {time.monotonic() - since:.1f} s")
        for node in stage.nodes():
            off = stage.metric(node, "courier_cluster_clock_correction_seconds")
            assert abs(off - (HOUR if node == "n1" else 0)) < SLACK, f"{node}: {off} s"
        deadlines(stage, "afterwards")


class WrongClock:
    def __init__(self, stage, node):
        self.stage, self.node, self.file = stage, node, stage.dir / node / "clock"
        shim = stage.bin / "libshifted_clock.so"
        assert shim.exists(), f"there is no {shim}"
        stage.launchers[node] = ["env", f"LD_PRELOAD={shim}", f"CLOCK_SHIFT_FILE={self.file}"]
        self.file.write_bytes(struct.pack("q", 0))

    def set(self, seconds):
        with open(self.file, "r+b") as file:  # in place, as it is mapped
            file.write(struct.pack("q", seconds))

    def check(self, seconds):
        """That it took effect, by the newest line in its log."""
        text = self.stage.logged(self.node).splitlines()[-1].split()[0].removeprefix("ts=")
        said = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        off = (said - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        assert abs(off - seconds) < SLACK, f"{self.node} has a clock that is {off} s off"


def tokens(stage, node, ahead):
    """They end by the node's own clock, which said that they are good: after as long as they had left by that."""
    def connected(left):
        one = stage.client(f"token-{left}-{ahead}")
        one.login = ("phone", token(time.time() + ahead + left))
        one.connect(stage.at(node))
        return one
    since = time.monotonic()
    soon, later = connected(TOKEN), connected(HOUR // 2)
    wait_until("a token has ended", lambda: not soon.connected)
    took = time.monotonic() - since
    assert soon.reason == NOT_AUTHORIZED, soon.reason
    assert TOKEN - 1 <= took <= TOKEN + LEEWAY + SLACK, f"a token of {TOKEN} s ended after {took:.1f} s"
    assert later.connected, f"a token of half an hour ended within {took:.1f} s: {later.reason}"
    later.disconnect()


def token(until):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    signed = part(json.dumps({"alg": "HS256"}).encode()) + b"." + part(
        json.dumps({"rid": "phone", "exp": int(until)}).encode())
    return (signed + b"." + part(hmac.new(SECRET, signed, hashlib.sha256).digest())).decode()


def deadlines(stage, when):
    """Messages, wills and sessions, between any two nodes and by whoever acts for them."""
    for source, sink in itertools.product(stage.nodes(), repeat=2):
        name = f"{source}-{sink} {when}"
        subscriber, publisher = stage.client(f"to-{name}", sink), stage.client(f"from-{name}", source)
        subscriber.subscribe(f"expiring/{name}")
        assert publisher.publish(f"expiring/{name}", name, 1, props={wire.MESSAGE_EXPIRY: EXPIRY}).wait() == 0
        subscriber.wait_for(name)
        left = subscriber.inbox[0].props[wire.MESSAGE_EXPIRY]
        assert EXPIRY - SLACK <= left <= EXPIRY, f"from {source} to {sink}: {left} s of {EXPIRY} are left"

    watcher = stage.client(f"watcher {when}", "n1")
    watcher.subscribe("end/#", qos=2)
    due = {}
    for i in range(12):  # so many that each node acts for some
        for kind, expiry, delay in (("will", 600, DELAY), ("end", DELAY, 600)):
            name = f"{kind}{i} {when}"
            due[name] = stage.client(name, f"n{i % 3 + 1}", clean=False, expiry=expiry, will=(
                f"end/{name}", name, 1, False, {wire.WILL_DELAY: delay}))
    since = time.monotonic()
    for one in due.values():
        one.cut()
    watcher.wait_for(*due)
    first = min(one.read_at for one in watcher.inbox) - since
    assert first >= DELAY - EARLY, f"the first came {first:.2f} s after the first cut"
    assert sorted(watcher.payloads()) == sorted(due), "not once"
    say(f"{when}: deadlines of {DELAY} s were kept after {first:.1f} to {time.monotonic() - since:.1f} s")
