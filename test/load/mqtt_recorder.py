"""A server that takes every MQTT 3.1.1 client, and writes down who connected when and what was published where to."""
import collections
import socket
import threading
import time

import mqtt_proxy

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 1, 3, 8, 12


def body_of(packet):
    start = 1
    while packet[start] & 0x80:
        start += 1
    return packet[start + 1:]


def text_at(body, at):
    end = at + 2 + int.from_bytes(body[at:at + 2], "big")
    return body[at + 2:end].decode(), end


class Recorder:
    def __init__(self):
        self.connected = collections.defaultdict(list)  # by client id: when
        self.topics = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                for packet in mqtt_proxy.packets(client):
                    client.sendall(self.answer(packet[0] >> 4, packet[0] >> 1 & 3, body_of(packet)))
            except OSError:
                pass

    def answer(self, kind, qos, body):
        if kind == CONNECT:
            with self.lock:
                self.connected[text_at(body, 10)[0]].append(time.monotonic())
            return b"\x20\x02\x00\x00"
        if kind == PUBLISH:
            topic, end = text_at(body, 0)
            with self.lock:
                self.topics.append(topic)
            return b"\x40\x02" + body[end:end + 2] if qos == 1 else b""
        if kind == SUBSCRIBE:
            return b"\x90\x03" + body[:2] + b"\x00"
        return b"\xd0\x00" if kind == PINGREQ else b""
