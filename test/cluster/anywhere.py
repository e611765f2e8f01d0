"""A client may connect, leave and come back at any node, and sees one broker. No faults here."""

import time

import wire
from client import Client, wait_until
from stage import Load, Stage

SYS = "[sys]\ninterval = \"1s\"\n[auth]\nallow_anonymous = true\n"


def test_anywhere():
    with Stage(etcds=1, settings=SYS) as stage:
        for version in (4, 5):
            publish_and_subscribe(stage, version)
            offline_queue(stage, version)
            clean_start(stage, version)
            retained(stage, version)
            wills(stage, version)
            takeover(stage, version)
        session_expiry(stage)
        will_delay(stage)
        shared_group(stage)
        shared_group_moves_on(stage)
        figures_of_the_broker(stage)
        load = Load(stage, publishers=("n1", "n2", "n3"), subscribers=("n2", "n3", "n1")).start()
        load.grow(300)
        drops = [one.drops() for one in load.everyone()]
        load.finish()
        assert not any(drops), drops


def publish_and_subscribe(stage, version):
    topic = f"plain/{version}"
    subscriber = stage.client(f"sub{version}", "n1", version=version)
    subscriber.subscribe(topic, qos=2)
    for node in ("n2", "n3", "n1"):
        publisher = stage.client(f"pub{version}{node}", node, version=version)
        # A node that has not read the subscription yet has a right not to deliver what is not acknowledged.
        for qos in (2, 1, 0):
            assert publisher.publish(topic, f"{node} {qos}", qos).wait() == 0
            subscriber.wait_for(f"{node} {qos}")
        publisher.disconnect()
    assert len(subscriber.payloads()) == 9, subscriber.payloads()
    assert all(str(one.qos) == one.payload.decode()[-1] and not one.retain for one in subscriber.inbox)
    subscriber.unsubscribe(topic)
    publisher.connect(stage.at("n3"))
    publisher.publish(topic, "nobody hears it", 1).wait()
    subscriber.subscribe(topic, qos=1)
    publisher.publish(topic, "heard again", 1).wait()
    subscriber.wait_for("heard again")
    assert "nobody hears it" not in subscriber.payloads()
    publisher.disconnect()
    subscriber.disconnect()


def offline_queue(stage, version):
    topic = f"queue/{version}"
    phone = Client(f"away{version}", version=version, clean=False, expiry=600)
    stage.clients.append(phone)
    assert not phone.connect(stage.at("n1")).present
    phone.subscribe(topic, qos=2)
    phone.disconnect()
    publisher = stage.client(f"meanwhile{version}", "n2", version=version)
    sent = []
    for round_, node in enumerate(("n3", "n2", "n1")):
        batch = [f"{round_} {i} {i % 2 + 1}" for i in range(20)]
        for each in [publisher.publish(topic, text, int(text[-1])) for text in batch]:
            assert each.wait() == 0
        sent += batch
        assert phone.connect(stage.at(node)).present, f"no session at {node}"
        phone.wait_for(*sent)
        phone.disconnect()
    # It leaves and is elsewhere before its last PUBACKs are through the log: those of QoS 1 may come again.
    assert list(dict.fromkeys(phone.payloads())) == sent, phone.payloads()
    firsts = set()
    again = [one for one in phone.inbox if one.payload in firsts or firsts.add(one.payload)]
    assert all(one.qos == 1 and one.dup for one in again), [one.payload for one in again]
    publisher.disconnect()


def clean_start(stage, version):
    topic = f"clean/{version}"
    phone = Client(f"clean{version}", version=version, clean=False, expiry=600)
    stage.clients.append(phone)
    phone.connect(stage.at("n1"))
    phone.subscribe(topic)
    phone.disconnect()
    publisher = stage.client(f"cleaner{version}", "n2", version=version)
    publisher.publish(topic, "old", 1).wait()
    assert not phone.connect(stage.at("n3"), clean=True).present
    publisher.publish(topic, "still old", 1).wait()
    phone.subscribe(topic)
    publisher.publish(topic, "new", 1).wait()
    phone.wait_for("new")
    assert phone.payloads() == ["new"], phone.payloads()
    phone.disconnect()
    # Of 3.1.1 a clean session ends with the connection, of 5.0 it has the expiry that CONNECT asked for.
    assert phone.connect(stage.at("n1")).present == (version == 5)
    phone.disconnect()
    publisher.disconnect()


