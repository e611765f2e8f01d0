#!/usr/bin/env python3
"""The sink of events against a real Kafka: what comes there, and that nothing is lost and nobody waits, whatever becomes of
courierd or of Kafka.

Usage: kafka_test.py BIN_DIR [unittest arguments]. Exits with 77 where Kafka cannot be had. COURIER_ROUNDS is how often courierd
is killed, COURIER_SECONDS for how long there is load without Kafka.
"""
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1] / "events")]
import node as nodes  # noqa: E402
import crashes  # noqa: E402
import real_kafka  # noqa: E402
import wire  # noqa: E402
from client import Client, wait_until  # noqa: E402

BIN = Event = None
LONG = os.environ.get("COURIER_LONG") == "1"
SKIPPED = 77
PUBLISH, COMPLETE = "courier-publish", "courier-delivery-complete"
PATIENCE = 90  # the sink tries again after half a minute at the latest


class Told:
    """A record that courierd wrote."""

    def __init__(self, record):
        self.topic, self.partition, self.key, self.value = record.topic, record.partition, record.key, record.value
        self.headers = {name: value.decode() for name, value in record.headers}
        assert len(self.headers) == len(record.headers), record.headers


def event_of(record):
    return real_kafka.as_json(Event.FromString(record.value))


class Schema(unittest.TestCase):
    def test_an_event_comes_as_it_is_documented_and_alike_to_every_kind_of_sink(self):
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        names = [f"phone-{i}" for i in range(12)] + ["a", "ab", "abc", "abcd", "телефон", "0" * 100]
        kinds = ["publish", "delivery_complete"]
        with real_kafka.Kafka() as kafka:
            kafka.create(PUBLISH, COMPLETE, partitions=7)
            more = "\n".join(f'[[sink]]\nname = "{name}"\nevents = {json.dumps(kinds)}\npayload = true\n' + kafka.sink(*lines)
                             for name, lines in (("kafka", []), ("json", ['format = "json"', 'topic_prefix = "json-"'])))
            with nodes.Node(BIN, kinds, settings=more) as node:
                for name in names:
                    one = Client(name, clean=False, expiry=600)
                    one.connect(node.where)
                    one.subscribe(f"to/{name}")
                    one.publish(f"to/{name}", f"for {name}", 1, props={wire.USER_PROPERTY: ("traceparent", trace)}).wait()
                    one.wait_for(f"for {name}")
                    one.disconnect()
                wait_until("nothing waits", lambda: node.metric("courier_sink_events_total", sink="kafka") == 2 * len(names)
                           == node.metric("courier_sink_events_total", sink="json"), PATIENCE)
                wait_until("the file has all", lambda: len(node.events()) >= 2 * len(names))
                in_file = {each["id"]: each for each in node.events()}
            told = real_kafka.Reader(kafka, [PUBLISH, COMPLETE], Told).read()
            in_json = real_kafka.Reader(kafka, ["json-publish", "json-delivery-complete"], Told).read()
        for records, type_of_content, partitions in ((told, "application/protobuf", 7),
                                                     (in_json, "application/json", real_kafka.tool.PARTITIONS)):
            self.assertEqual(len(records), 2 * len(names))
            self.assertEqual({each.headers["ce_id"] for each in records}, set(in_file))
            for each in records:
                event = event_of(each) if records is told else json.loads(each.value)
                self.assertEqual(event, in_file[event["id"]])
                self.assertEqual(each.topic.partition("-")[2], event["kind"].replace("_", "-"))
                self.assertEqual(each.headers, {
                    "ce_specversion": "1.0", "ce_id": event["id"], "ce_source": "courier://courier",
                    "ce_type": f"courier.{event['kind']}", "content-type": type_of_content, "traceparent": trace})
                self.assertEqual(each.key.decode(), event["client_id"])
                self.assertEqual(each.partition, (real_kafka.murmur2(each.key) & 0x7FFFFFFF) % partitions)
                self.assertEqual(base64.b64decode(event["payload"]), f"for {event['client_id']}".encode())
                self.assertEqual(event["traceparent"], trace)
        self.assertGreater(len({each.partition for each in told}), 3)


