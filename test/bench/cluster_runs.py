"""How each row of tools/bench-cluster is measured: functions that take the bench and return figures by name."""
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
from client import Client, Closed, Refused, wait_until  # noqa: E402
from cluster_site import Invalid, Site, between, connect_all, milliseconds, stage_of  # noqa: E402

PAIRS = 300
LEADERS_KILLED = 3
CROWD = 15_000
SLEEPING = 1_000_000
IDLE, IDLE_SECONDS = 3_000, 30
CONNECTED = 10_000
ROLES = ("shards", "feed", "etcd client", "mesh", "store", "other")
ANY = 10 ** 9  # as many lost messages as there are: a figure, then


# --- messages ---

def measured(site, scenario, seconds):
    """Figures of the stage "measure", the last one, which lasts a second longer than what is sampled."""
    with site.play(scenario) as play:
        play.wait_for_end_of("warm")
        time.sleep(0.5)
        before = site.sample()
        time.sleep(seconds)
        used = between(before, site.sample())
        tally = stage_of(play.finish(), "measure")
    messages = used["messages"]
    if not messages:
        raise Invalid("nothing was delivered")
    figures = {f"{key}_{which}": milliseconds(tally, metric, which)
               for key, metric in (("ack", "publish.ack"), ("e2e", "delivery.e2e"), ("lag", "generator.lag"))
               for which in ("p50", "p99")}
    figures |= {role: used.get(role, 0) / messages for role in ROLES}
    return figures | {
        "rate": messages / used["at"], "node_us": sum(used.get(role, 0) for role in ROLES) / messages,
        "etcd_us": used["etcd_us"] / messages, "records": used["records"] / messages,
        "batch": used["records"] / max(used["revisions"], 1), "revisions": used["revisions"] / used["at"],
        "log_bytes": used["log_bytes"] / messages, "node_disk": used["node_disk"] / messages / site.count,
        "etcd_disk": used["etcd_disk"] / messages / site.etcds}


def pairs(rate, qos=1, nodes=3, count=PAIRS, **site):
    def run(bench):
        with Site(bench, nodes=nodes, **site) as at:
            stages = (("warm", 3), ("measure", bench.seconds + 1))
            return measured(at, at.pairs(count, rate, qos, stages), bench.seconds)
    return run


# --- what dies ---

class Probe:
    """A phone of node n1 that comes back to n2 and a bearer of a will that does not, watched from n2."""

    def __init__(self, site):
        self.site = site
        self.phone = Client("probe-phone", clean=False, expiry=3600)
        self.bearer = Client("probe-bearer", will=("probe/will", "gone", 1, False, {}))
        self.judge, self.publisher = Client("probe-judge"), Client("probe-publisher")
        for one, node in ((self.phone, "n1"), (self.bearer, "n1"), (self.judge, "n2"), (self.publisher, "n2")):
            one.connect(site.at(node))
        self.phone.subscribe("probe/phone")
        self.judge.subscribe("probe/will")
        self.over = threading.Event()

    def publish_until_over(self):
        while not self.over.wait(0.02):
            self.publisher.publish("probe/phone", str(time.monotonic()), 1)

    def is_served(self, killed_at):
        if self.phone.connected and any(float(one) > killed_at for one in self.phone.payloads()):
            return True
        if not self.phone.connected:
            try:
                self.phone.connect(self.site.at("n2"), patience=2.0)
            except (OSError, Closed, Refused):
                pass
        return False

    def watch(self, killed_at, patience):
        """Seconds until the phone had a message that was published after the kill, and until the will came."""
        sender = threading.Thread(target=self.publish_until_over)
        sender.start()
        try:
            wait_until("the dead node's phone is served again", lambda: self.is_served(killed_at), patience)
            served = time.monotonic() - killed_at
            wait_until("the dead node's will comes", self.judge.payloads, patience)
            return served, time.monotonic() - killed_at
        finally:
            self.over.set()
            sender.join()

    def close(self):
        for one in (self.phone, self.judge, self.publisher):
            one.disconnect()


