"""Hosts that do not reach one another, or only with loss and delay. Host k has courierd nk and etcd ek."""

import itertools
import time

from client import wait_until
from faults_of_etcd import ends, lead
from faults_of_nodes import EXIT_LEFT_CLUSTER, go_home, wait_for_wills
from stage import LEASE, LONG, Load, Stage, say

# What is acknowledged later than that after a cut was not under way.
UNDER_WAY_SECONDS_MAX = 1.0
# An etcd that was cut off keeps leases alive until it knows, and a new leader gives all of them their full time once
# more; a node waits for one lease more before it gives up.
SENT_AWAY_SECONDS_MAX = 2 * LEASE + 5
PATIENCE_SHORT = 8
EXIT_CANNOT_JOIN = 6


def host(k):
    return [f"n{k}", f"e{k}"]


def other_hosts(k):
    return [name for i in (1, 2, 3) if i != k for name in host(i)]


def lose_node(stage, load, node, cut, mend):
    """A node that no longer takes part, by `cut`: nothing more is promised there, its clients are sent away, it ends
    with 75, and once there is a way again it is back. Nobody elsewhere notices."""
    hit, others = load.at(node), load.unlike(node)
    assert hit
    since = time.monotonic()
    cut()
    wait_for_wills(load, node, since, SENT_AWAY_SECONDS_MAX)
    code = ends(stage, node, since + SENT_AWAY_SECONDS_MAX)
    ended = time.monotonic() - since
    assert code == EXIT_LEFT_CLUSTER, f"exit code {code} after {ended:.1f} s"
    took = load.served_again(hit, since)
    dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
    stall = max(load.ledger.stall(one.id, since) for one in load.publishers if one in others)
    # As systemd does, at once; it waits for etcd.
    stage.start_node(node, wait=False)
    mend()
    began = time.monotonic()
    stage.wait_for_node(node)
    say(f"{node}: its {len(hit)} clients were served again elsewhere after {max(took.values()):.2f} s, it ended with "
        f"{code} after {ended:.2f} s, and is ready {time.monotonic() - began:.1f} s after the end of the fault; "
        f"publishers elsewhere waited {stall:.2f} s at most")
    assert not dropped, f"connections of other nodes were dropped: {dropped}"
    for one in hit:
        down = one.drops(since)[0][0]
        late = [at - since for at in load.ledger.acked_at[one.id] if since + UNDER_WAY_SECONDS_MAX < at < down]
        assert not late, f"{one.id} was acknowledged {late} s after the cut by a node that takes no part"
    go_home(hit, node)
    load.grow(200)


def load_beside(stage, node):
    """Somebody of each kind is there, and the judge is not."""
    one, other = (name for name in stage.nodes() if name != node)
    return Load(stage, subscribers=(node, one, other), node_of_judge=one).start()


def test_cut_from_etcd():
    """Packets between one node and all etcd are lost; other nodes reach both."""
    with Stage(network=True) as stage:
        load = load_beside(stage, "n2")
        ways = ["n2"], ["e1", "e2", "e3"]
        lose_node(stage, load, "n2", lambda: stage.network.both_ways(*ways, loss=1),
                  lambda: stage.network.both_ways(*ways))
        load.finish()


def test_cut_minority():
    """A host with etcd's leader on it reaches no other; clients reach all."""
    with Stage(network=True) as stage:
        lead(stage, "e2")
        load = load_beside(stage, "n2")
        ways = host(2), other_hosts(2)
        lose_node(stage, load, "n2", lambda: stage.network.both_ways(*ways, loss=1),
                  lambda: stage.network.both_ways(*ways))
        load.finish()


def test_cut_one_way():
    """What a host sends to the others is lost, it hears them; in long runs then the other way round."""
    with Stage(network=True) as stage:
        load = load_beside(stage, "n2")
        ways = [(host(2), other_hosts(2)), (other_hosts(2), host(2))]
        for some, others in ways if LONG else ways[:1]:
            say(f"what {' and '.join(some)} send to {' and '.join(others)} is lost")
            lose_node(stage, load, "n2", lambda: stage.network.between(some, others, loss=1),
                      lambda: stage.network.between(some, others))
        load.finish()