def retained(stage, version):
    topic = f"retained/{version}"
    publisher = stage.client(f"keeper{version}", "n1", version=version)
    publisher.publish(topic, "first", 1, retain=True).wait()
    publisher.publish(topic, "kept", 1, retain=True).wait()
    for node in ("n2", "n3"):
        one = stage.client(f"looker{version}{node}", node, version=version)
        wait_until(f"{node} shows what is retained", lambda: look(one, topic) == ["kept"])
        assert all(each.retain for each in one.inbox if each.payload == b"kept")
        one.disconnect()
    one = stage.client(f"remover{version}", "n3", version=version)
    one.publish(topic, b"", 1, retain=True).wait()
    again = stage.client(f"looker{version}", "n2", version=version)
    wait_until("n2 has forgotten it", lambda: look(again, topic) == [])
    for each in (one, again, publisher):
        each.disconnect()


def look(client, topic):
    """What is retained there now, by a subscription and a message of one's own behind it."""
    with client.lock:
        client.inbox.clear()
    mark = f"mark {time.monotonic_ns()}"
    client.subscribe(topic, f"mark/{client.id}")
    client.publish(f"mark/{client.id}", mark, 1).wait()
    client.wait_for(mark)
    return [each for each in client.payloads() if not each.startswith("mark ")]


def wills(stage, version):
    watcher = stage.client(f"watcher{version}", "n3", version=version)
    watcher.subscribe(f"last/{version}/#", qos=2)
    broken = stage.client(f"broken{version}", "n1", version=version,
                          will=(f"last/{version}/broken", "it broke", 1, False, {}))
    polite = stage.client(f"polite{version}", "n2", version=version,
                          will=(f"last/{version}/polite", "never", 1, False, {}))
    polite.disconnect()
    broken.cut()
    watcher.wait_for("it broke")
    broken.will = None
    broken.connect(stage.at("n2"))  # comes after the will, and asks for none
    broken.publish(f"last/{version}/mark", "mark", 1).wait()
    watcher.wait_for("mark")
    assert watcher.payloads() == ["it broke", "mark"], watcher.payloads()
    broken.disconnect()
    watcher.disconnect()


def takeover(stage, version):
    topic = f"over/{version}"
    first = stage.client(f"mover{version}", "n1", version=version, clean=False, expiry=600)
    first.subscribe(topic, qos=2)
    publisher = stage.client(f"feeder{version}", "n3", version=version)
    publisher.publish(topic, "one", 2).wait()
    first.wait_for("one")
    second = first.twin()
    stage.clients.append(second)
    assert second.connect(stage.at("n2")).present
    assert first.closed.wait(10), "the older connection lives on"
    assert first.reason == (0x8E if version == 5 else None), first.reason
    publisher.publish(topic, "two", 2).wait()
    second.wait_for("two")
    assert second.payloads() == ["one", "two"], second.payloads()  # of both
    second.disconnect()
    publisher.disconnect()


def session_expiry(stage):
    """A session that ends takes its will along, once, wherever whoever acts for it is."""
    watcher = stage.client("expiry-watcher", "n3")
    watcher.subscribe("expired/#", qos=2)
    gone = [stage.client(f"brief{i}", f"n{i % 3 + 1}", clean=False, expiry=1, will=(
        f"expired/{i}", f"expired {i}", 1, False, {wire.WILL_DELAY: 600})) for i in range(9)]
    for one in gone:
        one.subscribe("brief/#")
        one.cut()
    watcher.wait_for(*(f"expired {i}" for i in range(9)))
    for i, one in enumerate(gone):
        one.will = None
        assert not one.connect(stage.at(f"n{(i + 1) % 3 + 1}")).present, f"{one.id} has its session still"
        one.expiry = 0
        one.disconnect()
    mark(stage, watcher, "expired/mark")
    assert sorted(watcher.payloads()) == sorted(["mark", *(f"expired {i}" for i in range(9))]), watcher.payloads()
    watcher.disconnect()


