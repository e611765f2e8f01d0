"""A node whose wall clock is an hour off, or is set while it runs: no deadline is missed, and none comes early."""

import datetime
import itertools
import struct
import time

import wire
from client import wait_until
from faults_of_nodes import strike, wait_for_wills
from stage import Load, Stage, say

HOUR = 3600
EXPIRY = 60
SLACK = 10


def test_clock():
    with Stage() as stage:
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
        clock.set(-HOUR)
        load.hold(100)
        deadlines(stage, "set back")
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
        for kind, expiry, delay in (("will", 600, 2), ("end", 2, 600)):
            name = f"{kind}{i} {when}"
            due[name] = stage.client(name, f"n{i % 3 + 1}", clean=False, expiry=expiry, will=(
                f"end/{name}", name, 1, False, {wire.WILL_DELAY: delay}))
    since = time.monotonic()
    for one in due.values():
        one.cut()
    assert not watcher.payloads(), "too early"
    watcher.wait_for(*due)
    assert sorted(watcher.payloads()) == sorted(due), "not once"
    say(f"{when}: deadlines of 2 s were kept within {time.monotonic() - since:.1f} s")
