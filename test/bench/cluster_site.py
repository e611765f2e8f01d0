"""What tools/bench-cluster measures on: a cluster on this machine, what its processes have used, and `courier load` as
the generator, which keeps the books.

Between two samples stands what all processes spent; a load says by a line when a stage of its has ended, and so when to
take them.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from local_cluster import LocalCluster  # noqa: E402

SETTINGS = """
[auth]
allow_anonymous = true
[log]
level = "warn"
"""
# A thread's name -> what it does. gRPC's threads work for etcd's client.
ROLES = (("shard-", "shards"), ("feed", "feed"), ("etcd", "etcd client"), ("mesh", "mesh"), ("rocksdb", "store"),
         ("worker", "store"), ("grpc", "etcd client"), ("event_engine", "etcd client"), ("default-exec", "etcd client"),
         ("resolver", "etcd client"), ("timer_manager", "etcd client"))
PAYLOAD = {"size": "200B"}


class Invalid(Exception):
    """A run without a figure: something was lost, came twice, or went wrong."""


class Site(LocalCluster):
    """with Site(bench, …) as site: a cluster that is ready, and is gone afterwards."""

    def __init__(self, bench, nodes=3, etcds=3, lease="5s", election_ms=1000, on_disk=False):
        where = bench.disk if on_disk else bench.memory
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-cluster-", dir=where))
        super().__init__(self.folder / "c", bench.bin, lease=lease, settings=SETTINGS, etcds=etcds)
        self.count, self.election_ms = nodes, election_ms

    def __enter__(self):
        try:
            self.up(self.count, haproxy=False)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.known():
            if self.pid(name) is not None:
                self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_etcd(self, name, wait=True, extra=()):
        super().start_etcd(name, wait, (f"--election-timeout={self.election_ms}", *extra))

    def names(self):
        return [f"n{i + 1}" for i in range(self.count)]

    def etcd_names(self):
        return [f"e{i}" for i in self.etcd_numbers()]

    def leader(self):
        for name in filter(self.pid, self.etcd_names()):
            said = self.etcdctl("endpoint", "status", "-w", "json", endpoint=f"127.0.0.1:{self.port(name)}")
            status = json.loads(said)[0]["Status"]
            if status["leader"] == status["header"]["member_id"]:
                return name
        raise Invalid("etcd has no leader")

    def revision(self):
        said = self.etcdctl("endpoint", "status", "-w", "json", endpoint=f"127.0.0.1:{self.port('e1')}")
        return json.loads(said)[0]["Status"]["header"]["revision"]

    # --- what it has used ---

    def scrape(self, name):
        """{name of a metric, without labels: its sum}"""
        port = self.port(name, "admin" if name[0] == "n" else "client")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        sums = {}
        for line in lines:
            if line.startswith("#") or 'le="' in line:
                continue
            metric, _, value = line.rpartition(" ")
            if 'reason="client_disconnect"' in metric:
                continue  # those that went by themselves
            metric = metric.partition("{")[0]
            sums[metric] = sums.get(metric, 0) + float(value)
        return sums

    def total(self, metric, names=None):
        return sum(self.scrape(name).get(metric, 0) for name in names or filter(self.pid, self.names()))

    def cpu_us(self, name):
        """By role, of the threads that run."""
        spent = {}
        for task in pathlib.Path(f"/proc/{self.pid(name)}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                comm = (task / "comm").read_text().strip()
                role = next((role for start, role in ROLES if comm.startswith(start)), "other")
                used = int((task / "schedstat").read_text().split()[0]) / 1e3
                spent[role] = spent.get(role, 0) + used
        return spent

    def disk_bytes(self, name):
        """Written to a disk so far: nothing where files are in memory."""
        text = pathlib.Path(f"/proc/{self.pid(name)}/io").read_text()
        return int(re.search(r"^write_bytes: (\d+)", text, re.M)[1])

    def resident(self, name):
        text = pathlib.Path(f"/proc/{self.pid(name)}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+)", text, re.M)[1]) * 1024

    def files_bytes(self, name):
        total = 0
        for path in (self.dir / name / "data").rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_blocks * 512
        return total

    def sample(self):
        nodes, etcds = self.names(), self.etcd_names()
        scraped = [self.scrape(name) for name in nodes]
        of_etcd = [self.scrape(name) for name in etcds]
        sample = {"at": time.monotonic(), "etcd_us": sum(sum(self.cpu_us(name).values()) for name in etcds),
                  "node_disk": sum(self.disk_bytes(name) for name in nodes),
                  "etcd_disk": sum(self.disk_bytes(name) for name in etcds)}
        for name in nodes:
            for role, used in self.cpu_us(name).items():
                sample[role] = sample.get(role, 0) + used
        sample["messages"] = sum(one["courier_messages_delivered_total"] for one in scraped)
        sample["records"] = scraped[0]["courier_commit_batch_events_sum"]  # each node reads all of them
        sample["wal_bytes"] = sum(one["etcd_disk_wal_write_bytes_total"] for one in of_etcd)
        sample["log_bytes"] = sum(one["etcd_network_client_grpc_received_bytes_total"] for one in of_etcd)
        sample["revisions"] = of_etcd[0]["etcd_debugging_mvcc_current_revision"]
        return sample

    # --- load ---

    def url(self, node, *instead):
        """A broker of a scenario: that node, and where its clients go when it is away."""
        return "mqtt://" + ",".join(f"127.0.0.1:{self.port(each)}" for each in (node, *instead))

    def elsewhere(self, node):
        """The other nodes, those that come next in the circle first."""
        names = self.names()
        at = names.index(node)
        return names[at + 1:] + names[:at]

    def pairs(self, count, rate, qos, stages, nodes=None, failover=False):
        """Publisher i to subscriber i, each at another node. QoS 1: the subscriber has a stored session."""
        nodes = nodes or self.names()
        where = [nodes[i % len(nodes)] for i in range(count)] + [nodes[(i + 1) % len(nodes)] for i in range(count)]
        each = {"publish": {"group": "publishers", "rate": f"{rate}/s", "topic": "pair/{n}", "qos": qos,
                            "payload": PAYLOAD}}
        again = {"first": "200ms", "max": "1s"}
        return {
            "courier_load": 1, "name": f"{count} pairs, QoS {qos}, {rate}/s", "lag_max": "60s",
            "target": {"brokers": [self.url(node, *(self.elsewhere(node) if failover else ())) for node in where]},
            "groups": {
                "publishers": {"count": count, "client_id": "p-{n}", "reconnect": again},
                "subscribers": {"count": count, "client_id": "s-{n}", "mqtt": {"clean_session": not qos},
                                "reconnect": again, "subscribe": [{"topic": "pair/{n}", "qos": qos}]}},
            "stages": [connect_all("publishers", "subscribers", over="1s"),
                       *({"name": name, "duration": f"{seconds}s", "steps": [each]} for name, seconds in stages)]}

    def play(self, scenario):
        return Play(self.bin, scenario, self.folder)


def connect_all(*groups, over="0s", name="connect"):
    return {"name": name, "timeout": "300s", "steps": [{"connect": {"group": list(groups), "over": over}}],
            "until": {"connected": "100%"}}


class Play:
    """One `courier load` that runs; as a context it is ended with it."""

    def __init__(self, bin_dir, scenario, folder):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="load-", dir=folder))
        (self.folder / "scenario.yaml").write_text(json.dumps(scenario))
        self.process = subprocess.Popen([bin_dir / "courier", "load", "run", self.folder / "scenario.yaml",
                                         "--json", self.folder / "result.json"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.process.stderr.close()

    def wait_for_end_of(self, stage):
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith(f"stage {stage}:"):
                return time.monotonic()
        raise Invalid(f"the generator ended in stage {stage}: {' '.join(self.said[-3:]).strip()[-300:]}")

    def finish(self, lost_max=0):
        """The result, as `courier load` wrote it. Errors: it is worth nothing, or messages were lost."""
        self.said += self.process.stderr.readlines()
        self.process.wait()
        try:
            result = json.loads((self.folder / "result.json").read_text())
        except (OSError, ValueError) as error:
            raise Invalid(f"the generator wrote no result: {' '.join(self.said[-3:]).strip()[-300:]}") from error
        if result["outcome"] != "passed":
            raise Invalid(f"{result['outcome']}: {result['trouble'] or [one['trouble'] for one in result['stages']]}")
        counts = result["total"]["counts"]
        for wrong in ("delivery.lost", "delivery.out_of_order", "delivery.damaged"):
            if counts.get(wrong, 0) > lost_max:
                raise Invalid(f"{wrong} {counts[wrong]}")
        return result


def stage_of(result, name):
    return next(one["tally"] for one in result["stages"] if one["name"] == name)


def milliseconds(tally, metric, which):
    return tally["latencies"][metric][which] * 1e3 if metric in tally["latencies"] else 0.0


def between(before, after):
    return {key: value - before.get(key, 0) for key, value in after.items()}


def free_bytes(folder):
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