def node_killed(lease):
    def run(bench):
        with Site(bench, lease=f"{lease}s") as site:
            probe = Probe(site)
            scenario = site.pairs(90, 1000, 1, (("warm", 3), ("strike", lease + 10)), failover=True)
            with site.play(scenario) as play:
                play.wait_for_end_of("warm")
                time.sleep(1)
                dropped = site.total("courier_disconnects_total", ("n2", "n3"))
                killed_at = time.monotonic()
                site.kill("n1")
                served, will = probe.watch(killed_at, lease + 8)
                probe.close()
                time.sleep(max(0, killed_at + lease + 4 - time.monotonic()))
                dropped = site.total("courier_disconnects_total", ("n2", "n3")) - dropped
                result = play.finish(lost_max=ANY)
        tally, counts = stage_of(result, "strike"), result["total"]["counts"]
        return {"lost": counts.get("delivery.lost", 0), "duplicates": counts.get("delivery.duplicates", 0),
                "served": served, "will": will, "dropped": dropped,
                "catch_up": milliseconds(tally, "delivery.catch_up", "max") / 1e3,
                "ack": milliseconds(tally, "publish.ack", "max") / 1e3,
                "lag_p99": milliseconds(tally, "generator.lag", "p99")}
    return run


def leader_killed(election_ms):
    def run(bench):
        names = [f"strike-{i}" for i in range(LEADERS_KILLED)]
        with Site(bench, election_ms=election_ms) as site:
            scenario = site.pairs(90, 1000, 1, (("warm", 3), *((name, 10) for name in names)))
            with site.play(scenario) as play:
                play.wait_for_end_of("warm")
                dropped = site.total("courier_disconnects_total")
                for i, name in enumerate(names):
                    time.sleep(1)
                    leader = site.leader()
                    site.kill(leader)
                    time.sleep(5)
                    site.start_etcd(leader)
                    if i + 1 < len(names):
                        play.wait_for_end_of(name)
                dropped = site.total("courier_disconnects_total") - dropped
                result = play.finish(lost_max=ANY)
        stalls = [milliseconds(stage_of(result, name), "publish.ack", "max") / 1e3 for name in names]
        return {"lost": result["total"]["counts"].get("delivery.lost", 0), "stall": max(stalls),
                "median": statistics.median(stalls), "dropped": dropped,
                "lag_p99": max(milliseconds(stage_of(result, name), "generator.lag", "p99") for name in names)}
    return run


def crowd(site, brokers, count, over, stay_s, keep_alive="60s"):
    """Phones with a stored session and a subscription each, who come back when their broker goes."""
    return {"courier_load": 1, "name": f"{count} phones", "lag_max": "60s", "target": {"brokers": brokers},
            "groups": {"phones": {
                "count": count, "client_id": "phone-{n:07}", "reconnect": {"first": "1s", "max": "2s"},
                "mqtt": {"clean_session": False, "keepalive": keep_alive},
                "subscribe": [{"topic": "phone/{n:07}", "qos": 1}]}},
            "stages": [connect_all("phones", over=over), {"name": "stay", "duration": f"{stay_s}s", "steps": []}]}


def storm(bench):
    with Site(bench) as site:
        beside = site.pairs(50, 500, 1, (("warm", 3), ("measure", 20)), nodes=("n2", "n3"))

        def beside_it(what):
            with site.play(beside) as play:
                play.wait_for_end_of("warm")
                said = what()
                return milliseconds(stage_of(play.finish(), "measure"), "publish.ack", "p99"), said

        def strike():
            time.sleep(1)
            others = site.total("courier_clients_connected", ("n2", "n3"))
            killed_at = time.monotonic()
            site.kill("n1")
            while site.total("courier_clients_connected", ("n2", "n3")) < others + CROWD:
                time.sleep(0.1)
                if time.monotonic() > killed_at + 60:
                    raise Invalid("not everybody came back within a minute")
            return time.monotonic() - killed_at

        brokers = [site.url("n1", "n2"), site.url("n1", "n3")]
        with site.play(crowd(site, brokers, CROWD, over="10s", stay_s=120)) as phones:
            phones.wait_for_end_of("connect")
            quiet, _ = beside_it(lambda: None)
            busy, took = beside_it(strike)
        return {"seconds": took, "ratio": busy / quiet, "quiet_p99": quiet, "busy_p99": busy}


