"""Nodes that are killed, paused, restarted, under load."""

import signal
import time

import wire
from client import Client, wait_until
from stage import LEASE, LONG, Load, Stage, say

SERVED_SECONDS_MAX = LEASE + 2
EXIT_LEFT_CLUSTER = 75
USE_ANOTHER_SERVER = 0x9C


def strike(stage, load, *nodes):
    """kill -9 of those; checks that nobody elsewhere notices, and says how long their clients were not served."""
    hit = [one for node in nodes for one in load.at(node)]
    others = load.unlike(*nodes)
    since = time.monotonic()
    for node in nodes:
        stage.signal(node, signal.SIGKILL)
    for node in nodes:
        stage.wait_for_end(node)
    took = load.served_again(hit, since)
    load.grow(200)
    dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
    assert not dropped, f"connections of other nodes were dropped: {dropped}"
    worst = max(took.values(), default=0.0)
    stall = max((load.ledger.stall(one.id, since) for one in load.publishers if one in others), default=0.0)
    say(f"kill -9 of {' and '.join(nodes)}: {len(hit)} clients, served again within {worst:.2f} s; "
        f"publishers elsewhere waited {stall:.2f} s at most")
    assert worst <= SERVED_SECONDS_MAX, f"served again after {took}"
    return since


def wait_for_wills(load, node, since, seconds_max=SERVED_SECONDS_MAX):
    """Of those who were there, and do not come back."""
    due = [f"will of {one.id}" for where, one in load.mourners if where == node]
    load.judge_of_wills.wait_for(*due)
    took = max(entry[4] for entry in load.ledger.came["judge"] if entry[0].decode() in due) - since
    say(f"wills of {node} came after {took:.2f} s")
    # etcd ends a lease up to a second late; what a lease runs from is its last renewal, so it is no more than that.
    assert took <= seconds_max, f"{took} s"


def go_home(clients, node):
    """They leave where they are, and prefer that one."""
    for one in clients:
        if one.node != node:
            one.cut()
    wait_until(f"all are back at {node}", lambda: all(one.connected and one.node == node for one in clients))


def test_kill_front():
    with Stage() as stage:
        load = Load(stage, publishers=("n1", "n2", "n3"), subscribers=("n1", "n1", "n2"), node_of_judge="n3").start()
        boss = stage.client("boss", "n3")
        lazy = {qos: stage.client(f"lazy{qos}", "n1", acks=False, clean=False, expiry=600) for qos in (1, 2)}
        busy = {qos: stage.client(f"busy{qos}", "n2") for qos in (1, 2)}
        tasks = {qos: [f"task {qos} {i}" for i in range(10)] for qos in (1, 2)}
        for qos in (1, 2):
            lazy[qos].subscribe(f"$share/group/task/{qos}", qos=qos)
            for text in tasks[qos]:
                assert boss.publish(f"task/{qos}", text, qos).wait() == 0
            lazy[qos].wait_for(*tasks[qos])
            busy[qos].subscribe(f"$share/group/task/{qos}", qos=qos)
        since = strike(stage, load, "n1")
        wait_for_wills(load, "n1", since)
        # What a member of the dead node had not acknowledged: QoS 1 goes to another, QoS 2 waits for it.
        busy[1].wait_for(*tasks[1])
        say(f"a shared group's messages moved on after {time.monotonic() - since:.2f} s")
        load.finish()
        assert sorted(busy[1].payloads()) == tasks[1], busy[1].payloads()
        assert not busy[2].payloads(), busy[2].payloads()
        lazy[2].acks = True
        assert lazy[2].connect(stage.at("n2")).present
        wait_until("all tasks of QoS 2 are acknowledged", lambda: not lazy[2].held)
        assert lazy[2].payloads() == tasks[2], lazy[2].payloads()


def test_kill_owner_and_front():
    """Of three nodes one stays, with the promises of all."""
    with Stage() as stage:
        load = Load(stage, publishers=("n1", "n2", "n3"), subscribers=("n1", "n2", "n3"), node_of_judge="n3").start()
        watcher = stage.client("watcher", "n3")
        watcher.subscribe("end/#", qos=2)
        # Who acts for some of these is among the dead; of others the connection dies with its node.
        delayed = [stage.client(f"d{i}", f"n{i % 2 + 1}", clean=False, expiry=600, will=(
            f"end/d{i}", f"will of d{i}", 1, False, {wire.WILL_DELAY: 1})) for i in range(8)]
        expiring = [stage.client(f"x{i}", f"n{i % 2 + 1}", clean=False, expiry=1, will=(
            f"end/x{i}", f"end of x{i}", 1, False, {wire.WILL_DELAY: 600})) for i in range(8)]
        for one in delayed[:4] + expiring[:4]:
            one.cut()
        since = strike(stage, load, "n1", "n2")
        wait_for_wills(load, "n1", since)
        wait_for_wills(load, "n2", since)
        watcher.wait_for(*(f"will of d{i}" for i in range(8)))
        say(f"wills with a delay of 1 s came after {time.monotonic() - since:.2f} s")
        took = [stage.start_node_again(name) for name in ("n1", "n2")]
        say(f"they were ready again after {took[0]:.1f} and {took[1]:.1f} s")
        load.grow(100)
        load.finish()
        # Sessions that the end of a node has cut have a grace of 30 s.
        watcher.wait_for(*(f"end of x{i}" for i in range(8)), patience=45)
        say(f"sessions with an expiry of 1 s ended after {time.monotonic() - since:.2f} s")
        for one in expiring:
            one.will, one.expiry = None, 0
            assert not one.connect(stage.at("n1")).present, f"{one.id} has its session still"
            one.disconnect()
        assert len(watcher.payloads()) == 16, watcher.payloads()