def test_cut_between_nodes():
    """n1 and n2 do not reach each other, both reach etcd: only QoS 0 between them is lost. It is counted from when they
    notice; before that it was given to a connection of which nothing bad was known."""
    with Stage(network=True) as stage:
        load = Load(stage, node_of_judge="n3", wills=1).start()
        pairs = {("p1", "s2"): "n1", ("p2", "s1"): "n2"}  # who does not hear whom, and where it is counted

        def dropped(node):
            return stage.metric(node, "courier_mesh_dropped_total")

        def linked(node):
            return stage.metric(node, 'courier_mesh_links{state="up"}')

        before = {node: dropped(node) for node in stage.nodes()}
        since = time.monotonic()
        stage.network.both_ways(["n1"], ["n2"], loss=1)
        wait_until("both notice", lambda: linked("n1") == linked("n2") == 1)
        noticed = time.monotonic()
        stall = load.hold(200)
        stage.network.both_ways(["n1"], ["n2"])
        wait_until("they have a link again", lambda: linked("n1") == linked("n2") == 2)
        mended = time.monotonic()
        load.hold(200)
        load.finish()
        lost = {pair: load.ledger.lost(*pair, since)
                for pair in itertools.product(("p1", "p2", "p3"), ("s1", "s2", "s3"))}
        counted = {node: int(dropped(node) - before[node]) for node in stage.nodes()}
        say(f"n1 and n2 were apart for {mended - since:.1f} s, and noticed after {noticed - since:.1f} s: publishers "
            f"waited {stall:.2f} s at most; {sum(lost.values())} messages with QoS 0 were lost, of these counted "
            f"{counted}")
        assert all(count == 0 for pair, count in lost.items() if pair not in pairs), lost
        for pair, node in pairs.items():
            assert 0 < load.ledger.lost(*pair, noticed) <= counted[node] <= lost[pair], (lost, counted)
        assert not [pair for pair in pairs if load.ledger.lost(*pair, mended)], "lost over a link that is there"


def test_cut_at_start():
    """A node that reaches etcd and no other node does not come up by its own clock; a way to one of them is enough."""
    settings = f'patience = "{PATIENCE_SHORT}s"\n[auth]\nallow_anonymous = true'
    with Stage(network=True, settings=settings) as stage:
        assert stage.stop("n2") == 0
        stage.network.both_ways(["n2"], ["n1", "n3"], loss=1)
        began = time.monotonic()
        stage.start_node("n2", wait=False)
        code = stage.wait_for_end("n2", 3 * PATIENCE_SHORT)
        say(f"n2 ended with {code} after {time.monotonic() - began:.1f} s: {stage.logged('n2').splitlines()[-1][:300]}")
        assert code == EXIT_CANNOT_JOIN, code
        assert "cluster.mesh_address" in stage.logged("n2")
        assert all(stage.ready(node) for node in ("n1", "n3"))

        stage.start_node("n2", wait=False)
        wait_until("it waits once more", lambda: stage.logged("n2").count("waiting for another node to say") == 2)
        began = time.monotonic()
        assert stage.stop("n2") == 0
        assert time.monotonic() - began < 3, "it does not hear SIGTERM"

        stage.start_node("n2", wait=False)
        stage.network.both_ways(["n2"], ["n3"])
        stage.wait_for_node("n2")


def test_delay():
    """200 ms each way between hosts."""
    with Stage(network=True) as stage:
        load = Load(stage).start()
        near = load.hold(100)
        for k in (1, 2, 3):
            stage.network.between(host(k), other_hosts(k), delay=0.2)
        far = load.hold(200)
        say(f"publishers waited {near:.2f} s at most, and {far:.2f} s with 200 ms between hosts")
        assert far > 0.2, "nothing was delayed"
        for k in (1, 2, 3):
            stage.network.between(host(k), other_hosts(k))
        load.finish()


def test_packet_loss():
    """Of the packets between hosts 5 % are lost."""
    with Stage(network=True) as stage:
        load = Load(stage).start()
        for k in (1, 2, 3):
            stage.network.between(host(k), other_hosts(k), loss=0.05)
        say(f"with 5 % loss publishers waited {load.hold(600):.2f} s at most")
        load.finish()
