"""What an operator repairs, typed as docs/operations/cluster.md has it."""

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

from client import wait_until
from faults_of_nodes import go_home
from local_cluster import ROOT
from stage import Load, Stage, say

QUOTA_BYTES = 16 << 20
QUOTA_EXCEEDED = 0x97


def runbook(heading):
    """The first commands below that."""
    page = (ROOT / "docs/operations/cluster.md").read_text()
    return re.search(r"```sh\n(.*?)```", page[page.index(f"**{heading}"):], re.DOTALL).group(1)


def type_in(stage, commands):
    """Line by line; what etcd does not do at once is typed again."""
    endpoints = ",".join(stage.at(f"e{i}") for i in stage.etcd_numbers())
    env = {**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": endpoints}
    for line in commands.splitlines():
        wait_until(line, lambda: subprocess.run(["bash", "-eo", "pipefail", "-c", line], env=env, timeout=60,
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0)


def unready(stage, node):
    """What /readyz says against it; "" if nothing."""
    try:
        with urllib.request.urlopen(f"http://{stage.at(node, 'admin')}/readyz", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        return error.read().decode()


def fill(stage):
    """Somebody else writes to this etcd, until it takes nothing more."""
    said, number = "", 0
    while "database space exceeded" not in said:
        assert number < 2 * QUOTA_BYTES >> 20, f"etcd takes more than its quota: {said}"
        number += 1
        put = ["etcdctl", "--endpoints", stage.at("e1"), "put", f"/neighbour/{number}"]
        said = subprocess.run(put, input="n" * (1 << 20), env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True,
                              text=True, timeout=30).stderr


def test_etcd_full():
    """NOSPACE: nothing new is promised, what is there is served, and after the repair all goes on."""
    with Stage(etcd_flags=["--quota-backend-bytes", str(QUOTA_BYTES)]) as stage:
        load = Load(stage).start()
        quick = stage.client("quick", "n1")
        since = time.monotonic()
        fill(stage)
        for node in stage.nodes():
            wait_until(f"{node} says so", lambda: "NOSPACE" in unready(stage, node))
        full = time.monotonic()
        promised = len(load.ledger.promised())
        wait_until("refusals", lambda: load.ledger.refused() > 100)
        assert quick.publish("quick/1", "no promise", 1).wait() == QUOTA_EXCEEDED
        assert len(load.ledger.promised()) == promised, "promised without a log"
        # Who cannot be told why is sent away when it publishes: 3.1.1 has no words for it.
        may_go = [one for one in load.publishers if one.version == 4]
        gone = [one.id for one in load.everyone() if one.drops(since) and one not in may_go]
        assert not gone, f"connections were dropped: {gone}"

        stage.etcdctl("del", "--prefix", "/neighbour/")
        type_in(stage, runbook("Out of space"))
        repaired = time.monotonic()
        for node in stage.nodes():
            stage.wait_for_node(node)
        say(f"full after {full - since:.1f} s; ready {time.monotonic() - repaired:.1f} s after the repair")
        load.hold(200)
        assert quick.publish("quick/1", "a promise", 1).wait() < 0x80
        load.finish()


def test_host_wiped():
    """A host with a node and a member of etcd loses both disks, and is set up again."""
    with Stage() as stage:
        load = Load(stage, subscribers=("n2", "n1", "n3")).start()
        hit, others = load.at("n2"), load.unlike("n2")
        since = time.monotonic()
        for name in ("n2", "e2"):
            stage.signal(name, signal.SIGKILL)
        for name in ("n2", "e2"):
            stage.wait_for_end(name)
            shutil.rmtree(stage.dir / name / "data")
        load.served_again(hit, since)

        type_in(stage, runbook("A member of etcd lost its disk").replace("10.0.0.12:2380", stage.at("e2", "peer")))
        (stage.dir / "e2" / "data").mkdir()  # as for a member that there is
        stage.start_etcd("e2")
        took = stage.start_node_again("n2")
        say(f"n2 is ready {took:.1f} s after its start with an empty disk")
        go_home(hit, "n2")
        # It counts: the others have no majority without it.
        load.grow(100)
        stage.kill("e1")
        load.grow(200)
        dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
        assert not dropped, f"connections of other nodes were dropped: {dropped}"
        stage.start_etcd("e1")
        load.finish()
