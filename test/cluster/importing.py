"""From one machine to a cluster: a node alone is killed, imported, and its clients come back at three nodes."""

import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import time

import wire
from bad_start import _plain, keys
from client import Client, wait_until
from stage import Stage, say

SETTINGS = """\
[auth]
allow_anonymous = true
[store]
checkpoint_interval = "{}"
"""
OK, FAILURE, USAGE, NO_CONNECTION = 0, 1, 2, 3
STEPS = ("reading", "copying it to", "comparing the two", "beginning the cluster", "putting it in place")
RANDOM_KILLS = 12


class Halfway(Client):
    """Leaves QoS 2 handshakes half done: says nothing to a PUBREC, nor to a PUBREL."""

    def _handle(self, packet):
        if packet.kind not in (wire.PUBREC, wire.PUBREL):
            return super()._handle(packet)
        self.heard = getattr(self, "heard", []) + [(packet.kind, packet.packet_id)]

    def whole(self):
        """The same client with the same session, and now it says everything."""
        other = Client(self.id, self.version, self.clean, self.expiry)
        other.share(self)
        return other


class Alone:
    """The node alone: n9 of the stage, as far as ports and files go."""

    def __init__(self, stage):
        self.stage = stage
        self.data = stage.folder / "alone"
        self.at = stage.at("n9")

    def start(self, checkpoint_interval):
        self.stage.write_settings("n9")
        text = (self.stage.dir / "n9" / "courier.toml").read_text()
        settings = text[:text.index("[cluster]")].replace(str(self.stage.dir / "n9" / "data"), str(self.data))
        (self.stage.dir / "n9" / "courier.toml").write_text(settings + SETTINGS.format(checkpoint_interval))
        self.stage.start_node("n9")

    def files(self):
        """All that is in its folder, and when it was changed."""
        found = {}
        for path in sorted(self.data.rglob("*")):
            if path.is_file():
                found[str(path.relative_to(self.data))] = (path.stat().st_mtime_ns, path.read_bytes())
        return found


