#!/usr/bin/env python3
"""The sink of events against a real Kafka: what comes there, and that nothing is lost and nobody waits, whatever becomes of
courierd or of Kafka.

Usage: kafka_test.py BIN_DIR [unittest arguments]. Exits with 77 where Kafka cannot be had.
"""
import base64
import json
import os
import pathlib
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1] / "events")]
import node as nodes  # noqa: E402
import crashes  # noqa: E402
import real_kafka  # noqa: E402
import wire  # noqa: E402
from client import Client, Phone, wait_until  # noqa: E402

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


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    try:
        real_kafka.check()
    except real_kafka.Unavailable as unavailable:
        print(f"{unavailable}; NOT TESTED")
        sys.exit(SKIPPED)
    Event = real_kafka.event_of_schema(BIN)
    unittest.main()
