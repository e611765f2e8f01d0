"""Clients of a broker that is counted: they exchange messages in rounds that are the same every time.

A round's messages lie in the broker's sockets before it sees any: it is stopped (SIGSTOP) while they are sent, and the
round ends when all were delivered and acknowledged. So what a message costs does not hang on who was quicker, the
broker or its clients, nor on how busy the machine is.
"""
import contextlib
import dataclasses
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from ports import free_port  # noqa: E402

PATIENCE_S = 120
PAYLOAD = b"x" * 64
# No checkpoints: they come by the clock, and what they cost hangs on how much came between two.
CONFIG = """
data_dir = "{folder}/data"
threads = 1
[store]
checkpoint_interval = "1h"
[[listener]]
bind = "127.0.0.1:{port}"
[auth]
allow_anonymous = true
[admin]
bind = ""
[sys]
interval = "0s"
[log]
level = "warn"
"""


class Wrong(Exception):
    """The broker or a tool did what it should not; there is nothing to count."""


@dataclasses.dataclass
class Shape:
    """Who sends to whom: publisher i to subscriber i, or all to all, or to a shared group of all subscribers."""
    publishers: int
    subscribers: int
    qos: int = 0
    stored: bool = False
    pairs: bool = True
    shared: bool = False

    @property
    def deliveries(self):
        return self.publishers * (self.subscribers if not self.pairs and not self.shared else 1)


def text(of):
    return len(of).to_bytes(2, "big") + of


def packet(first, body):
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if rest == 0:
            return bytes([first]) + length + body


class Client:
    def __init__(self, port, name, stored, publishes):
        self.publishes = publishes
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.came = b""
        self.to_send = b""
        self.socket.sendall(packet(0x10, text(b"MQTT") + bytes([4, 0 if stored else 2, 0, 0]) + text(name)))
        self.expect(b"\x20\x02\x00\x00")

    def expect(self, answer):
        got = b""
        while len(got) < len(answer):
            more = self.socket.recv(len(answer) - len(got))
            if not more:
                raise Wrong("the broker hung up on a client")
            got += more
        if got != answer:
            raise Wrong(f"the broker answered {got.hex()}, not {answer.hex()}")

    def subscribe(self, topic, qos):
        self.socket.sendall(packet(0x82, b"\0\1" + text(topic) + bytes([qos])))
        self.expect(b"\x90\x03\0\1" + bytes([qos]))

    def send(self):
        if self.to_send:
            self.socket.sendall(self.to_send)
            self.to_send = b""


class Crowd:
    """`number` keeps it apart from the crowds that this broker had before."""

    def __init__(self, shape, number, pid, port):
        self.shape, self.pid = shape, pid
        # One pair alone needs no order: whatever it does, the broker wakes for each of its messages.
        self.in_rounds = shape.publishers + shape.subscribers > 2
        count = max(shape.publishers, shape.subscribers)
        topics = [b"d/%07d" % (number * 1000 + (i if shape.pairs else 0)) for i in range(count)]
        self.publish = [packet(0x30 | shape.qos << 1, text(topic) + (b"\0\1" if shape.qos else b"") + PAYLOAD)
                        for topic in topics]
        self.subscribers = [Client(port, b"s%d/%d" % (number, i), shape.stored, False) for i in range(shape.subscribers)]
        for client, topic in zip(self.subscribers, topics):
            client.subscribe(b"$share/group/" + topic if shape.shared else topic, shape.qos)
        self.publishers = [Client(port, b"p%d/%d" % (number, i), shape.stored, True) for i in range(shape.publishers)]
        self.poll = select.epoll()
        self.by_fd = {}
        for client in self.subscribers + self.publishers:
            self.by_fd[client.socket.fileno()] = client
            self.poll.register(client.socket.fileno(), select.EPOLLIN)

    def close(self):
        self.poll.close()
        for client in self.by_fd.values():
            client.socket.close()

    def rounds(self, count):
        for _ in range(count):
            self.round()
        return count * self.shape.deliveries

    def round(self):
        with stopped(self.pid) if self.in_rounds else contextlib.nullcontext():
            # What was delivered in the round before is acknowledged in this one.
            for client in self.subscribers:
                client.send()
            for client, publish in zip(self.publishers, self.publish):
                client.to_send = publish
                client.send()
        self.take_all()

    def take_all(self):
        missing = self.shape.deliveries + (self.shape.publishers if self.shape.qos else 0)
        until = time.monotonic() + PATIENCE_S
        while missing > 0:
            ready = self.poll.poll(1)
            for fd, _ in ready:
                missing -= self.take(self.by_fd[fd])
            if time.monotonic() > until:
                raise Wrong(f"{missing} packets did not come within {PATIENCE_S} s")
        if missing < 0:
            raise Wrong("more came than was sent")

    def take(self, client):
        """Packets that came whole. All that a subscriber gets has one length, and so has what a publisher gets."""
        came = client.socket.recv(1 << 20)
        if not came:
            raise Wrong("the broker hung up on a client")
        client.came += came
        first, size = (0x40, 4) if client.publishes else (0x30 | self.shape.qos << 1, len(self.publish[0]))
        count = len(client.came) // size
        for at in range(0, count * size, size):
            if client.came[at] != first:
                raise Wrong(f"an unexpected packet: {client.came[at:at + size].hex()}")
            if first != 0x40 and self.shape.qos:
                id_at = at + 2 + len(text(b"d/0000000"))
                client.to_send += b"\x40\x02" + client.came[id_at:id_at + 2]
        client.came = client.came[count * size:]
        return count


def states(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it ended just now
            yield (task / "stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def stopped(pid):
    """All threads of the process stand still."""
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + PATIENCE_S
    while any(state not in "Tt" for state in states(pid)):
        if time.monotonic() > until:
            raise Wrong("the broker does not stop")
        time.sleep(0.0002)
    yield
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def running(courierd, before=(), environment=None):
    """courierd on an empty directory, behind a command that execs or becomes it: its process and port."""
    with tempfile.TemporaryDirectory(prefix="courier-counts-") as folder:
        folder = pathlib.Path(folder)
        (folder / "data").mkdir()
        port = free_port()
        (folder / "courierd.toml").write_text(CONFIG.format(folder=folder, port=port))
        said = (folder / "said").open("w+")
        process = subprocess.Popen([*before, courierd, "--config", folder / "courierd.toml"], stdout=said, stderr=said,
                                   env={**os.environ, **(environment or {})})
        try:
            wait_until_up(process, port, said)
            yield process, port
        finally:
            for number in (signal.SIGCONT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
            process.wait()
            said.close()


def wait_until_up(process, port, said):
    until = time.monotonic() + PATIENCE_S
    while True:
        if process.poll() is not None or time.monotonic() > until:
            said.seek(0)
            raise Wrong(f"courierd did not start ({process.args[0]}):\n{said.read()}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