class Clients:
    """What they have in the end: of some all of it before the node ends, of some half, of some nothing."""

    def __init__(self, stage, alone):
        self.stage, self.alone = stage, alone
        self.sent = collections.Counter()

    def one(self, client_id, version=5, kind=Client, connect=True, **more):
        made = kind(client_id, version=version, clean=False, expiry=more.pop("expiry", 3600), **more)
        self.stage.clients.append(made)
        if connect:
            made.connect(self.alone.at)
        return made

    def publish(self, topic, count, name, qos=(1, 2), **more):
        publisher = self.stage.client(f"publisher of {name}")
        publisher.connect(self.alone.at)
        said = [f"{name} {i} q{qos[i % len(qos)]}" for i in range(count)]
        for each in [publisher.publish(topic, text, int(text[-1]), **more) for text in said]:
            assert each.wait() in (0, 0x10)
        publisher.disconnect()
        return said

    def keep(self, topic, name, qos, **more):
        self.kept[topic] = self.publish(topic, 1, name, (qos,), retain=True, **more)[0]

    def settle(self):
        """What the tables have: the node stops in good order after this."""
        self.phones = [self.one(f"phone-{version}-{i}", version) for version in (4, 5) for i in range(3)]
        for one in self.phones:
            one.subscribe("orders/#", qos=2)
            one.disconnect()
        self.orders = self.publish("orders/early", 40, "early")
        self.judge = self.one("judge")
        self.judge.subscribe("will/#", qos=2)
        self.judge.disconnect()
        self.workers = [self.one(f"worker-{i}") for i in range(2)]
        for one in self.workers:
            one.subscribe("$share/crew/work/#", qos=2)
            one.disconnect()
        self.work = self.publish("work/early", 20, "work early")
        self.kept = {}
        for i in range(20):
            self.keep(f"kept/{i}", f"old {i}", 1 + i % 2)

    def leave_things_half_done(self):
        """What the log has beside: the node is killed after this."""
        for i in range(10):
            self.keep(f"kept/{i}", f"new {i}", 1 + i % 2)
        gone = self.stage.client("forgetter", "n9")
        gone.publish("kept/19", "", 1, retain=True).wait()
        gone.disconnect()
        del self.kept["kept/19"]
        self.keep("kept/for an hour", "brief", 1, props={wire.MESSAGE_EXPIRY: 3600})
        self.orders += self.publish("orders/late", 40, "late")
        # Half of it has come, and the rest is under way.
        self.half_out = self.one("half-out", kind=Halfway, acks=False, receive_max=6)
        self.half_out.subscribe("half/#", qos=2)
        self.half = self.publish("half/out", 10, "half", qos=(2,))
        wait_until("six of the QoS 2 messages have come", lambda: len(self.half_out.inbox) == 6)
        for packet in self.half_out.inbox[:3]:
            self.half_out.acknowledge(packet)
        wait_until("three of them are released", lambda: len(getattr(self.half_out, "heard", [])) == 3)
        # And the other way.
        self.half_in = self.one("half-in", kind=Halfway, version=4)
        self.half_said = [f"said {i} q2" for i in range(5)]
        for text in self.half_said:
            self.half_in.publish("orders/said", text, 2)
        wait_until("five of its messages were taken", lambda: len(getattr(self.half_in, "heard", [])) == 5)
        self.orders += self.half_said
        # A member of the group that has some of the work, and is silent about it.
        self.busy = self.one("worker-busy", acks=False)
        self.busy.subscribe("$share/crew/work/#", qos=2)
        self.work += self.publish("work/late", 20, "work late")
        # Wills: at once, later, and not at all if its client comes back.
        mourned = self.stage.client("mourned", will=("will/now", "mourned now", 1, False, {}))
        mourned.connect(self.alone.at)
        later = self.one("mourned-later", will=("will/later", "mourned later", 1, False, {wire.WILL_DELAY: 10}))
        later.cut()
        self.missed = self.one("missed", will=("will/never", "never", 1, False, {wire.WILL_DELAY: 3600}))
        self.missed.cut()
        brief = self.one("brief", expiry=20)
        brief.subscribe("orders/#")
        brief.disconnect()
        clean = self.stage.client("clean", clean=True, version=4)
        clean.connect(self.alone.at)
        clean.subscribe("orders/#")

    def come_back(self):
        """Everybody elsewhere; each has what it is owed, once."""
        where = lambda i: self.stage.at(f"n{i % 3 + 1}")
        for i, one in enumerate(self.phones):
            assert one.connect(where(i)).present, f"no session of {one.id}"
            one.wait_for(*self.orders)
            assert one.payloads() == self.orders, f"{one.id}: {one.payloads()}"
        missed = self.missed.twin()
        missed.will = None
        self.stage.clients.append(missed)
        assert missed.connect(where(1)).present
        for one, node in ((self.half_out.whole(), 1), (self.half_in.whole(), 2)):
            self.stage.clients.append(one)
            assert one.connect(where(node)).present, f"no session of {one.id}"
            if one.id == "half-out":
                one.wait_for(*self.half)
                assert sorted(one.payloads()) == sorted(self.half), one.payloads()
            else:
                wait_until("all that it had said is acknowledged", lambda: not one.out)
        busy = self.busy.twin()
        busy.acks = True
        self.stage.clients.append(busy)
        members = [*self.workers, busy]
        for i, one in enumerate(members):
            assert one.connect(where(i + 1)).present, f"no session of {one.id}"
        done = lambda: collections.Counter(text for one in members for text in one.payloads())
        wait_until("all the work is done", lambda: not set(self.work) - done().keys())
        twice = {text: count for text, count in done().items() if count > 1}
        had = set(self.busy.payloads())
        # With QoS 1 another may get what one had and did not acknowledge; nobody else gets anything twice.
        assert all(text.endswith("q1") and text in had for text in twice), (twice, had)
        assert set(done()) == set(self.work), set(done()) ^ set(self.work)
        for i in range(3):
            one = self.stage.client(f"retained-{i}", f"n{i + 1}")
            one.subscribe("kept/#", qos=2)
            one.wait_for(*self.kept.values())
            assert {each.topic: each.payload.decode() for each in one.inbox} == self.kept, one.payloads()
            assert len(one.inbox) == len(self.kept), one.payloads()
        self.wills_go_out_once(where)
        clean = self.stage.client("clean", "n2", version=4)
        assert not clean.present, "a clean session came along"

    def wills_go_out_once(self, where):
        assert self.judge.connect(where(2)).present
        self.judge.wait_for("mourned now", "mourned later")
        marker = self.stage.client("marker", "n1")
        marker.publish("will/mark", "mark", 1).wait()
        self.judge.wait_for("mark")
        assert sorted(self.judge.payloads()) == ["mark", "mourned later", "mourned now"], self.judge.payloads()
        marker.disconnect()

    def go_on(self):
        """Packet ids, positions and groups continue where they were."""
        marker = self.stage.client("goes-on", "n3")
        more = [f"more {i}" for i in range(20)]
        for text in more:
            assert marker.publish("orders/more", text, 2).wait() == 0
        for one in self.phones:
            one.wait_for(*more)
            assert one.payloads() == self.orders + more, one.payloads()

    def brief_ends(self):
        """Its time is over, and so is the half minute that nodes give everybody after a start."""
        def listed():
            done = self.stage.courier("client", "ls", "-o", "ndjson", "--admin",
                                      f"http://127.0.0.1:{self.stage.port('n1', 'admin')}", "--token", "cluster-on-loopback")
            assert done.returncode == OK, done.stderr
            return "brief" in [json.loads(line)["client_id"] for line in done.stdout.splitlines()]

        wait_until("the brief session has ended", lambda: not listed(), patience=60)