def will_delay(stage):
    """Who is back in time is not mourned, at whatever node that is; who is not, once."""
    watcher = stage.client("delay-watcher", "n3")
    watcher.subscribe("delayed/#", qos=2)
    back, lost = (stage.client(name, "n1", clean=False, expiry=600, will=(
        f"delayed/{name}", name, 1, False, {wire.WILL_DELAY: 2})) for name in ("back", "lost"))
    back.cut()
    lost.cut()
    assert back.connect(stage.at("n2")).present
    watcher.wait_for("lost")
    back.disconnect()
    mark(stage, watcher, "delayed/mark")
    assert watcher.payloads() == ["lost", "mark"], watcher.payloads()
    watcher.disconnect()


def mark(stage, watcher, topic):
    one = stage.client(f"marker-{watcher.id}", "n1")
    one.publish(topic, "mark", 1).wait()
    watcher.wait_for("mark")
    one.disconnect()


def shared_group(stage):
    members = [stage.client(f"member{i}", f"n{i + 1}") for i in range(3)]
    for one in members:
        one.subscribe("$share/workers/jobs/#", qos=1)
    publishers = [stage.client(f"boss{i}", f"n{i + 1}") for i in range(3)]
    jobs = [f"job {i} {k}" for i in range(3) for k in range(40)]
    for text in jobs:
        publishers[int(text[4])].publish("jobs/x", text, 1).wait()
    wait_until("all jobs are done", lambda: sum(len(one.payloads()) for one in members) >= len(jobs))
    done = sorted(text for one in members for text in one.payloads())
    assert done == sorted(jobs), "a job was lost or done twice"
    assert all(one.payloads() for one in members), [len(one.payloads()) for one in members]
    for one in members + publishers:
        one.disconnect()


def shared_group_moves_on(stage):
    """What a member had and did not acknowledge, another gets when it leaves; QoS 1."""
    lazy = stage.client("lazy", "n1", acks=False)
    lazy.subscribe("$share/lazy/task/#", qos=1)
    boss = stage.client("lazy-boss", "n2")
    tasks = [f"task {i}" for i in range(10)]
    for text in tasks:
        boss.publish("task/x", text, 1).wait()
    lazy.wait_for(*tasks)
    busy = stage.client("busy", "n3")
    busy.subscribe("$share/lazy/task/#", qos=1)
    lazy.cut()
    busy.wait_for(*tasks)
    assert sorted(busy.payloads()) == sorted(tasks), busy.payloads()
    for one in (boss, busy):
        one.disconnect()


def figures_of_the_broker(stage):
    """Each node has its own, and what it knows of all: sessions are where they are for everybody."""
    stored = stage.client("stored", "n2", clean=False, expiry=600)
    stored.cut()
    others = [stage.client(f"there-{node}", node) for node in ("n1", "n2", "n3")]
    for node in ("n1", "n2", "n3"):
        one = stage.client(f"figures-{node}", node)
        one.subscribe("$SYS/#", qos=0)
        wait_until(f"$SYS at {node}", lambda: any(
            each.topic == "$SYS/broker/clients/connected" and int(each.payload) >= 1 for each in list(one.inbox)))
        topics = {each.topic for each in one.inbox}
        assert {"$SYS/broker/version", "$SYS/broker/uptime"} <= topics, topics

        def last(topic):
            return next((each.payload.decode() for each in reversed(list(one.inbox)) if each.topic == topic), "0")

        assert last("$SYS/broker/node") == node
        wait_until(f"$SYS/cluster at {node}", lambda: last("$SYS/cluster/nodes") == "3" and
                   int(last("$SYS/cluster/clients/connected")) >= len(others) + 1 and
                   int(last("$SYS/cluster/clients/disconnected")) >= 1)
        assert int(last("$SYS/broker/clients/connected")) < int(last("$SYS/cluster/clients/connected"))
        one.disconnect()
    for one in others:
        one.disconnect()
