#!/usr/bin/env python3
"""A real courierd on a disk that is really full: RocksDB's own file system, and a small tmpfs of this test's own.

Usage: full_disk_test.py COURIERD COURIER [unittest arguments]

Runs itself again in a mount namespace, where it may mount; nothing of it is seen outside. Exit code 77: not possible
here.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

COURIERD = COURIER = ""
PATIENCE_SECONDS = 60  # of a loaded machine
DISK_BYTES, FREE_BYTES = 128 << 20, 8 << 20  # before the first start
# RocksDB writes a journal by the megabyte and cuts off the one that failed, but not those that came before it. Of a
# message of this size the first is written and the last is not: the torn end of the journal is there for us to mend.
MESSAGE_BYTES = 5 << 20
TOKEN = "fault-test-of-a-full-disk"
INSIDE = "COURIER_TEST_IN_MOUNT_NAMESPACE"
SKIPPED = 77


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-full-disk-"))
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", self.disk], check=True)
        self.running = []

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        subprocess.run(["umount", self.disk], check=True)
        for file in self.folder.glob("*.log"):
            file.unlink()
        self.disk.rmdir()
        self.folder.rmdir()

    def start(self):
        log = self.folder / f"{len(self.running)}.log"
        arguments = [COURIERD]
        # No checkpoint meanwhile: it is the journal's write that is to fail, in its middle.
        for override in (f"data_dir={self.disk}/data", "listener.mqtt.bind=127.0.0.1:0", "admin.bind=127.0.0.1:0",
                         f"admin.tokens={TOKEN}", "threads=2", "auth.allow_anonymous=true", f"log.file={log}",
                         "store.checkpoint_interval=1h", "drain_timeout=50s",
                         "limits.packet_bytes_max=16MB", "limits.output_bytes_max=16MB"):
            arguments += ["--set", override]
        process = subprocess.Popen(arguments)
        process.log = log
        self.running.append(process)
        line = self.until(lambda: next((l for l in self.said(process) if "courierd is ready" in l), None))
        self.port = int(re.search(r"mqtt=127\.0\.0\.1:(\d+)", line)[1])
        self.admin = "http://" + re.search(r"admin=(\S+)", line)[1]
        return process

    def said(self, process):
        self.assertIsNone(process.poll(), "it has ended")
        return process.log.read_text().splitlines() if process.log.exists() else []

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := condition()):
            self.assertLess(time.monotonic(), deadline, "it does not come")
            time.sleep(0.02)
        return value

    def get(self, path):
        request = urllib.request.Request(self.admin + path, headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def accepting(self):
        return int(re.search(r"^courier_log_accepting (\d)$", self.get("/metrics")[1], re.M)[1])

    def waiting(self):
        return json.loads(self.get("/v1/clients/away")[1])["inbox"]["messages"]

    def publish(self, payload):
        """Whether it was acknowledged."""
        return subprocess.run([COURIER, "pub", "-p", str(self.port), "-t", "t", "-q", "1", "-W", "5", "--quiet",
                               "-s"], input=payload.encode(), check=False,
                              stderr=subprocess.DEVNULL).returncode == 0

    def fill_disk(self):
        """Until the log can take no more; returns the running node and how many messages it has acknowledged."""
        # Before the start: RocksDB takes room for its journal in advance if there is any.
        with open(self.disk / "ballast", "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, DISK_BYTES - FREE_BYTES)
        process = self.start()
        subprocess.run([COURIER, "sub", "-p", str(self.port), "-i", "away", "-c", "-q", "1", "-t", "t", "-E"],
                       check=True)
        self.assertTrue(self.publish("first"))
        acknowledged = 1
        while self.publish("x" * MESSAGE_BYTES):
            acknowledged += 1
            self.assertLess(acknowledged * MESSAGE_BYTES, 2 * FREE_BYTES, "nothing was refused")
        self.until(lambda: self.get("/readyz")[0] == 503)
        self.assertEqual(self.accepting(), 0)
        return process, acknowledged

    def make_room(self):
        (self.disk / "ballast").unlink()

    def test_it_goes_on_by_itself_once_there_is_room(self):
        process, acknowledged = self.fill_disk()
        self.make_room()
        self.until(lambda: self.get("/readyz")[0] == 200)
        self.assertEqual(self.accepting(), 1)
        self.assertTrue(self.publish("the last"))
        self.until(lambda: self.waiting() >= acknowledged + 1)
        process.kill()
        process.wait()
        self.start()
        self.assertGreaterEqual(self.waiting(), acknowledged + 1)

    def test_sigterm_waits_for_no_disk_that_takes_no_writes(self):
        process, acknowledged = self.fill_disk()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE_SECONDS), 0)
        self.assertLess(time.monotonic() - began, 25)  # of 50 s that it has to drain; it takes two
        said = process.log.read_text()
        self.assertIn("the disk takes no writes; nothing acknowledged is lost", said)
        self.assertRegex(said, r"unacknowledged=\d+")
        self.assertIn("courierd has stopped", said)
        self.make_room()
        self.start()
        self.assertGreaterEqual(self.waiting(), acknowledged)


def run_inside():
    """Again in a namespace, if the machine allows that."""
    tries = [["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]]
    for unshare in tries:
        probe = [*unshare, "sh", "-c", 'd=$(mktemp -d) && mount -t tmpfs tmpfs "$d"; r=$?; umount "$d"; rmdir "$d"; exit $r']
        try:
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                os.execvpe(unshare[0], [*unshare, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
        except FileNotFoundError:
            break
    print("skipped: this machine lets us mount nothing, not even in a namespace of our own")
    sys.exit(SKIPPED)


if __name__ == "__main__":
    if INSIDE not in os.environ:
        run_inside()
    COURIERD, COURIER = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
    unittest.main(verbosity=1)
