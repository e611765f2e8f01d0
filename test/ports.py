"""Ports for the servers that tests start, out of blocks that src/net/test_ports.h describes: the same files, the same
locks, the same numbers."""

import fcntl
import os
import socket

FIRST, BLOCK, BLOCKS = 12000, 50, 400
LOCKS = "/tmp/courier_test_ports"

_lock = None  # open until the process ends
_block = 0
_next = 0


def _take_block():
    global _lock, _block
    if not os.path.isdir(LOCKS):
        os.makedirs(LOCKS, exist_ok=True)
        os.chmod(LOCKS, 0o777)  # other users run tests, too
    for i in range(BLOCKS):
        block = (os.getpid() + i) % BLOCKS
        lock = open(f"{LOCKS}/{block}", "a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _lock, _block = lock, FIRST + block * BLOCK
        return
    raise RuntimeError(f"every block of test ports is taken: see {LOCKS}")


def free_port():
    """One that nobody listens on, on the loopback address. The same one comes again after 50 others."""
    global _next
    if _lock is None:
        _take_block()
    for _ in range(BLOCK):
        port = _block + _next % BLOCK
        _next += 1
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("this test listens on all its ports")
