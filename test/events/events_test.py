#!/usr/bin/env python3
"""What sinks are told, a file and a webhook: every kind of event, and nothing lost however courierd ends.

Usage: events_test.py BIN_DIR [unittest arguments]
"""
import base64
import itertools
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import node as nodes  # noqa: E402
import crashes  # noqa: E402
from endpoint import Endpoint  # noqa: E402
from client import Client, Phone, Refused, wait_until  # noqa: E402

BIN = None
LONG = os.environ.get("COURIER_LONG") == "1"


class Kinds(unittest.TestCase):
    def test_a_clients_day_is_told_in_order(self):
        with nodes.Node(BIN) as node:
            phone = Client("phone", clean=False, expiry=600)
            phone.connect(node.where)
            phone.subscribe("orders/#", qos=1)
            backend = Client("backend")
            backend.connect(node.where)
            for qos in (0, 1, 2):
                backend.publish(f"orders/{qos}", f"order {qos}", qos).done.wait(10)
            phone.wait_for("order 0", "order 1", "order 2")
            # The answers of a client may wait for company; what it says next does not.
            for i in (1, 2):
                node.wait_for_event("delivery_complete", topic=f"orders/{i}")
            phone.unsubscribe("orders/#")
            phone.subscribe("orders/#", qos=1)
            phone.disconnect()
            node.wait_for_event("client_offline", client_id="phone")
            backend.publish("orders/late", "late", 1).wait()
            phone.connect(node.where)
            phone.wait_for("late")
            node.wait_for_event("delivery_complete", topic="orders/late")
            phone.disconnect()
            backend.disconnect()
            node.wait_for_event("client_gone", client_id="backend")
            of_phone = [each for each in node.events() if each.get("client_id") == "phone" and "best_effort" not in each]
            self.assertEqual([each["kind"] for each in of_phone], [
                "connect", "subscribe", "delivery_complete", "delivery_complete", "unsubscribe", "subscribe", "disconnect",
                "client_offline", "connect", "client_wakeup", "delivery_complete", "disconnect", "client_offline"])
            self.assertEqual([int(each["id"]) for each in of_phone], sorted(int(each["id"]) for each in of_phone))
            self.assertEqual(len({each["session_id"] for each in of_phone}), 1)
            told = {each["topic"]: each for each in node.events("publish")}
            done = {each["topic"]: each for each in node.events("delivery_complete")}
            for topic in ("orders/1", "orders/2", "orders/late"):
                self.assertEqual(done[topic]["message_id"], told[topic]["message_id"])
                self.assertEqual(told[topic]["client_id"], "backend")
                self.assertEqual(done[topic]["publisher_session_id"], told[topic]["session_id"])
            # Goes by the log, and so has an id, where it must not overtake what is on its way.
            self.assertEqual(told["orders/0"].get("best_effort", False), "message_id" not in told["orders/0"])
            self.assertEqual({each["topic"] for each in node.events("deliver")},
                             {"orders/0", "orders/1", "orders/2", "orders/late"})
            self.assertEqual([each["topic"] for each in node.events("offline_message")], ["orders/late"])
            wait_until("nothing waits", lambda: node.metric("courier_outbox_bytes") == 0)

    def test_what_is_dropped_says_why(self):
        with nodes.Node(BIN, settings="[limits]\ninbox_messages_max = 2") as node:
            phone = Client("phone", clean=False, expiry=600)
            phone.connect(node.where)
            phone.subscribe("a")
            phone.disconnect()
            backend = Client("backend")
            backend.connect(node.where)
            for i in range(5):
                backend.publish("a", str(i), 1).wait()
            dropped = wait_until("three are dropped", lambda: len(node.events("drop")) >= 3 and node.events("drop"))
            self.assertEqual([each["reason"] for each in dropped], ["inbox_full_messages"] * 3)
            published = [each["message_id"] for each in node.events("publish")]
            self.assertEqual([each["message_id"] for each in dropped], published[:3])
            self.assertEqual({each["client_id"] for each in dropped}, {"phone"})

    def test_who_is_refused_and_whose_session_ends(self):
        with nodes.Node(BIN, settings="[limits]\nclient_id_bytes_max = 23") as node:
            with self.assertRaises(Refused):
                Client("x" * 24).connect(node.where)
            self.assertEqual(node.wait_for_event("connect_failed")["reason"], "client_identifier_not_valid")
            brief = Client("brief", clean=False, expiry=1)
            brief.connect(node.where)
            brief.subscribe("a")
            brief.disconnect()
            backend = Client("backend")
            backend.connect(node.where)
            backend.publish("a", "never", 1).wait()
            self.assertEqual(node.wait_for_event("session_expired")["messages"], 1)

    def test_kinds_that_nobody_wants_are_not_written(self):
        with nodes.Node(BIN, kinds=["drop"]) as node:
            phone = Client("phone", clean=False, expiry=600)
            phone.connect(node.where)
            phone.subscribe("a")
            phone.publish("a", "1", 1).wait()
            phone.wait_for("1")
            phone.disconnect()
            node.stop()
            self.assertEqual(node.events(), [])
            self.assertNotIn(b"connect", (node.events_file).read_bytes())


class Crashes(unittest.TestCase):
    def test_every_delivery_is_told_over_any_number_of_crashes(self):
        with nodes.Node(BIN, kinds=crashes.KINDS, sink=crashes.SINK + 'file_bytes_max = "64MB"',
                        settings=crashes.SETTINGS) as node:
            crashes.every_delivery_is_told(self, node, 200 if LONG else 12, lambda event: event["client_id"])


