"""One courierd with a sink of events, on ports that are free."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[1] / "cluster")]
from client import wait_until  # noqa: E402
from ports import free_port  # noqa: E402

KINDS = ["connect", "connect_failed", "disconnect", "subscribe", "unsubscribe", "publish", "deliver", "delivery_complete",
         "drop", "offline_message", "client_wakeup", "client_offline", "client_gone", "session_expired"]


class Node:
    """with Node(bin_dir) as node: it runs, and is gone afterwards. Its sink is a file; `sink` are more lines of that."""

    def __init__(self, bin_dir, kinds=KINDS, settings="", sink=""):
        self.courierd = pathlib.Path(bin_dir) / "courierd"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-events-"))
        self.events_file = self.folder / "events.jsonl"
        self.port, self.admin = free_port(), free_port()
        self.config = self.folder / "courierd.toml"
        self.config.write_text(f"""
data_dir = "{self.folder}/data"
[[listener]]
name = "mqtt"
bind = "127.0.0.1:{self.port}"
[auth]
allow_anonymous = true
[admin]
bind = "127.0.0.1:{self.admin}"
[[sink]]
name = "audit"
events = {json.dumps(kinds)}
path = "{self.events_file}"
{sink}
{settings}
""")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.log()[-6000:], file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def where(self):
        return f"127.0.0.1:{self.port}"

    def doors(self):
        return [("node", self.where)]

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.courierd, "--config", self.config], stdout=log, stderr=log)
        wait_until("courierd is ready", self.ready)

    def ready(self):
        assert self.process.poll() is None, f"courierd ended: {self.log()[-2000:]}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def metric(self, name, **labels):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                head, _, value = line.rpartition(" ")
                if head.split("{")[0] == name and all(f'{key}="{each}"' in head for key, each in labels.items()):
                    return float(value)
        return None

    def events(self, *kinds):
        """All that the files have, the oldest first."""
        files = sorted(self.folder.glob("events.jsonl.*"), key=lambda each: -int(each.suffix[1:])) + [self.events_file]
        said = [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]
        return [each for each in said if not kinds or each["kind"] in kinds]

    def wait_for_event(self, what, **fields):
        return wait_until(f"an event {what}: {fields}", lambda: next(
            (each for each in self.events(what) if all(each.get(k) == v for k, v in fields.items())), None))
