"""A TCP proxy that reads MQTT packets on their way from the broker to clients, and drops, doubles, swaps or damages
exactly as many PUBLISH packets as it is told to."""
import socket
import threading

PUBLISH = 3


def packets(connection):
    """Packets as bytes, until the connection ends."""
    buffer = b""
    while True:
        length, size = 0, None
        for i, byte in enumerate(buffer[1:5]):
            length |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                size = 2 + i + length
                break
        if size is not None and len(buffer) >= size:
            yield buffer[:size]
            buffer = buffer[size:]
            continue
        try:
            chunk = connection.recv(65536)
        except OSError:
            return
        if not chunk:
            return
        buffer += chunk


class Proxy:
    """`plan`: what happens to the n-th PUBLISH (from 0, over all connections): "drop", "double", "swap" (with the next
    one of the same connection), "damage"."""

    def __init__(self, broker, plan):
        self.broker, self.plan = broker, plan
        self.seen, self.done = 0, {kind: 0 for kind in ("drop", "double", "swap", "damage")}
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.broker)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self.meddle, args=(server, client), daemon=True).start()

    @staticmethod
    def forward(source, target):
        try:
            while chunk := source.recv(65536):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def what_happens(self):
        with self.lock:
            kind = self.plan.get(self.seen)
            self.seen += 1
            if kind:
                self.done[kind] += 1
            return kind

    def meddle(self, source, target):
        held = None
        try:
            for packet in packets(source):
                kind = self.what_happens() if packet[0] >> 4 == PUBLISH and held is None else None
                if kind == "drop":
                    continue
                if kind == "swap":
                    held = packet
                    continue
                if kind == "damage":
                    packet = packet[:-1] + bytes([packet[-1] ^ 0x40])
                target.sendall(packet)
                if kind == "double":
                    target.sendall(packet)
                if held is not None and packet[0] >> 4 == PUBLISH:
                    target.sendall(held)
                    held = None
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
