"""What was promised and what came, and the rules that a broker is held to. Judges; drives nothing.

Who publishes writes down each message before it is sent (`sending`) and each acknowledgement as it comes; who
subscribes, each arrival. `judge` then says, for one who was subscribed all the time with a session that was never lost:

  - QoS 1 and 2: what was acknowledged has come; QoS 2 once; QoS 0 at most once.
  - Of one publisher and topic, first arrivals are in the order of sending.
  - Nothing has come that nobody sent, or that was refused, nor under another topic or with another QoS.
"""

import collections
import statistics
import threading
import time


class Sent:
    __slots__ = ("publisher", "seq", "topic", "qos", "acked_at", "code", "sent_at")


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # payload → Sent
        self.came = collections.defaultdict(list)  # subscriber → (payload, topic, qos, dup, when)
        self.acked_at = collections.defaultdict(list)  # publisher → times

    def sending(self, publisher, seq, topic, qos, payload):
        one = Sent()
        one.publisher, one.seq, one.topic, one.qos = publisher, seq, topic, qos
        one.acked_at, one.code, one.sent_at = None, None, time.monotonic()
        with self.lock:
            self.sent[payload] = one

    def acknowledged(self, payload, code):
        with self.lock:
            one = self.sent[payload]
            one.acked_at, one.code = time.monotonic(), code
            self.acked_at[one.publisher].append(one.acked_at)

    def arrived(self, subscriber, packet):
        entry = (packet.payload, packet.topic, packet.qos, packet.dup, time.monotonic())
        with self.lock:
            self.came[subscriber].append(entry)

    # --- looking ---

    def promised(self, topics=None):
        """Payloads that were acknowledged as taken."""
        with self.lock:
            return {payload for payload, one in self.sent.items()
                    if one.qos and one.acked_at and one.code < 0x80 and (topics is None or one.topic in topics)}

    def refused(self):
        with self.lock:
            return sum(1 for one in self.sent.values() if one.code is not None and one.code >= 0x80)

    def missing(self, subscriber, topics=None):
        promised = self.promised(topics)
        with self.lock:
            return promised - {entry[0] for entry in self.came[subscriber]}

    def acks(self):
        with self.lock:
            return sum(map(len, self.acked_at.values()))

    def stall(self, publisher, since):
        """The longest time without an acknowledgement from a moment on, in seconds."""
        with self.lock:
            times = [since] + [at for at in self.acked_at[publisher] if at >= since]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)

    def wait_median(self, since):
        """From sending to the last acknowledgement, in seconds, of what was sent from a moment on."""
        with self.lock:
            return statistics.median(one.acked_at - one.sent_at for one in self.sent.values()
                                     if one.qos and one.acked_at and one.sent_at >= since)

    def lost(self, publisher, subscriber, since=0.0):
        """How many QoS 0 messages of that publisher, sent from a moment on, have not come."""
        with self.lock:
            came = {entry[0] for entry in self.came[subscriber]}
            return sum(1 for payload, one in self.sent.items() if one.publisher == publisher and one.qos == 0
                       and one.sent_at >= since and payload not in came)

    def first_after(self, subscriber, moment):
        """When that subscriber first got something that was sent after `moment`; None: never."""
        with self.lock:
            times = [entry[4] for entry in self.came[subscriber]
                     if entry[0] in self.sent and self.sent[entry[0]].sent_at > moment]
        return min(times, default=None)

    def last(self, topic):
        """The latest payload of a topic that was acknowledged, as text."""
        with self.lock:
            good = [(one.seq, payload) for payload, one in self.sent.items()
                    if one.topic == topic and one.acked_at and one.code < 0x80]
        return max(good)[1].decode()

    # --- judging ---

    def judge(self, subscriber, topics=None):
        """Sentences about what is wrong; empty: nothing."""
        wrong = []
        lost = self.missing(subscriber, topics)
        if lost:
            wrong.append(f"{subscriber}: {len(lost)} acknowledged messages never came: {self._show(lost)}")
        with self.lock:
            came = list(self.came[subscriber])
        times = collections.Counter(entry[0] for entry in came)
        last = {}
        seen = set()
        for payload, topic, qos, dup, _ in came:
            one = self.sent.get(payload)
            if one is None:
                wrong.append(f"{subscriber}: got {payload[:60]}, which nobody sent")
                continue
            if topic != one.topic or qos != one.qos:
                wrong.append(f"{subscriber}: {payload[:60]} was sent to {one.topic} with QoS {one.qos} and came from "
                             f"{topic} with QoS {qos}")
            if one.code is not None and one.code >= 0x80:
                wrong.append(f"{subscriber}: got {payload[:60]}, which was refused with 0x{one.code:02x}")
            if payload in seen:
                continue
            seen.add(payload)
            way = (one.publisher, topic)
            if last.get(way, -1) > one.seq:
                wrong.append(f"{subscriber}: {payload[:60]} came after number {last[way]} of {topic}")
            last[way] = max(one.seq, last.get(way, -1))
        twice = [payload for payload, count in times.items()
                 if count > 1 and payload in self.sent and self.sent[payload].qos != 1]
        if twice:
            wrong.append(f"{subscriber}: {len(twice)} messages with QoS 0 or 2 came twice: {self._show(twice)}")
        return wrong[:20]

    def again(self, subscriber):
        """How many QoS 1 messages came more than once, which is allowed."""
        with self.lock:
            times = collections.Counter(entry[0] for entry in self.came[subscriber])
        return sum(1 for count in times.values() if count > 1)

    def _show(self, payloads):
        some = sorted(payloads, key=lambda each: (self.sent[each].publisher, self.sent[each].seq))[:6]
        return ", ".join(payload.decode().split(" ")[0] for payload in some)
