"""HAProxy in front, as packaging/haproxy/haproxy.cfg has it."""

import time

from client import Client, Closed, Refused, wait_until
from stage import Stage, say

# A failed attempt each second, two of them (`inter 1s fall 2`), and the time of the checks themselves.
NOTICED_SECONDS_MAX = 5.0


def test_haproxy():
    # The phones' listener of the tool's nodes is the plain one: what writes their PROXY v1 is not here.
    with Stage(etcds=1, haproxy=True) as stage:
        doors = {which: stage.at("h", which) for which in ("phones", "services")}
        for which, door in doors.items():
            wait_until(f"HAProxy takes {which}", lambda: comes_in(f"first-{which}", door))
        clients = {}
        for which, door in doors.items():
            for i in range(12):
                one = stage.client(f"{which}{i}", clean=False, expiry=600)
                one.connect(door)
                one.subscribe(f"front/{which}{i}", "front/all", qos=1)
                clients[one.id] = (one, door)
        nodes = {name: stage.metric(name, "courier_clients_connected") for name in stage.nodes()}
        say(f"connections by node: {nodes}")
        assert all(count >= 4 for count in nodes.values()), f"HAProxy does not spread: {nodes}"
        assert sum(nodes.values()) == len(clients), nodes
        sender = stage.client("sender", "n3")
        sender.publish("front/all", "all are here", 1).wait()
        for one, _ in clients.values():
            one.wait_for("all are here")

        killed_at = time.monotonic()
        stage.kill("n1")
        gone = wait_until("the clients of n1 are closed", lambda: [
            one for one, _ in clients.values() if not one.connected] if sum(
                not one.connected for one, _ in clients.values()) == nodes["n1"] else None)
        for one in gone:
            wait_until(f"{one.id} is let in", lambda: comes_back(one, clients[one.id][1]))
        took = time.monotonic() - killed_at
        say(f"n1 killed: its {len(gone)} clients were in elsewhere after {took:.2f} s")
        assert took <= NOTICED_SECONDS_MAX + 2
        assert sum(not one.connected for one, _ in clients.values()) == 0
        wait_until("HAProxy leaves n1 alone", lambda: all(
            comes_in(f"later{i}", door) for i, door in enumerate([*doors.values()] * 5)))
        sender.publish("front/all", "all are here again", 1).wait()
        for one, _ in clients.values():
            one.wait_for("all are here again")
        stage.start_node("n1")
        wait_until("HAProxy sends clients to n1 again", lambda: comes_in_at(stage, "n1", doors["phones"]))


def comes_in(name, door):
    one = Client(name)
    try:
        one.connect(door, patience=3.0)
    except (OSError, Closed, Refused):
        return False
    one.disconnect()
    return True


def comes_back(one, door):
    try:
        assert one.connect(door, patience=3.0).present, f"{one.id} has no session any more"
    except (OSError, Closed, Refused):
        return False
    return True


def comes_in_at(stage, node, door):
    """leastconn: the one that has none is next."""
    one = Client("returner")
    one.connect(door)
    there = stage.metric(node, "courier_clients_connected")
    one.disconnect()
    return there >= 1