class Away(unittest.TestCase):
    def test_events_wait_for_a_sink_that_stands_still_and_come_in_order(self):
        node = nodes.Node(BIN, kinds=["publish", "delivery_complete"])
        os.mkfifo(node.events_file)
        hold = os.open(node.events_file, os.O_RDWR | os.O_NONBLOCK)  # a reader that does not read
        try:
            with node:
                phone = Phone("phone", node.doors).start()  # its last answers die with courierd, and it gives them again
                wait_until("it is connected", lambda: phone.connected)
                phone.subscribe("a")
                backend = Client("backend")
                backend.connect(node.where)
                waits = []
                for i in range(1500):
                    began = time.monotonic()
                    backend.publish("a", str(i), 1).wait()
                    waits.append(time.monotonic() - began)
                phone.wait_for(*map(str, range(1500)))
                self.assertGreater(node.metric("courier_outbox_bytes"), 100_000)
                self.assertLess(sorted(waits)[len(waits) * 99 // 100], 0.5)
                node.kill()
                node.start()
                lines, rest = [], b""

                def drained():
                    nonlocal rest
                    try:
                        rest += os.read(hold, 1 << 20)
                    except BlockingIOError:
                        pass
                    *whole, rest = rest.split(b"\n")
                    lines.extend(whole)
                    return len(lines) >= 3000 and node.metric("courier_outbox_bytes") == 0
                wait_until("all is told", drained)
                ids = [int(json.loads(line)["id"]) for line in lines]
                self.assertEqual(len(set(ids)), 3000)
                firsts = list(dict.fromkeys(ids))
                self.assertEqual(firsts, sorted(firsts))
        finally:
            os.close(hold)


class WebhookNode(nodes.Node):
    """Its sink is an endpoint."""

    def __init__(self, endpoint, kinds, sink="", **more):
        super().__init__(BIN, kinds=kinds, sink=f'kind = "webhook"\nurl = "{endpoint.url}"\n{sink}', **more)
        self.endpoint = endpoint

    def events(self, *kinds):
        return self.endpoint.events(*kinds)


class Webhooks(unittest.TestCase):
    def test_every_delivery_is_told_over_any_number_of_crashes(self):
        count = itertools.count()
        with Endpoint(lambda _: 500 if next(count) % 97 == 96 else 200) as endpoint:
            with WebhookNode(endpoint, crashes.KINDS, sink=crashes.SINK, settings=crashes.SETTINGS) as node:
                crashes.every_delivery_is_told(self, node, 200 if LONG else 12, lambda event: event["client_id"])

    def test_what_endpoints_do_wrong_costs_no_event(self):
        """Each of the first seven events meets one fault at its first try."""
        faults = [500, 302, 404, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal", b"nonsense\r\n\r\n", 429]
        secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        met = {}

        def answer(event):
            return 200 if event["id"] in met else met.setdefault(event["id"], faults[len(met) % len(faults)])

        with Endpoint(answer, secret) as endpoint:
            with WebhookNode(endpoint, ["publish"], sink=f'secret_file = "{self.write(secret)}"\nparallel = 1') as node:
                backend = Client("backend")
                backend.connect(node.where)
                for i in range(len(faults)):
                    backend.publish("a", str(i), 1).wait()
                wait_until("all are told", lambda: len(endpoint.events()) == len(faults))
                ids = [int(each["id"]) for each in endpoint.events()]
                self.assertEqual(ids, sorted(ids))
                self.assertEqual(endpoint.forged, 0)
                tries = [each["webhook-id"] for each in endpoint.requests]
                self.assertEqual(sorted(set(tries), key=int), sorted({str(each) for each in ids}, key=int))
                self.assertEqual(len(tries), 2 * len(faults))
                self.assertEqual(node.metric("courier_sink_given_up_total", sink="audit"), 0)

    def test_an_endpoint_that_hangs_holds_nobody_up(self):
        hangs, over = threading.Event(), threading.Event()

        def answer(_):
            if hangs.is_set():
                over.wait()
            return 200

        def p99(backend, phone, name):
            waits = []
            for i in range(3000 if LONG else 600):
                began = time.monotonic()
                backend.publish("a", f"{name}{i}", 1).wait()
                phone.wait_for(f"{name}{i}")
                waits.append(time.monotonic() - began)
            return sorted(waits)[len(waits) * 99 // 100]

        with Endpoint(answer) as endpoint, WebhookNode(endpoint, ["publish", "delivery_complete"]) as node:
            phone = Client("phone", clean=False, expiry=600)
            phone.connect(node.where)
            phone.subscribe("a", qos=1)
            backend = Client("backend")
            backend.connect(node.where)
            quiet = p99(backend, phone, "quiet")
            hangs.set()
            hanging = p99(backend, phone, "hanging")
            print(f"p99 of a delivery: {quiet * 1000:.2f} ms, while the endpoint hangs {hanging * 1000:.2f} ms")
            self.assertGreater(node.metric("courier_outbox_bytes"), 10_000)
            self.assertLess(hanging, 1.2 * quiet if LONG else 10 * quiet + 0.1)
            hangs.clear()
            over.set()
            told = {each["message_id"] for each in node.events("publish")}
            wait_until("all is told", lambda: node.metric("courier_outbox_bytes") == 0)
            self.assertLessEqual(told, {each["message_id"] for each in node.events("delivery_complete")})

    def write(self, secret):
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "secrets"
        path.write_text(secret + "\n")
        return path


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
