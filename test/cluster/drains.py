"""A node that lets go of its clients: before it is stopped, and when it is."""

import json
import signal
import subprocess
import time
import urllib.request

from client import Refused, wait_until
from stage import Load, Stage, say

USE_ANOTHER_SERVER = 0x9C
SERVER_UNAVAILABLE_3 = 3
RATE = 40
IDLE = 80


def ask(stage, node, path, method="GET"):
    request = urllib.request.Request(f"http://{stage.at(node, 'admin')}{path}", method=method,
                                     headers={"Authorization": "Bearer cluster-on-loopback"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def courier(stage, node, *words):
    return subprocess.run([stage.bin_dir / "courier", *words, "--admin", f"http://{stage.at(node, 'admin')}",
                           "--token", "cluster-on-loopback"], capture_output=True, text=True, timeout=60, check=False)


def owners(stage, node):
    return {each["owner"] for each in ask(stage, node, "/v1/cluster")["partitions"]}


def refusal(stage, node, version):
    try:
        stage.client("newcomer", version=version).connect(stage.at(node))
    except Refused as refused:
        return refused
    raise AssertionError(f"{node} takes clients")


def test_drain():
    """n1 lets its clients go, so many a second; they and its partitions are the others', and it gets some back."""
    with Stage() as stage:
        load = Load(stage).start()
        others = {stage.at(name) for name in ("n2", "n3")}
        idle = [stage.client(f"idle{i}", "n1", version=5 if i % 4 else 4) for i in range(IDLE)]
        assert owners(stage, "n2") == {"n1", "n2", "n3"}
        hit, elsewhere = load.at("n1"), load.unlike("n1")
        since = time.monotonic()
        done = courier(stage, "n1", "node", "drain", "--rate", str(RATE))
        took = time.monotonic() - since
        assert done.returncode == 0, done
        assert "nobody is connected to it any more" in done.stdout, done.stdout
        assert all(server in done.stdout for server in others), done.stdout
        say(f"drained of {IDLE + len(hit)} and more in {took:.1f} s at {RATE} a second")
        assert took >= IDLE / RATE * 0.8, f"{took} s: faster than it was told"

        for one in idle:
            one.closed.wait(10)
        young = [one for one in idle if one.version == 5]
        assert {one.reason for one in young} == {USE_ANOTHER_SERVER}
        assert {one.server for one in young} == others, "all of them are named in turn"
        assert {one.reason for one in idle if one.version == 4} == {None}
        refused = refusal(stage, "n1", 5)
        assert refused.code == USE_ANOTHER_SERVER and refused.server in others, vars(refused)
        assert refusal(stage, "n1", 4).code == SERVER_UNAVAILABLE_3
        assert not stage.ready("n1")
        load.served_again([one for one in hit], since)
        wait_until("others act for n1's partitions", lambda: owners(stage, "n2") == {"n2", "n3"})
        listed = courier(stage, "n2", "node", "ls")
        assert listed.returncode == 0 and "draining" in listed.stdout, listed
        assert not [one.id for one in elsewhere if one.drops(since)], "connections of other nodes were dropped"

        assert courier(stage, "n1", "node", "undrain").returncode == 0
        wait_until("n1 is ready", lambda: stage.ready("n1"))
        wait_until("n1 has its partitions back", lambda: owners(stage, "n2") == {"n1", "n2", "n3"})
        stage.client("newcomer", "n1").disconnect()
        load.grow(200)
        load.finish()


def test_drain_on_stop():
    """SIGTERM sends clients elsewhere, too; and does not wait for an etcd that is away."""
    with Stage(lease="20s") as stage:
        others = {stage.at(name) for name in ("n2", "n3")}
        idle = [stage.client(f"idle{i}", "n1") for i in range(20)]
        began = time.monotonic()
        assert stage.stop("n1") == 0
        say(f"stopped after {time.monotonic() - began:.1f} s")
        assert {one.reason for one in idle} == {USE_ANOTHER_SERVER}
        assert {one.server for one in idle} == others
        last = stage.client("last", "n2")
        for i in stage.etcd_numbers():
            stage.signal(f"e{i}", signal.SIGSTOP)
        began = time.monotonic()
        # The node does it at once; that others hear of it has to wait, and the last word counts then.
        assert courier(stage, "n3", "node", "drain", "--no-wait").returncode == 0
        assert refusal(stage, "n3", 5).code == USE_ANOTHER_SERVER
        assert courier(stage, "n3", "node", "undrain").returncode == 0
        stage.signal("n2", signal.SIGTERM)
        last.closed.wait(10)
        assert last.reason == USE_ANOTHER_SERVER and last.server == stage.at('n3'), vars(last)
        stage.wait_for_end("n2")
        say(f"without etcd stopped after {time.monotonic() - began:.1f} s")
        assert stage.ready("n3") is False  # etcd is away, not drained
        for i in stage.etcd_numbers():
            stage.signal(f"e{i}", signal.SIGCONT)
        wait_until("n3 is ready", lambda: stage.ready("n3"))
        wait_until("n3 acts for all", lambda: owners(stage, "n3") == {"n3"})
