"""courierd is killed again and again while messages flow; what a sink was told is held against what clients saw."""

import base64
import random
import threading
import time

from client import Closed, Phone, wait_until

KINDS = ["publish", "delivery_complete", "connect", "client_wakeup"]
# For a Node: payloads tell messages apart, and checkpoints come as often as kills.
SINK = "payload = true\n"
SETTINGS = "[store]\ncheckpoint_interval = \"200ms\""
PHONES = 4


class Backend(Phone):
    """Publishes to phones; what has no PUBACK it sends again, after each connect."""

    def __init__(self, doors):
        super().__init__("backend", doors)
        self.sent, self.acked = [], []

    def acknowledged(self, message):
        self.acked.append(message.payload)

    def publish_until(self, over):
        number = 0
        while not over.wait(0.004):
            if len(self.out) >= 30 or not self.connected:
                continue
            number += 1
            self.sent.append(str(number).encode())
            try:
                self.publish(f"to/phone{number % PHONES}", self.sent[-1], 1)
            except Closed:  # what has an id is sent again
                pass


def payloads(events):
    return {base64.b64decode(each["payload"]) for each in events}


def every_delivery_is_told(test, node, rounds, stream):
    """`stream` of an event: what is told in order has the same."""
    phones = [Phone(f"phone{i}", node.doors).start() for i in range(PHONES)]
    for phone in phones:
        wait_until(f"{phone.id} is connected", lambda: phone.connected)
        phone.subscribe(f"to/{phone.id}", qos=1)
    backend, over = Backend(node.doors).start(), threading.Event()
    wait_until("the backend is connected", lambda: backend.connected)
    publisher = threading.Thread(target=backend.publish_until, args=(over,))
    publisher.start()
    chance = random.Random(7)
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.5))
        node.kill()
        node.start()
    wait_until("it goes on", lambda: len(backend.acked) > 20)
    over.set()
    publisher.join()
    wait_until("all is acknowledged", lambda: not backend.out)
    acked = set(backend.acked)
    for kind in ("publish", "delivery_complete"):
        wait_until(f"each {kind} is told", lambda: acked <= payloads(node.events(kind)))
    events = node.events()
    # Each event once by its id, whatever its number of copies, and the same each time.
    first = {}
    for event in events:
        test.assertEqual(first.setdefault(event["id"], event), event)
    published = {each["message_id"]: each for each in first.values() if each["kind"] == "publish"}
    test.assertLessEqual(payloads(published.values()), set(backend.sent))
    for phone in phones:
        got = {each.encode() for each in phone.payloads()}
        for each in first.values():
            if each["kind"] == "delivery_complete" and each["client_id"] == phone.id:
                test.assertEqual(each["payload"], published[each["message_id"]]["payload"])
                test.assertIn(base64.b64decode(each["payload"]), got)
    newest = {}
    for event in first.values():  # in the order of first copies
        test.assertGreater(int(event["id"]), newest.get(stream(event), -1), event)
        newest[stream(event)] = int(event["id"])
    print(f"{rounds} kills: {len(acked)} messages acknowledged; {len(events)} events told, {len(events) - len(first)} of "
          "them again")
    for each in (backend, *phones):
        each.end()