class KafkaNode(nodes.Node):
    """One whose events are read from Kafka."""

    def __init__(self, kafka, kinds, settings="", sink=""):
        super().__init__(BIN, kinds, settings, kafka.sink(sink))
        topics = [f"courier-{kind}".replace("_", "-") for kind in kinds]
        self.kafka, self.topics, self.reader = kafka, topics, None

    def events(self, *kinds):
        if self.reader is None:
            self.reader = real_kafka.Reader(self.kafka, self.topics, event_of)
        return [each for each in self.reader.read() if not kinds or each["kind"] in kinds]


class Crashes(unittest.TestCase):
    def test_every_delivery_is_told_over_any_number_of_crashes(self):
        with real_kafka.Kafka() as kafka:
            with KafkaNode(kafka, crashes.KINDS, crashes.SETTINGS, crashes.SINK) as node:
                kafka.create(*node.topics)
                rounds = int(os.environ.get("COURIER_ROUNDS", 300 if LONG else 12))
                crashes.every_delivery_is_told(self, node, rounds, lambda event: (event["kind"], event["client_id"]))


class Publisher:
    """One message after the other, each when the one before was acknowledged; how long each took."""

    def __init__(self, node, topic="to/phone"):
        self.client, self.topic, self.waits, self.over = Client("backend"), topic, [], threading.Event()
        self.client.connect(node.where)
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def run(self):
        while not self.over.wait(0.002):
            began = time.monotonic()
            self.client.publish(self.topic, str(len(self.waits)), 1).wait()
            self.waits.append(time.monotonic() - began)

    def go_on(self, count=200):
        """So many more."""
        goal = len(self.waits) + count
        wait_until(f"{count} more are published", lambda: len(self.waits) >= goal)
        return self.waits[goal - count:goal]


