"""MQTT clients that keep exact books: what they said, what was promised to them, what came.

`Client` does one thing at a time, as a test tells it: it never comes back by itself. `Phone` comes back, to the next
node that lets it in, with its session, and sends again what was not acknowledged, as the specification has it.

A reader thread per connection; `lock` guards what it shares with the test's thread.
"""

import collections
import socket
import threading
import time

import wire

PATIENCE = 30


class Closed(Exception):
    """The connection is not there (any more)."""


class Refused(Exception):
    """A CONNACK that says no."""

    def __init__(self, code, props=None):
        super().__init__(f"CONNACK 0x{code:02x} {(props or {}).get(wire.REASON_STRING, '')}")
        self.code, self.server = code, (props or {}).get(wire.SERVER_REFERENCE)


class Outbound:
    """A PUBLISH of ours on its way; `code` is the reason of its last acknowledgement, None until there was one."""

    __slots__ = ("packet_id", "topic", "payload", "qos", "retain", "props", "released", "code", "done")

    def wait(self, patience=PATIENCE):
        if not self.done.wait(patience):
            raise AssertionError(f"no acknowledgement of {self.payload[:40]} to {self.topic} within {patience} s")
        return self.code


def wait_until(what, condition, patience=PATIENCE):
    """Polls for something that can be seen from outside; returns what `condition` said at last."""
    until = time.monotonic() + patience
    while not (seen := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {patience} s")
        time.sleep(0.01)
    return seen


class Client:
    login = None  # user name and password, for all connections from when it is set

    def __init__(self, client_id, version=5, clean=True, expiry=0, keep_alive=0, will=None, acks=True,
                 receive_max=None, on_message=None):
        self.id, self.version, self.clean, self.expiry = client_id, version, clean, expiry
        self.keep_alive, self.will, self.acks = keep_alive, will, acks
        self.receive_max = receive_max
        self.on_message = on_message
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.out = collections.OrderedDict()  # packet id → Outbound: the session's, it outlives connections
        self.held = set()  # packet ids of QoS 2 that came and were not released: the session's, too
        self.inbox = []  # all PUBLISH packets that count, QoS 2 once
        self.newest = [0.0]  # when the latest CONNECT was sent that was let in, of all twins
        self.released = {}  # packet id → when its PUBREL was read last
        self.answers = {}
        self.next_id = 0
        self.socket = None
        self.closed = threading.Event()
        self.closed.set()
        self.reason = None  # of the DISCONNECT that came; None: there was none
        self.server = None  # that it named
        self.heard_at = 0.0
        self.present = None

    def twin(self):
        """The same client once more, with the same session: whoever connected last has it, others only listen."""
        other = Client(self.id, self.version, self.clean, self.expiry, self.keep_alive, self.will, self.acks,
                       self.receive_max, self.on_message)
        other.share(self)
        return other

    def share(self, first):
        self.lock, self.changed, self.newest = first.lock, first.changed, first.newest
        self.out, self.held, self.inbox, self.released = first.out, first.held, first.inbox, first.released

    # --- connections ---

    def connect(self, where, clean=None, patience=10.0):
        """To address:port. Returns the CONNACK. Errors: Refused, Closed, OSError."""
        address, _, port = where.rpartition(":")
        clean = self.clean if clean is None else clean
        props = {wire.SESSION_EXPIRY: self.expiry} if self.expiry else {}
        if self.receive_max:
            props[wire.RECEIVE_MAXIMUM] = self.receive_max
        asked_at = time.monotonic()
        one = socket.create_connection((address, int(port)), timeout=patience)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            one.sendall(wire.connect(self.version, self.id, clean, self.keep_alive, self.will, props,
                                     self.login))
            reader, early = wire.Reader(self.version), []
            while not early:
                data = one.recv(65536)
                if not data:
                    raise Closed(f"{self.id}: closed before the CONNACK")
                early = list(reader.feed(data))
        except (OSError, Closed):
            one.close()
            raise
        connack = early.pop(0)
        if connack.kind != wire.CONNACK or connack.code != 0:
            one.close()
            raise Refused(connack.code, connack.props)
        one.settimeout(None)
        with self.lock:
            self.socket, self.closed, self.reason = one, threading.Event(), None
            self.present, self.heard_at = connack.present, time.monotonic()
            self.newest[0] = max(self.newest[0], asked_at)
            if not connack.present:
                self.held.clear()
            threading.Thread(target=self._read, args=(one, reader, early, self.closed, asked_at, time.monotonic()),
                             daemon=True).start()
            try:  # in the order in which they were sent first, before anything new [MQTT-4.6.0-1]
                for message in self.out.values():
                    self._send_again(message)
            except Closed:
                pass  # the reader notices, too
        return connack

    def cut(self):
        """As if the network went: no DISCONNECT."""
        with self.lock:
            if self.socket:
                try:
                    self.socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.closed.wait(PATIENCE)

    def disconnect(self, reason=0, props=None):
        try:
            self._write(wire.disconnect(self.version, reason, props))
        except Closed:
            pass
        self.cut()

    @property
    def connected(self):
        return not self.closed.is_set()

    def _write(self, data):
        with self.lock:
            if self.socket is None or self.closed.is_set():
                raise Closed(self.id)
            try:
                self.socket.sendall(data)
            except OSError as broken:
                raise Closed(self.id) from broken

    def _send_again(self, message):
        if message.released:
            self._write(wire.ack(wire.PUBREL, message.packet_id))
        else:
            self._write(wire.publish(self.version, message.topic, message.payload, message.qos, message.retain, True,
                                     message.packet_id, message.props))

    # --- what a client says ---

    def _take_id(self):
        while True:
            self.next_id = self.next_id % 65535 + 1
            if self.next_id not in self.out and self.next_id not in self.answers:
                return self.next_id

    def publish(self, topic, payload, qos=0, retain=False, props=None):
        """At once; the Outbound is done when it was acknowledged. With QoS 0 it is done when it was written."""
        message = Outbound()
        message.topic, message.qos, message.retain, message.props = topic, qos, retain, props
        message.payload = payload.encode() if isinstance(payload, str) else payload
        message.released, message.code, message.done = False, None, threading.Event()
        with self.lock:
            message.packet_id = self._take_id() if qos else 0
            if qos:
                self.out[message.packet_id] = message
            else:
                message.code = 0
                message.done.set()
            self._write(wire.publish(self.version, topic, message.payload, qos, retain, False, message.packet_id,
                                     props))
        return message

    def _ask(self, make, patience):
        with self.lock:
            packet_id = self._take_id()
            self.answers[packet_id] = None
            self._write(make(packet_id))
        until = time.monotonic() + patience
        with self.changed:
            while self.answers[packet_id] is None:
                if self.closed.is_set():
                    self.answers.pop(packet_id)
                    raise Closed(self.id)
                if not self.changed.wait(until - time.monotonic()):
                    raise AssertionError(f"{self.id}: no answer within {patience} s")
            return self.answers.pop(packet_id)

    def subscribe(self, *filters, qos=1, patience=PATIENCE):
        codes = self._ask(lambda i: wire.subscribe(self.version, i, [(one, qos) for one in filters]), patience).codes
        assert codes == [qos] * len(filters), f"{self.id}: SUBACK {codes}"

    def unsubscribe(self, *filters, patience=PATIENCE):
        self._ask(lambda i: wire.unsubscribe(self.version, i, filters), patience)

    def ping(self):
        self._write(wire.PING)

    def acknowledge(self, packet):
        """For a client that was made with acks=False."""
        self._write(wire.ack(wire.PUBACK if packet.qos == 1 else wire.PUBREC, packet.packet_id))

    # --- what it hears ---

    def payloads(self):
        with self.lock:
            return [one.payload.decode() for one in self.inbox]

    def wait_for(self, *payloads, patience=PATIENCE):
        wanted = collections.Counter(payloads)
        wait_until(f"{self.id} has {payloads}, got {self.payloads()[-20:]}",
                   lambda: not wanted - collections.Counter(self.payloads()), patience)

    def _read(self, one, reader, early, closed, asked_at, let_in_at):
        try:
            for packet in early:
                self._take(packet, asked_at, let_in_at)
            while data := one.recv(65536):
                self.heard_at = time.monotonic()
                for packet in reader.feed(data):
                    self._take(packet, asked_at, let_in_at)
        except (OSError, Closed):
            pass
        with self.changed:
            one.close()
            closed.set()
            self.changed.notify_all()

    def _take(self, packet, asked_at, let_in_at):
        """One thread at a time of all twins; one that knows of a newer connection does not speak any more."""
        packet.asked_at, packet.read_at = asked_at, time.monotonic()
        with self.lock:
            if self.newest[0] <= let_in_at or packet.kind == wire.DISCONNECT:
                self._handle(packet)

    def _handle(self, packet):
        kind = packet.kind
        if kind == wire.PUBLISH:
            new = packet.qos != 2 or packet.packet_id not in self.held
            if packet.qos == 2:
                self.held.add(packet.packet_id)
            if new:
                packet.released_at = self.released.get(packet.packet_id, 0.0)
                self.inbox.append(packet)
                if self.on_message:
                    self.on_message(self, packet)
            if packet.qos and self.acks:
                self.acknowledge(packet)
        elif kind == wire.PUBREL:
            self.held.discard(packet.packet_id)
            self.released[packet.packet_id] = packet.read_at
            self._write(wire.ack(wire.PUBCOMP, packet.packet_id))
        elif kind == wire.PUBREC and packet.code < 0x80:
            if packet.packet_id in self.out:
                self.out[packet.packet_id].released = True
            self._write(wire.ack(wire.PUBREL, packet.packet_id))
        elif kind in (wire.PUBACK, wire.PUBREC, wire.PUBCOMP):
            message = self.out.pop(packet.packet_id, None)
            if message:  # PUBCOMP 0x92 is no refusal: what was released before the connection broke is forgotten
                message.code = 0 if kind == wire.PUBCOMP else packet.code
                self.acknowledged(message)
                message.done.set()
        elif kind in (wire.SUBACK, wire.UNSUBACK):
            if packet.packet_id in self.answers:
                self.answers[packet.packet_id] = packet
            self.changed.notify_all()
        elif kind == wire.DISCONNECT:
            self.reason, self.server = packet.code, packet.props.get(wire.SERVER_REFERENCE)

    def acknowledged(self, message):
        """For those who keep books."""


class Phone(Client):
    """Comes back when its connection breaks. `doors` is a function: (node, where) in the order to try.

    `history` has (when, what, node, detail): "up" with session present, "down" with the DISCONNECT's reason or
    "silence", "no" with what a failed attempt said.
    """

    PING_EVERY = 1.0
    SILENCE_MAX = 2.5

    def __init__(self, client_id, doors, **more):
        super().__init__(client_id, clean=False, **{"expiry": 3600, **more})
        self.doors = doors
        self.node = None
        self.history = []
        self.lost_sessions = 0
        self._ever = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def end(self):
        self._end.set()
        self._thread.join(PATIENCE)
        self.disconnect()

    def note(self, what, node, detail):
        self.history.append((time.monotonic(), what, node, detail))

    def drops(self, since=0.0):
        return [each for each in self.history if each[1] == "down" and each[0] >= since]

    def _live(self):
        while not self._end.is_set():
            for node, where in self.doors():
                if self._end.is_set():
                    return
                try:
                    connack = self.connect(where, patience=2.0)
                except (OSError, Closed, Refused) as failed:
                    self.note("no", node, str(failed))
                    self._end.wait(0.02)
                    continue
                self.node = node
                self.note("up", node, connack.present)
                if connack.present != self._ever:
                    self.lost_sessions += 1
                self._ever = True
                self.arrived(connack)
                silence = self._stay()
                if not self._end.is_set():
                    self.note("down", node, "silence" if silence else self.reason)
                break

    def _stay(self):
        """Until the connection is gone, or silent (True): a phone that hears no PINGRESP goes elsewhere."""
        pinged = time.monotonic()
        while not self.closed.wait(0.05) and not self._end.is_set():
            now = time.monotonic()
            try:
                if now - pinged >= self.PING_EVERY:
                    pinged = now
                    self.ping()
            except Closed:
                continue
            if now - self.heard_at > self.SILENCE_MAX:
                self.cut()
                return True
        return False

    def arrived(self, connack):
        """After each CONNACK; for subscriptions that are made once."""