def test_kill_again_and_again():
    with Stage() as stage:
        load = Load(stage, subscribers=("n2", "n1", "n3"), node_of_judge="n1", wills=1).start()
        for _ in range(50 if LONG else 5):
            strike(stage, load, "n2")
            say(f"n2 is ready again after {stage.start_node_again('n2'):.1f} s")
            # One of each kind goes back there, so that there is something to lose.
            go_home((load.publishers[1], load.subscribers[0]), "n2")
            load.grow(100)
        load.finish()


class Stubborn(Client):
    """Stays on a connection that says nothing, and writes on into it."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.acked = []

    def acknowledged(self, message):
        self.acked.append((time.monotonic(), message))


def test_pause():
    """SIGSTOP for longer than the lease: the others go on without it, and what it says afterwards is void."""
    with Stage() as stage:
        load = Load(stage, publishers=("n1", "n2", "n3"), subscribers=("n2", "n1", "n3"), node_of_judge="n1").start()
        witness = stage.client("witness", "n1")
        witness.subscribe("stubborn/#", qos=2)
        stubborn = []
        for i in range(6):
            one = Stubborn(f"stubborn{i}", version=4 + i % 2, clean=False, expiry=600)
            stage.clients.append(one)
            one.connect(stage.at("n2"))
            assert one.publish(f"stubborn/{i}", f"before {i}", 1 + i % 2).wait() == 0
            stubborn.append(one)
        # Their delays end while their node stands still, and again when it moves: once is right.
        delayed = [stage.client(f"d{i}", "n2", clean=False, expiry=600, will=(
            f"will/d{i}", f"delayed {i}", 1, False, {wire.WILL_DELAY: 1})) for i in range(4)]
        for one in delayed[:2]:
            one.cut()
        others = load.unlike("n2")
        hit = load.at("n2")
        since = time.monotonic()
        stage.pause("n2")
        for i, one in enumerate(stubborn):
            one.publish(f"stubborn/{i}", f"into the void {i}", 1 + i % 2)
        took = load.served_again(hit, since)
        wait_for_wills(load, "n2", since)
        load.judge_of_wills.wait_for(*(f"delayed {i}" for i in range(4)))
        load.grow(300)
        say(f"n2 stands still for {time.monotonic() - since:.1f} s; its clients noticed by their own pings and were "
            f"served again after {max(took.values()):.2f} s")
        assert all(len(one.acked) == 1 for one in stubborn), "acknowledged while it stood still"
        moved_on = time.monotonic()
        stage.resume("n2")
        code = stage.wait_for_end("n2")
        say(f"after SIGCONT it ended within {time.monotonic() - moved_on:.2f} s")
        assert code == EXIT_LEFT_CLUSTER, f"exit code {code}"
        for one in stubborn + delayed:
            assert one.closed.wait(1), f"{one.id} has its connection still"
        acked = [message.payload for one in stubborn for at, message in one.acked
                 if at > moved_on and message.code < 0x80]
        assert not acked, f"acknowledged by a node that was taken for dead: {acked}"
        received = [one.id for one in stubborn for message in one.out.values() if message.released]
        assert not received, f"PUBREC by a node that was taken for dead, to {received}"
        dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
        assert not dropped, f"connections of other nodes were dropped: {dropped}"
        say(f"n2 is ready again after {stage.start_node_again('n2'):.1f} s")
        # What it was told while it was dead is told again by who was not answered, and arrives once.
        for i, one in enumerate(stubborn):
            assert one.connect(stage.at(f"n{i % 3 + 1}")).present
            if one.acked[-1][1].code >= 0x80:  # refused, in the moment in which it knew: that is no promise
                one.publish(f"stubborn/{i}", f"into the void {i}", 1 + i % 2)
            wait_until(f"{one.id} is answered", lambda: not one.out)
        witness.wait_for(*(f"before {i}" for i in range(6)), *(f"into the void {i}" for i in range(6)))
        load.finish()
        got = witness.payloads()
        assert all(got.count(f"into the void {i}") == 1 for i in range(1, 6, 2)), f"QoS 2 not once: {got}"
        late = [each for each in load.judge_of_wills.payloads() if each.startswith("delayed ")]
        assert len(late) == 4, f"wills not once: {late}"


def test_rolling():
    """SIGTERM and start of each in turn, as for an upgrade."""
    with Stage() as stage:
        load = Load(stage, wills=1).start()
        for name in ("n1", "n2", "n3"):
            hit, others, since = load.at(name), load.unlike(name), time.monotonic()
            code = stage.stop(name)
            ended = time.monotonic() - since
            assert code == 0, f"{name} ended with {code}"
            took = load.served_again(hit, since)
            reasons = {each[3] for one in hit if one.version == 5 for each in one.drops(since)}
            assert reasons <= {USE_ANOTHER_SERVER}, f"DISCONNECT with {reasons}"
            say(f"{name} took {ended:.1f} s to stop; its {len(hit)} clients were served again after "
                f"{max(took.values(), default=0):.2f} s; ready again after {stage.start_node_again(name):.1f} s")
            assert max(took.values(), default=0) <= SERVED_SECONDS_MAX
            # Each goes home, so that the next restart hits as many.
            go_home(hit, name)
            load.grow(100)
            dropped = {one.id: one.drops(since) for one in others if one.drops(since)}
            assert not dropped, f"connections of other nodes were dropped: {dropped}"
        load.finish()
