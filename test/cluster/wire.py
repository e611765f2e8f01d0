"""MQTT 3.1.1 and 5.0 as bytes: what a client says, and what it hears. No sockets, no state.

Of the properties only those that the cluster's tests look at; others are kept by their number.
"""

import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(10, 15)

# Properties: number, and how its value is written.
KINDS = {0x01: "B", 0x02: "I", 0x03: "s", 0x08: "s", 0x09: "b", 0x0B: "v", 0x11: "I", 0x12: "s", 0x13: "H", 0x15: "s",
         0x16: "b", 0x17: "B", 0x18: "I", 0x19: "B", 0x1A: "s", 0x1C: "s", 0x1F: "s", 0x21: "H", 0x22: "H", 0x23: "H",
         0x24: "B", 0x25: "B", 0x26: "p", 0x27: "I", 0x28: "B", 0x29: "B", 0x2A: "B"}
SESSION_EXPIRY, WILL_DELAY, MESSAGE_EXPIRY, RECEIVE_MAXIMUM, ASSIGNED_ID = 0x11, 0x18, 0x02, 0x21, 0x12
REASON_STRING, SERVER_REFERENCE, USER_PROPERTY = 0x1F, 0x1C, 0x26


def varint(number):
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def properties(values):
    out = b""
    for number, value in (values or {}).items():
        kind = KINDS[number]
        out += varint(number)
        if kind == "p":
            out += text(value[0]) + text(value[1])
        else:
            out += varint(value) if kind == "v" else text(value) if kind in "sb" else struct.pack(">" + kind, value)
    return varint(len(out)) + out


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def connect(version, client_id, clean, keep_alive, will=None, props=None, login=None):
    """`will` is (topic, payload, qos, retain, properties), `login` (user name, password)."""
    flags = (2 if clean else 0) | (0xC0 if login else 0)
    if will:
        flags |= 4 | will[2] << 3 | (32 if will[3] else 0)
    body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    body += properties(props) if version == 5 else b""
    body += text(client_id)
    if will:
        body += (properties(will[4]) if version == 5 else b"") + text(will[0]) + text(will[1])
    if login:
        body += text(login[0]) + text(login[1])
    return packet(CONNECT << 4, body)


def publish(version, topic, payload, qos=0, retain=False, dup=False, packet_id=0, props=None):
    body = text(topic) + (struct.pack(">H", packet_id) if qos else b"") + (properties(props) if version == 5 else b"")
    return packet(PUBLISH << 4 | (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + payload)


def ack(kind, packet_id):
    return packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack(">H", packet_id))


def subscribe(version, packet_id, filters):
    body = struct.pack(">H", packet_id) + (properties({}) if version == 5 else b"")
    return packet(SUBSCRIBE << 4 | 2, body + b"".join(text(name) + bytes([qos]) for name, qos in filters))


def unsubscribe(version, packet_id, filters):
    body = struct.pack(">H", packet_id) + (properties({}) if version == 5 else b"")
    return packet(UNSUBSCRIBE << 4 | 2, body + b"".join(text(name) for name in filters))


PING = bytes([PINGREQ << 4, 0])


def disconnect(version, reason=0, props=None):
    return packet(DISCONNECT << 4, bytes([reason]) + properties(props) if version == 5 and (reason or props) else b"")


class Packet:
    """One that came: kind, flags, and of the rest what its kind has."""

    __slots__ = ("kind", "flags", "packet_id", "topic", "payload", "qos", "retain", "dup", "present", "codes", "props",
                 "asked_at", "read_at", "released_at")

    @property
    def code(self):
        return self.codes[0] if self.codes else 0


class Reader:
    """Bytes in, packets out."""

    def __init__(self, version):
        self.version = version
        self.data = bytearray()

    def feed(self, data):
        self.data += data
        while (one := self._take()) is not None:
            yield one

    def _take(self):
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self.data):
                return None
            length |= (self.data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if not self.data[at - 1] & 128:
                break
        if len(self.data) < at + length:
            return None
        first, body = self.data[0], bytes(self.data[at:at + length])
        del self.data[:at + length]
        return self._parse(first, body)

    def _parse(self, first, body):
        one = Packet()
        one.kind, one.flags = first >> 4, first & 15
        one.codes, one.props, one.packet_id, at = [], {}, 0, 0
        if one.kind == CONNACK:
            one.present, one.codes, at = bool(body[0] & 1), [body[1]], 2
            if self.version == 5:
                one.props, at = self._properties(body, at)
        elif one.kind == PUBLISH:
            one.qos, one.retain, one.dup = one.flags >> 1 & 3, bool(one.flags & 1), bool(one.flags & 8)
            length = struct.unpack_from(">H", body)[0]
            one.topic, at = body[2:2 + length].decode(), 2 + length
            if one.qos:
                one.packet_id, at = struct.unpack_from(">H", body, at)[0], at + 2
            if self.version == 5:
                one.props, at = self._properties(body, at)
            one.payload = body[at:]
        elif one.kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            one.packet_id = struct.unpack_from(">H", body)[0]
            one.codes = [body[2]] if len(body) > 2 else [0]
            if len(body) > 3:
                one.props, _ = self._properties(body, 3)
        elif one.kind in (SUBACK, UNSUBACK):
            one.packet_id, at = struct.unpack_from(">H", body)[0], 2
            if self.version == 5:
                one.props, at = self._properties(body, at)
            one.codes = list(body[at:])
        elif one.kind == DISCONNECT:
            one.codes = [body[0]] if body else [0]
            if len(body) > 1:
                one.props, _ = self._properties(body, 1)
        return one

    @staticmethod
    def _varint(body, at):
        value = shift = 0
        while True:
            value |= (body[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if not body[at - 1] & 128:
                return value, at

    def _properties(self, body, at):
        length, at = self._varint(body, at)
        end, out = at + length, {}
        while at < end:
            number, at = self._varint(body, at)
            kind = KINDS[number]
            if kind == "v":
                value, at = self._varint(body, at)
            elif kind in "sbp":
                size = struct.unpack_from(">H", body, at)[0]
                value, at = body[at + 2:at + 2 + size], at + 2 + size
                value = value.decode() if kind == "s" else value
                if kind == "p":
                    size = struct.unpack_from(">H", body, at)[0]
                    value, at = (value, body[at + 2:at + 2 + size]), at + 2 + size
            else:
                value, at = struct.unpack_from(">" + kind, body, at)[0], at + struct.calcsize(kind)
            out[number] = value
        return out, at
