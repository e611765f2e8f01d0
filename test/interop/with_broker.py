#!/usr/bin/env python3
"""Starts courierd on a free port and an empty data directory, runs a command with "HOST PORT" appended, and ends
with the command's exit code.

Usage: with_broker.py COURIERD COMMAND [ARGUMENT…]
"""
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from ports import free_port  # noqa: E402

READY_SECONDS_MAX = 30


def start(courierd, folder, port, more_listeners=""):
    config = folder / "courierd.toml"
    config.write_text(f'data_dir = "{folder}/data"\n'
                      f'[[listener]]\nname = "mqtt"\nbind = "127.0.0.1:{port}"\n{more_listeners}'
                      '[auth]\nallow_anonymous = true\n[admin]\nbind = ""\n')
    log = open(folder / "courierd.log", "w")
    broker = subprocess.Popen([courierd, "--config", str(config)], stdout=log, stderr=log)
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until and broker.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return broker
        except OSError:
            time.sleep(0.01)
    sys.exit("courierd does not listen:\n" + (folder / "courierd.log").read_text())


def main():
    courierd, command = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="courier-interop-") as folder:
        folder = pathlib.Path(folder)
        port = free_port()
        broker = start(courierd, folder, port)
        try:
            code = subprocess.run([*command, "127.0.0.1", str(port)]).returncode
        finally:
            broker.send_signal(signal.SIGTERM)
            ended = broker.wait(timeout=30)
        if ended != 0:
            print(f"courierd ended with {ended}")
        if code != 0 or ended != 0:
            print((folder / "courierd.log").read_text())
        sys.exit(code or ended)


if __name__ == "__main__":
    main()