class ImportStage(Stage):
    def courier(self, *arguments):
        return subprocess.run([self.bin / "courier", *map(str, arguments)], capture_output=True, text=True, timeout=120)

    def settings_file(self, name, **changes):
        """Of a node of the cluster, or with changes, (from, to) each, of nobody."""
        self.write_settings(name)
        file = self.dir / name / "courier.toml"
        if not changes:
            return file
        text = file.read_text()
        for old, new in changes.values():
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / "changed.toml").write_text(text)
        return self.folder / "changed.toml"

    def begin_import(self, source, settings, **more):
        return subprocess.Popen([self.bin / "courier", "cluster", "import", source, "--config", settings],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_import():
    with ImportStage(etcds=1, nodes=0, settings=SETTINGS.format("200ms")) as stage:
        stage.count = 3
        alone = Alone(stage)
        clients = Clients(stage, alone)
        alone.start("100ms")
        clients.settle()
        refused(stage, "of a node that runs", alone.data, stage.settings_file("n1"), FAILURE, "is in use by process")
        assert stage.stop("n9") == 0
        alone.start("60s")
        clients.leave_things_half_done()
        stage.kill("n9")
        before = alone.files()
        bad_input(stage, alone)
        log = json.loads(stage.courier("inspect", alone.data, "-o", "json").stdout)
        assert log["log_end"] > log["position"], "nothing is left to be folded"

        etcd_goes_away(stage, alone)
        killed_again_and_again(stage, alone)
        finish(stage, alone)
        changed = {name for name, file in before.items() if alone.files().get(name) != file} - {"LOCK"}
        assert not changed and before.keys() == alone.files().keys(), f"the node's own folder was changed: {changed}"
        began = time.monotonic()
        # An empty one first: it waits for the state, and begins nothing of its own.
        stage.start_node("n2", wait=False)
        wait_until("n2 asks for the state", lambda: "another node is asked for its own" in stage.logged("n2"))
        (stage.dir / "n1" / "data" / "import").mkdir()  # left by whatever; beside a whole store it is nothing
        stage.start_node("n1")
        stage.start_node("n3")
        stage.wait_for_node("n2")
        say(f"three nodes are ready {time.monotonic() - began:.1f} s later")
        for name in ("n2", "n3"):
            assert "this node has the state of another" in stage.logged(name)
        clients.come_back()
        clients.go_on()
        clients.brief_ends()
        after_it(stage, alone)


def refused(stage, what, source, settings, code, *sentences):
    """And nothing is written anywhere."""
    before = keys(stage)
    done = stage.courier("cluster", "import", source, "--config", settings)
    said = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    say(f"{what}: exit {done.returncode}: {said[:240]}")
    assert done.returncode == code, f"{what}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    for sentence in sentences:
        assert sentence in said, f"{what}: does not say {sentence!r}, but: {done.stderr}"
    assert keys(stage) == before, f"{what}: etcd was written to"
    return done


def bad_input(stage, alone):
    settings = stage.settings_file("n1")
    data = stage.dir / "n1" / "data"
    other = stage.folder / "other"

    done = refused(stage, "no name of a folder", "", settings, USAGE)
    assert "is a variable not set?" in done.stderr and not data.exists(), done.stderr
    checked = subprocess.run([stage.bin / "courierd", "--check-config", "--import", alone.data, "--config", settings],
                             capture_output=True, text=True, timeout=60)
    assert checked.returncode == USAGE and "excludes" in checked.stderr and not is_begun(stage), checked.stderr
    refused(stage, "no such folder", stage.folder / "nowhere", settings, FAILURE, "does not exist")
    other.mkdir()
    (other / "letter").write_text("dear")
    refused(stage, "a folder of something else", other, settings, FAILURE, "no data directory of Courier")
    full = stage.settings_file("n2", data=(str(stage.dir / "n2" / "data"), str(other)))
    refused(stage, "data_dir with something else in it", alone.data, full, FAILURE, "not empty", "letter")
    assert sorted(os.listdir(other)) == ["LOCK", "letter"]
    refused(stage, "data_dir of a node", alone.data,
            stage.settings_file("n2", data=(str(stage.dir / "n2" / "data"), str(alone.data))), FAILURE, "another, empty data_dir")
    file = stage.folder / "alone.toml"
    file.write_text((stage.dir / "n9" / "courier.toml").read_text())
    nested(stage, alone)
    refused(stage, "settings of a node alone", alone.data, file, USAGE, "[cluster]")
    refused(stage, "no settings", alone.data, stage.folder / "no.toml", USAGE, "no.toml")
    refused(stage, "no etcd", alone.data, stage.settings_file(
        "n2", etcd=(f'etcd = ["127.0.0.1:{stage.port("e1")}"]', f'patience = "2s"\netcd = ["127.0.0.1:{stage.port("e9")}"]')),
        NO_CONNECTION, "no etcd with a quorum answers")

    newer = copy_of(alone.data, stage.folder / "newer")
    (newer / "FORMAT").write_text("courier store\nformat 99\nready\n")
    refused(stage, "a newer format", newer, settings, FAILURE, "newer Courier", "format 99")
    damaged = copy_of(alone.data, stage.folder / "damaged")
    for table in damaged.glob("db/*.sst"):
        content = bytearray(table.read_bytes())
        content[len(content) // 4] ^= 0x20
        table.write_bytes(content)
    refused(stage, "damaged tables", damaged, settings, FAILURE)
    cut = copy_of(alone.data, stage.folder / "cut")
    newest = max(cut.glob("db/*.log"), key=lambda path: path.stat().st_size)
    content = newest.read_bytes()
    newest.write_bytes(content[:len(content) // 2] + b"\xff" * 20 + content[len(content) // 2 + 20:])
    refused(stage, "a damaged journal", cut, settings, FAILURE, newest.name)

    stage.etcdctl("put", "/courier/loopback/in/x", "left behind")
    done = refused(stage, "keys of a cluster that is gone", alone.data, settings, FAILURE, "etcdctl del --prefix /courier/loopback/")
    assert "reading" not in done.stderr and "copying" not in done.stderr, f"found late: {done.stderr}"
    stage.etcdctl("del", "/courier/loopback/in/x")
    stage.etcdctl("put", "/courier/loopback/meta", "format=1\nid=00\npartitions=16\ncreated=1700000000000\n")
    refused(stage, "a cluster that is there", alone.data, settings, FAILURE, 'there is a cluster "loopback" in etcd already',
            "nothing was changed")
    stage.etcdctl("del", "/courier/loopback/meta")
    left = [name for name in os.listdir(data) if name != "LOCK"] if data.exists() else []
    assert not left, f"an import that was refused left {left}"


def nested(stage, alone):
    """What is done to the one folder would be done to the other, by whatever name."""
    data = str(stage.dir / "n2" / "data")
    before = alone.files().keys()
    link = stage.folder / "link"
    link.symlink_to(alone.data)
    for inner in (alone.data / "cluster", link / "a" / "b", f"{alone.data}/../alone/c"):
        refused(stage, "data_dir in the source", alone.data, stage.settings_file("n2", data=(data, str(inner))), FAILURE,
                f"lies in {alone.data}")
    refused(stage, "the source in data_dir", alone.data, stage.settings_file("n2", data=(data, str(stage.folder))), FAILURE,
            f"{alone.data} lies in {stage.folder}")
    refused(stage, "data_dir by another name", alone.data, stage.settings_file("n2", data=(data, str(link))), FAILURE,
            "another, empty data_dir")
    assert alone.files().keys() == before and not (alone.data / "cluster").exists()


def copy_of(folder, to):
    shutil.copytree(folder, to)
    (to / "LOCK").unlink()
    return to


def etcd_goes_away(stage, alone):
    """Before the cluster is begun: what was copied stays for the next attempt."""
    settings = stage.settings_file("n1", patience=('name = "loopback"', 'name = "loopback"\npatience = "1s"'))
    running = stage.begin_import(alone.data, settings)
    while "copying it to" not in running.stderr.readline():
        assert running.poll() is None, "it ended before it copied anything"
    stage.pause("e1")
    _, said = running.communicate(timeout=60)
    stage.resume("e1")
    assert running.returncode == NO_CONNECTION and "no etcd with a quorum answers" in said, said
    say(f"etcd goes away: exit {running.returncode}: {said.splitlines()[-1][:200]}")
    assert (stage.dir / "n1" / "data" / "import").exists()


def killed_again_and_again(stage, alone):
    """At every step, and at any moment: what it leaves is no store of anybody's, and no other cluster begins."""
    settings = stage.settings_file("n1")
    data = stage.dir / "n1" / "data"
    ends = collections.Counter()

    def kill_one(until):
        running = stage.begin_import(alone.data, settings)
        until(running)
        running.kill()
        running.communicate()
        what = ("done" if running.returncode == 0 else
                "a store" if (data / "FORMAT").exists() or (data / "replacement").exists() else
                "a copy" if (data / "import").exists() else "nothing")
        begun = is_begun(stage)
        if what == "a copy":
            started = subprocess.run([stage.bin / "courierd", "--config", settings], capture_output=True, text=True, timeout=60)
            assert started.returncode == USAGE and "holds an import that was cut off" in started.stderr, started.stderr
            assert is_begun(stage) == begun, "a node has begun a cluster beside the import"
        assert begun or what not in ("a store", "done"), "there is a store, and no cluster"
        ends[what, begun] += 1
        return what, begun

    def forget():
        stage.etcdctl("del", "--prefix", "/courier/loopback/")
        shutil.rmtree(data, ignore_errors=True)

    def at(step):
        def until(running):
            while (line := running.stderr.readline()) and step not in line:
                pass
        return until

    for step in STEPS:
        kill_one(at(step))
    forget()
    began = time.monotonic()
    assert stage.begin_import(alone.data, settings).wait(timeout=60) == OK
    took = time.monotonic() - began
    forget()
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for _ in range(RANDOM_KILLS):
        if kill_one(lambda _: time.sleep(chance.uniform(0, took)))[1]:
            forget()
    forget()
    # Where it is narrowest: the cluster has begun, and its first node cannot be put in place.
    running = stage.begin_import(alone.data, settings)
    at("copying it to")(running)
    (data / "replacement").mkdir()
    (data / "replacement" / "in the way").touch()
    _, said = running.communicate(timeout=60)
    assert running.returncode == FAILURE and "cannot move" in said, said
    assert is_begun(stage) and (data / "import").exists() and not (data / "FORMAT").exists()
    say(f"after a kill (at random with seed {seed}): " + ", ".join(
        f"{count} × {what}, the cluster {'begun' if begun else 'not begun'}" for (what, begun), count in ends.items()))


def is_begun(stage):
    return "/courier/loopback/meta" in stage.etcdctl("get", "--prefix", "--keys-only", "/courier/loopback/")


def table(text):
    """{line: (source, cluster)}"""
    found = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"\s*(\S.*?)\s+(\d+)\s+(\d+)", line):
            found.setdefault(match[1], (int(match[2]), int(match[3])))
    return found


def finish(stage, alone):
    counts = []
    for again in (False, True):
        done = stage.courier("cluster", "import", alone.data, "--config", stage.settings_file("n1"))
        assert done.returncode == OK, done.stderr
        counts.append(table(done.stdout))
        assert "every row is the same" in done.stdout, done.stdout
        assert again or "an earlier import has copied it already" in done.stderr, done.stderr
        assert ("was begun before" in done.stdout) == again, done.stdout
    print(done.stdout, flush=True)
    assert counts[0] == counts[1], counts
    assert all(source == cluster for source, cluster in counts[0].values()), counts
    expected = {"sessions": 16, "with a will that waits": 3, "QoS 2 ids not yet released": 5, "shared groups": 1,
                "members": 3, "retained messages": 20}
    assert {name: counts[0][name][0] for name in expected} == expected, counts
    assert counts[0]["queued for sessions, QoS 1"][0] > 0 < counts[0]["queued for sessions, QoS 2"][0], counts
    meta = json.loads(stage.etcdctl("get", "/courier/loopback/meta", "-w", "json"))["kvs"][0]
    assert meta["version"] == 1, "the cluster was begun twice"


def after_it(stage, alone):
    """The nodes have gone on; the old one still is as it was, and can be gone back to."""
    before = keys(stage)
    again = stage.courier("cluster", "import", alone.data, "--config", stage.settings_file("n1"))
    assert again.returncode == FAILURE and "is in use by process" in again.stderr, again.stderr
    for name in ("n1", "n2", "n3"):
        assert stage.stop(name) == 0
    again = stage.courier("cluster", "import", alone.data, "--config", stage.settings_file("n1"))
    assert again.returncode == OK and "has gone on since" in again.stdout, again.stdout + again.stderr
    meta = "/courier/loopback/meta"
    assert [kv for key, kv in before.items() if _plain(key) == meta] == [kv for key, kv in keys(stage).items() if _plain(key) == meta]
    other_sources(stage, alone, meta)
    refused(stage, "the data_dir of a cluster's node", stage.dir / "n2" / "data", stage.settings_file("n1"), FAILURE,
            "holds the state of a cluster's node")
    alone.start("60s")
    one = stage.client("looks-back", "n9")
    one.subscribe("kept/#")
    wait_until("the retained messages of the old node", lambda: len(one.payloads()) == 20)
    assert stage.stop("n9") == 0
    refused(stage, "the old node has gone on", alone.data, stage.settings_file("n1"), FAILURE, "began with another state")


def other_sources(stage, alone, meta):
    """The cluster has gone on, so there is nothing to compare with but what it says of its beginning."""
    settings = stage.settings_file("n1")
    same = copy_of(alone.data, stage.folder / "same")
    again = stage.courier("cluster", "import", same, "--config", settings)
    assert again.returncode == OK and f"with the state of {same} before" in again.stdout, again.stdout + again.stderr
    stranger = Alone(stage)
    stranger.data = stage.folder / "stranger"
    stranger.start("60s")
    assert stage.stop("n9") == 0
    refused(stage, "a source that was never imported", stranger.data, settings, FAILURE, "began with another state", "Keep it")

    said = stage.etcdctl("get", meta, "--print-value-only")
    for what, changed, sentence in (
            ("begun by an earlier version", re.sub("imported_.*\n", "", said), "cannot be told"),
            ("a store that has not got the state yet", re.sub("imported=.*", "imported=999999999", said), "has not got the state yet")):
        assert changed != said, said
        stage.etcdctl("put", meta, changed.strip() + "\n")
        refused(stage, what, alone.data, settings, FAILURE, sentence)
    stage.etcdctl("put", meta, said.strip() + "\n")
