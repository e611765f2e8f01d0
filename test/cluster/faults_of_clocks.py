"""A node whose wall clock is an hour off. docs/operations/cluster.md says what becomes of deadlines; all else holds."""

import datetime
import itertools

import wire
from faults_of_nodes import strike, wait_for_wills
from stage import Load, Stage, say

HOUR = 3600
# What has more left than the clocks differ is safe.
EXPIRY = 2 * HOUR
SLACK = 60


def test_clock_ahead():
    off_by(HOUR)


def test_clock_behind():
    off_by(-HOUR)


def off_by(shift):
    with Stage() as stage:
        old = [stage.client(f"old{i}", f"n{i % 3 + 1}", clean=False, expiry=EXPIRY) for i in range(12)]
        teller = stage.client("teller", "n1")
        teller.publish("kept/old", "kept", 1, retain=True, props={wire.MESSAGE_EXPIRY: EXPIRY}).wait()
        for one in old:
            one.subscribe(f"old/{one.id}")
            one.disconnect()
            teller.publish(f"old/{one.id}", f"to {one.id}", 1, props={wire.MESSAGE_EXPIRY: EXPIRY}).wait()
        assert stage.stop("n2") == 0
        shim = stage.bin / "libshifted_clock.so"
        assert shim.exists(), f"there is no {shim}"
        stage.launchers["n2"] = ["env", f"LD_PRELOAD={shim}", f"CLOCK_SHIFT_SECONDS={shift}"]
        stage.start_node("n2")
        assert abs(clock_of(stage, "n2") - shift) < SLACK, "its clock is right"

        load = Load(stage, subscribers=("n2", "n1", "n3"), node_of_judge="n1").start()
        load.hold(300)
        for source, sink in itertools.product(stage.nodes(), repeat=2):
            # Between two nodes with the right time it makes no difference what the third one thinks.
            expiry = 60 if "n2" not in (source, sink) else EXPIRY
            left = left_on_arrival(stage, source, sink, expiry)
            wrong = 0 if source == sink or "n2" not in (source, sink) else shift if source == "n2" else -shift
            assert abs(left - expiry - wrong) < SLACK, f"from {source} to {sink}: {left} s of {expiry} are left"
        for i, one in enumerate(old):
            node = f"n{(i + 1) % 3 + 1}"
            assert one.connect(stage.at(node)).present, f"the session of {one.id} is gone"
            one.wait_for(f"to {one.id}")
        for node in stage.nodes():
            late = stage.client(f"late-{node}", node)
            late.subscribe("kept/#")
            late.wait_for("kept")

        since = strike(stage, load, "n2")
        wait_for_wills(load, "n2", since)
        stage.start_node("n2")
        load.hold(100)
        load.finish()
        say(f"a clock that was {shift} s off: all that was promised came")


def clock_of(stage, node):
    """Seconds by which it is off, as its newest line in the log has it."""
    text = stage.logged(node).splitlines()[-1].split()[0].removeprefix("ts=")
    said = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (said - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def left_on_arrival(stage, source, sink, expiry):
    """Seconds until it expires, as a subscriber at `sink` is told of a message that was published at `source`."""
    name = f"{source}-{sink}"
    subscriber, publisher = stage.client(f"to-{name}", sink), stage.client(f"from-{name}", source)
    subscriber.subscribe(f"expiring/{name}")
    assert publisher.publish(f"expiring/{name}", name, 1, props={wire.MESSAGE_EXPIRY: expiry}).wait() == 0
    subscriber.wait_for(name)
    return subscriber.inbox[0].props[wire.MESSAGE_EXPIRY]
