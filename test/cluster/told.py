"""Who tells a sink of events, when nodes die: each delivery, in order, whichever node does it."""

import pathlib
import sys
import unittest

from client import wait_until
from stage import LONG, SETTINGS, Stage, say

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "events"))
import crashes  # noqa: E402
from endpoint import Endpoint  # noqa: E402

SINK = """
[[sink]]
name = "backend"
kind = "webhook"
url = "{}"
events = ["publish", "delivery_complete", "connect", "client_wakeup"]
payload = true
"""


class Victims:
    """As a node that dies, for crashes.py: each time another one, and every second time for longer than its lease."""

    def __init__(self, stage, endpoint):
        self.stage, self.endpoint = stage, endpoint
        self.doors, self.events = stage.doors(), endpoint.events
        self.kills, self.seen = 0, {}

    def kill(self):
        self.victim = self.stage.nodes()[self.kills % self.stage.count]
        self.kills += 1
        self.seen = {name: self.buried(name) for name in self.stage.nodes() if name != self.victim}
        self.stage.kill(self.victim)

    def start(self):
        if self.kills % 2 == 1:
            wait_until(f"the others miss {self.victim}",
                       lambda: any(self.buried(name) > before for name, before in self.seen.items()))
        took = self.stage.start_node_again(self.victim)
        say(f"{self.victim} was killed, and is ready {took:.1f} s after its start")

    def buried(self, name):
        return self.stage.logged(name).count("a node of the cluster is gone")


def test_events_told():
    """A webhook hears of each delivery, over kills of nodes, among them the one that tells it."""
    with Endpoint() as endpoint, Stage(settings=SETTINGS + SINK.format(endpoint.url)) as stage:
        crashes.every_delivery_is_told(unittest.TestCase(), Victims(stage, endpoint), 30 if LONG else 4,
                                       lambda event: event["client_id"])