class Away(unittest.TestCase):
    def test_nobody_waits_for_kafka_and_what_happens_meanwhile_is_told_in_order(self):
        with real_kafka.Kafka() as kafka, KafkaNode(kafka, ["publish", "delivery_complete"], sink="payload = true") as node:
            kafka.create(*node.topics)
            phone = Client("phone", clean=False, expiry=600)
            phone.connect(node.where)
            phone.subscribe("to/phone")
            with Publisher(node) as publisher:
                quiet = publisher.go_on()
                busy = []
                for _ in range(2):
                    kafka.freeze()
                    busy += publisher.go_on()
                    kafka.thaw()
                    self.wait_for_more(node)
                    kafka.die()
                    busy += publisher.go_on()
                    kafka.start()
                    self.wait_for_more(node)
                publisher.go_on()
            said = [str(i).encode() for i in range(len(publisher.waits))]
            phone.wait_for(*[each.decode() for each in said])
            for kind in ("publish", "delivery_complete"):
                wait_until(f"each {kind} is told", lambda: len({e["id"] for e in node.events(kind)}) == len(said), PATIENCE)
                first = {each["id"]: each for each in reversed(node.events(kind))}
                in_order = [each for each in node.events(kind) if first.pop(each["id"], None) is each]
                self.assertEqual([base64.b64decode(each["payload"]) for each in in_order], said)
            p99 = [sorted(waits)[len(waits) * 99 // 100] * 1000 for waits in (quiet, busy)]
            print(f"{len(said)} messages, p99 of their acknowledgements {p99[0]:.1f} ms, while Kafka is away {p99[1]:.1f} ms; "
                  f"{len(node.events()) - 2 * len(said)} events told again")
            self.assertLess(p99[1], 500)

    def wait_for_more(self, node):
        told = len(node.events())
        wait_until("more is told", lambda: len(node.events()) > told, PATIENCE)


class Refused(unittest.TestCase):
    """Kafka runs, and does not take it."""

    def publish(self, node, *payloads):
        one = Client("backend")
        one.connect(node.where)
        for payload in payloads:
            one.publish("a", payload, 1).wait()
        one.disconnect()

    def wait_for_trouble(self, node, beginning):
        wait_until(f"the log says: {beginning}", lambda: f'why="{beginning}' in node.log(), PATIENCE)
        self.assertEqual(node.metric("courier_sink_ok", sink="audit"), 0)

    def wait_for_told(self, node, *payloads):
        wait_until("it is told", lambda: [base64.b64decode(each["payload"]).decode() for each in node.events()]
                   == list(payloads), PATIENCE)
        wait_until("all is well", lambda: node.metric("courier_sink_ok", sink="audit") == 1)

    def test_a_missing_topic_is_named_and_what_waits_is_told_once_it_is_there(self):
        with (real_kafka.Kafka(auto_topics=False) as kafka,
              KafkaNode(kafka, ["publish"], sink="payload = true") as node):
            self.publish(node, "1", "2", "3")
            self.wait_for_trouble(node, f"Kafka has no topic {PUBLISH} and makes none by itself: create it")
            kafka.create(PUBLISH)
            self.wait_for_told(node, "1", "2", "3")

    def test_what_is_too_large_is_given_up_and_nothing_else(self):
        with real_kafka.Kafka() as kafka, KafkaNode(kafka, ["publish"], sink="payload = true") as node:
            kafka.create(PUBLISH, max_message_bytes="3000")
            large, small = [os.urandom(10_000) for _ in range(2)], [os.urandom(1_000) for _ in range(40)]
            kafka.freeze()  # they wait, and so go together
            self.publish(node, *small[:20], large[0], *small[20:], large[1])
            kafka.thaw()
            wait_until("two are given up", lambda: node.metric("courier_sink_given_up_total", sink="audit") == 2, PATIENCE)
            wait_until("nothing waits", lambda: node.metric("courier_outbox_bytes") == 0, PATIENCE)
            self.assertEqual([base64.b64decode(each["payload"]) for each in node.events()], small)
            self.assertIn("an event is given up: Kafka will never take it", node.log())
            self.assertNotIn("cannot be told", node.log())

    def as_user(self, kafka, *lines):
        """Of a sink that comes as courier, with the password "ours"."""
        password = kafka.dir / "password"
        password.write_text("ours\n")
        return "\n".join(["payload = true", 'username = "courier"', f'password_file = "{password}"', *lines])

    def test_a_wrong_password_is_said_and_what_waits_is_told_once_it_is_right(self):
        with real_kafka.Kafka(sasl=("courier", "theirs"), tls=True) as kafka:
            kafka.create(PUBLISH)
            with KafkaNode(kafka, ["publish"], sink=self.as_user(kafka, 'sasl_mechanism = "PLAIN"',
                                                                 f'ca_file = "{kafka.certificate}"')) as node:
                self.publish(node, "1", "2")
                self.wait_for_trouble(node, "Kafka does not know us: check the user name and the password")
                kafka.die()
                kafka.sasl = ("courier", "ours")
                kafka.start()
                self.wait_for_told(node, "1", "2")

    def test_a_right_that_is_missing_is_said_and_what_waits_is_told_once_it_is_given(self):
        with real_kafka.Kafka(sasl=("courier", "ours"), settings=[
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:ANONYMOUS"]) as kafka:
            kafka.create(PUBLISH, "other")
            with KafkaNode(kafka, ["publish"], sink=self.as_user(kafka, 'sasl_mechanism = "PLAIN"')) as node:
                self.publish(node, "1", "2")
                self.wait_for_trouble(node, "Kafka does not let us write to ")  # any topic, or this one: whichever is said first
                kafka.allow("courier", "other")
                self.wait_for_trouble(node, f"Kafka does not let us write to the topic {PUBLISH}: give this user the right to")
                kafka.allow("courier", PUBLISH)
                self.wait_for_told(node, "1", "2")


class FullDisk(unittest.TestCase):
    def test_what_kafka_has_no_space_for_waits_until_it_has(self):
        with tempfile.TemporaryDirectory(prefix="courier-kafka-disk-") as disk:
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "courier-kafka-test", disk],
                              capture_output=True).returncode != 0:
                self.skipTest("no file system can be mounted here, which needs root; NOT TESTED")
            try:
                self.fill(disk)
            finally:
                subprocess.run(["umount", "-l", disk], check=True)

    def fill(self, disk):
        with (real_kafka.Kafka(settings=[f"log.dirs={disk}/data", "log.index.size.max.bytes=65536"]) as kafka,
              KafkaNode(kafka, ["publish"], sink="payload = true") as node):
            kafka.create(PUBLISH, partitions=1)
            backend = Client("backend")
            backend.connect(node.where)
            said = []

            def publish():
                said.append(os.urandom(100_000))
                backend.publish("a", said[-1], 1).wait()
            while node.metric("courier_sink_ok", sink="audit") == 1 and len(said) < 200:
                publish()
            wait_until("the disk is full", lambda: node.metric("courier_sink_ok", sink="audit") == 0, PATIENCE)
            for _ in range(20):
                publish()
            if kafka.running():
                kafka.die()
            subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
            kafka.start()
            wait_until("nothing waits", lambda: node.metric("courier_outbox_bytes") == 0, PATIENCE)
            first = {each["id"]: base64.b64decode(each["payload"]) for each in reversed(node.events())}
            self.assertEqual([first[each] for each in sorted(first, key=int)], said)
            print(f"{len(said)} messages of 100 kB, {len(node.events()) - len(said)} told again")


class Load(unittest.TestCase):
    def test_what_happens_under_load_while_kafka_is_away_is_told_afterwards_and_nobody_waits(self):
        rate, seconds = (5000, 600) if LONG else (1000, 20)
        seconds = int(os.environ.get("COURIER_SECONDS", seconds))
        kinds = ["publish", "delivery_complete"]
        with real_kafka.Kafka() as kafka, KafkaNode(kafka, kinds) as node:
            kafka.create(*node.topics)
            quiet = self.load(node, rate, min(seconds, 60) // 2)
            wait_until("nothing waits", lambda: node.metric("courier_outbox_bytes") == 0, PATIENCE)
            told = node.metric("courier_sink_events_total", sink="audit")
            kafka.die()
            away = self.load(node, rate, seconds)
            waiting = node.metric("courier_outbox_bytes")
            kafka.start()
            goal = told + 2 * away["count"]

            def count():
                return node.metric("courier_sink_events_total", sink="audit")
            wait_until("it is told", lambda: count() > told, PATIENCE)
            began, at_first = time.monotonic(), count()
            wait_until("all is told", lambda: count() >= goal, PATIENCE + 2 * seconds)
            drained = (goal - at_first) / (time.monotonic() - began)
            ids = {}
            real_kafka.Reader(kafka, node.topics, lambda record: ids.setdefault(record.topic, set()).add(
                Event.FromString(record.value).message_id)).read()
        print(f"{rate} messages/s for {seconds} s: p99 of acknowledgements {quiet['p99'] * 1000:.2f} ms, while Kafka is away "
              f"{away['p99'] * 1000:.2f} ms; {waiting / 1e6:.0f} MB waited; told {drained:.0f} events/s afterwards, "
              f"{drained / (2 * rate):.1f} times as fast as they came")
        self.assertEqual(len(ids[PUBLISH]), quiet["count"] + away["count"])
        self.assertEqual(ids[COMPLETE], ids[PUBLISH])
        self.assertGreater(drained, 5 * 2 * rate)
        if LONG:
            self.assertLess(away["p99"], 1.2 * quiet["p99"])

    def load(self, node, rate, seconds):
        """What its publishers saw."""
        report = node.folder / "load.json"
        subprocess.run([BIN / "courier", "load", "quick", "p2p", "--port", str(node.port), "--count", "100", "--rate", str(rate),
                        "--duration", str(seconds), "--lag-max", "20000", "--quiet", "--json", report],
                       check=True, stdout=subprocess.DEVNULL)
        return json.loads(report.read_text())["total"]["latencies"]["publish.ack"]


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    try:
        real_kafka.check()
    except real_kafka.Unavailable as unavailable:
        print(f"{unavailable}; NOT TESTED")
        sys.exit(SKIPPED)
    Event = real_kafka.event_of_schema(BIN)
    ran = unittest.main(exit=False).result
    sys.exit(1 if not ran.wasSuccessful() else SKIPPED if ran.skipped else 0)