# --- what sleeps ---

def start_seconds(site, name):
    began = time.monotonic()
    site.start_node(name, wait=False)
    while not site.ready(name):
        if site.pid(name) is None:
            raise Invalid(f"{name} ended while starting")
        time.sleep(0.02)
    return time.monotonic() - began


def start(bench):
    """The first node's store is made row by row, as of what the log says then; the second node is given a copy."""
    with Site(bench, nodes=1, etcds=1, lease="3s") as site:
        time.sleep(3)
        empty = site.resident("n1")
        site.stop("n1")
        log = re.search(r"^id=(\S+)", site.etcdctl("get", "/courier/loopback/meta", "--print-value-only"), re.M)[1]
        revision = site.revision()
        data = site.dir / "n1" / "data"
        shutil.rmtree(data)
        subprocess.run([site.bin / "make_backlog", data, f"--sessions={SLEEPING}", "--messages=0", f"--log={log}",
                        f"--cursor={revision}"], check=True, stdout=subprocess.DEVNULL)
        # The log alone does not have them: who joins must be given the state.
        site.etcdctl("put", "/courier/loopback/trimmed", f"format=1\nrevision={revision}\n")
        stopped = start_seconds(site, "n1")
        time.sleep(3)  # what the start borrowed is given back
        asleep, disk = site.resident("n1"), site.files_bytes("n1")
        site.kill("n1")
        killed = start_seconds(site, "n1")
        site.count = 2
        joined = start_seconds(site, "n2")
        wait_until("both nodes have all sessions", lambda: site.total("courier_sessions") == 2 * SLEEPING, 5)
        return {"stopped": stopped, "killed": killed, "joined": joined, "rss": (asleep - empty) / SLEEPING,
                "disk": disk / SLEEPING}


def idle(bench):
    """Each phone pings every 10 s, three times."""
    with Site(bench) as site:
        scenario = crowd(site, [site.url(node) for node in site.names()], IDLE, "2s", IDLE_SECONDS + 20, "10s")
        with site.play(scenario) as phones:
            phones.wait_for_end_of("connect")
            time.sleep(10)  # what the connects changed is written
            files = sum(site.files_bytes(name) for name in site.names())
            before, revision = site.sample(), site.revision()
            time.sleep(IDLE_SECONDS)
            used, revisions = between(before, site.sample()), site.revision() - revision
            files = sum(site.files_bytes(name) for name in site.names()) - files
        return {"revisions": revisions, "records": used["records"], "files": files, "wal": used["wal_bytes"]}


def memory(bench):
    with Site(bench) as site:
        time.sleep(3)
        empty = {name: site.resident(name) for name in site.names()}

        def cpu_us():
            return {name: sum(site.cpu_us(name).values()) for name in (*site.names(), *site.etcd_names())}

        before = cpu_us()
        with site.play(crowd(site, [site.url("n1")], CONNECTED, "10s", 75)) as phones:
            phones.wait_for_end_of("connect")
            connects = between(before, cpu_us())
            time.sleep(30)  # what the connects borrowed is given back
            before = cpu_us()
            time.sleep(30)
            percent = {name: used / 30e4 for name, used in between(before, cpu_us()).items()}
            grown = {name: (site.resident(name) - empty[name]) / CONNECTED for name in site.names()}
        return {"connected": grown["n1"], "elsewhere": grown["n2"], "busy": percent["n1"], "idle": percent["n2"],
                "etcd": sum(percent[name] for name in site.etcd_names()),
                "connect_us": sum(connects[name] for name in site.names()) / CONNECTED,
                "connect_etcd_us": sum(connects[name] for name in site.etcd_names()) / CONNECTED}
