#!/usr/bin/env python3
"""A network that is slow, loses packets or is cut, between processes on one machine.

Every place (a courierd, an etcd, the clients) is a network namespace with an address of its own. Its only way out is a
TUN device; a process of this file reads what leaves each, and writes it to where it is addressed to, at once, later, or
never. It needs root and /dev/net/tun, but neither netem nor netfilter of the kernel. All is gone with that process.

  network = Network(["n1", "e1"])          # the process that calls this goes to a place of its own, "clients"
  subprocess.Popen([*network.launcher("n1"), ...])
  network.between(["n1"], ["e1"], loss=1)  # and nothing in the other direction
"""

import ctypes
import fcntl
import heapq
import itertools
import json
import os
import random
import selectors
import struct
import subprocess
import sys
import time

CLIENTS = "clients"
TUN = "/dev/net/tun"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES_MAX = 1 << 16
DESTINATION = slice(16, 20)  # in an IPv4 header


class Unavailable(Exception):
    """This machine does not let us have such a network."""


def address(place, places):
    return f"10.77.0.{places.index(place) + 1}"


def _in_this_namespace(call, *arguments):
    """unshare(2) and setns(2), of this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")


class Network:
    """Of the test. Made before it has threads: they are where it is."""

    def __init__(self, places):
        self.places = [CLIENTS, *places]
        self.switch = subprocess.Popen([sys.executable, __file__, *self.places], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        said = json.loads(self.switch.stdout.readline() or '{"error": "no answer"}')
        if "error" in said:
            self.end()
            raise Unavailable(f"no network namespaces with TUN devices here ({said['error']})")
        self.namespaces = {place: f"/proc/{self.switch.pid}/fd/{fd}" for place, fd in said.items()}
        with open(self.namespaces[CLIENTS]) as mine:
            _in_this_namespace("setns", mine.fileno(), CLONE_NEWNET)

    def end(self):
        self.switch.stdin.close()
        self.switch.wait()

    def address(self, place):
        return address(place, self.places)

    def launcher(self, place):
        return ["nsenter", f"--net={self.namespaces[place]}"]

    def between(self, some, others, loss=0.0, delay=0.0):
        """What goes from any of those to any of these, from now on: the share that is lost; seconds on the way."""
        json.dump([some, others, loss, delay], self.switch.stdin)
        self.switch.stdin.write("\n")
        self.switch.stdin.flush()
        self.switch.stdout.readline()  # it is so now

    def both_ways(self, some, others, **how):
        self.between(some, others, **how)
        self.between(others, some, **how)


class Switch:
    def __init__(self, places):
        self.places = places
        self.namespaces, self.devices = {}, {}
        self.ways = {}  # (from, to) → (loss, delay)
        self.late = []  # (when, number, device, packet), a heap
        self.number = itertools.count()
        for place in places:
            _in_this_namespace("unshare", CLONE_NEWNET)
            self.namespaces[place] = os.open("/proc/self/ns/net", os.O_RDONLY)
            device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"net0", IFF_TUN | IFF_NO_PI))
            subprocess.run(["ip", "-batch", "-"], check=True, text=True, input=(
                f"link set lo up\naddress add {address(place, places)}/24 dev net0\nlink set net0 up\n"))
            self.devices[place] = device
        self.by_address = {bytes(map(int, address(place, places).split("."))): place for place in places}

    def run(self):
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        for place, device in self.devices.items():
            selector.register(device, selectors.EVENT_READ, place)
        while True:
            wait = max(0.0, self.late[0][0] - time.monotonic()) if self.late else None
            for key, _ in selector.select(wait):
                if key.data:
                    self.pass_on(key.data)
                elif line := sys.stdin.readline():
                    some, others, loss, delay = json.loads(line)
                    self.ways.update({(one, other): (loss, delay) for one in some for other in others})
                    print(flush=True)
                else:
                    return
            while self.late and self.late[0][0] <= time.monotonic():
                _, _, device, packet = heapq.heappop(self.late)
                self.deliver(device, packet)

    def pass_on(self, place):
        for _ in range(64):  # then others have their turn
            try:
                packet = os.read(self.devices[place], PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            to = self.by_address.get(packet[DESTINATION]) if packet[0] >> 4 == 4 else None
            if to is None:
                continue
            loss, delay = self.ways.get((place, to), (0.0, 0.0))
            if loss and random.random() < loss:
                continue
            if delay:
                heapq.heappush(self.late, (time.monotonic() + delay, next(self.number), self.devices[to], packet))
            else:
                self.deliver(self.devices[to], packet)

    @staticmethod
    def deliver(device, packet):
        try:
            os.write(device, packet)
        except OSError:
            pass  # as a network may


def main():
    try:
        switch = Switch(sys.argv[1:])
        print(json.dumps(switch.namespaces), flush=True)
    except (OSError, subprocess.CalledProcessError) as failed:
        print(json.dumps({"error": str(failed)}), flush=True)
        return
    switch.run()


if __name__ == "__main__":
    main()
