#!/usr/bin/env python3
"""courier load as its users run it, against a real courierd.   load_test.py COURIERD COURIER [unittest arguments…]"""
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "interop"), str(ROOT / "test" / "load")]
import mqtt_proxy  # noqa: E402
import mqtt_recorder  # noqa: E402
import with_broker  # noqa: E402

COURIERD, COURIER = sys.argv[1:3]
WAIT = 60

# Who judges counts and no times may be late: the machine has other things to do beside. So do all here but those that
# ask what becomes of a generator that is too slow.
LENIENT = "lag_max: 20s"

PUSH = """
courier_load: 1
name: push
vars: {{ phones: 20, rate: 400/s, messages: 400, qos: 1, publish_qos: 1, version: "3.1.1", drain: 1s, lag_max: 20s }}
lag_max: ${{lag_max}}
target: {{ brokers: [ "mqtt://127.0.0.1:{port}" ] }}
groups:
  phones:
    count: ${{phones}}
    mqtt: {{ version: "${{version}}", clean_session: true }}
    subscribe: [ {{ topic: "phone/{{n}}", qos: "${{qos}}" }} ]
  backends: {{ count: 4, client_id: "backend-{{n}}" }}
stages:
  - name: connect
    timeout: 20s
    steps: [ {{ connect: {{ group: [phones, backends], over: 200ms }} }} ]
    until: {{ connected: 100% }}
  - name: push
    steps:
      - publish: {{ group: backends, rate: "${{rate}}", count: "${{messages}}", topic: "phone/{{pick}}", pick: {{ from: phones, distribution: sequential }}, qos: "${{publish_qos}}", payload: {{ size: 100B }} }}
drain: ${{drain}}
thresholds:
{thresholds}
"""

SEEDED = """
courier_load: 1
name: seeded
seed: {seed}
lag_max: 20s
target: {{ brokers: [ "mqtt://127.0.0.1:{port}" ] }}
groups:
  phones: {{ count: 60, client_id: "phone-{{n:03}}", subscribe: [ {{ topic: "phone/{{n}}" }} ] }}
  desk: {{ count: 3, client_id: "desk-{{n}}" }}
stages:
  - name: come
    timeout: 20s
    steps: [ {{ connect: {{ group: [phones, desk], over: 3s, shape: poisson }} }} ]
    until: {{ connected: 100% }}
  - name: flap
    duration: 1500ms
    steps:
      - flap: {{ group: phones, share: 30%, up: 100ms..600ms, down: 100ms, how: [disconnect] }}
      - publish: {{ group: desk, rate: 90/s, count: 90, topic: "phone/{{pick}}", pick: {{ from: phones, distribution: zipf }}, payload: {{ size: 50B }} }}
drain: 3s
"""


class Load(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-load-"))
        cls.port = with_broker.free_port()
        cls.broker = with_broker.start(COURIERD, cls.folder, cls.port)

    @classmethod
    def tearDownClass(cls):
        cls.broker.send_signal(signal.SIGTERM)
        cls.broker.wait(timeout=WAIT)
        shutil.rmtree(cls.folder)

    def write(self, text, name="scenario.yaml"):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def push(self, port=None, thresholds="  - all: delivery.lost == 0"):
        return self.write(PUSH.format(port=port or self.port, thresholds=thresholds))

    def start(self, *arguments, **more):
        environment = {**os.environ, "COURIER_LOAD_TOKEN": "secret", **more.pop("env", {})}
        return subprocess.Popen([COURIER, "load", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=environment, **more)

    def run_load(self, *arguments, code=0, env={}):
        process = self.start(*arguments, env=env)
        out, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, code, out + err)
        return out, err

    def play(self, scenario, *arguments, code=0, env={}):
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        self.run_load("run", scenario, "--json", str(result), *arguments, code=code, env=env)
        return json.loads(result.read_text())

    def counts(self, result):
        return {name: result["total"]["counts"].get(name, 0) for name in
                ("publish.sent", "publish.acked", "delivery.expected", "delivery.received", "delivery.lost",
                 "delivery.duplicates", "delivery.out_of_order", "delivery.damaged", "delivery.unexpected")}

    # --- what is counted ---

    def test_everything_arrives_and_is_counted(self):
        counts = self.counts(self.play(self.push()))
        self.assertEqual(counts, {"publish.sent": 400, "publish.acked": 400, "delivery.expected": 400,
                                  "delivery.received": 400, "delivery.lost": 0, "delivery.duplicates": 0,
                                  "delivery.out_of_order": 0, "delivery.damaged": 0, "delivery.unexpected": 0})

    def meddled(self, plan, *arguments):
        proxy = mqtt_proxy.Proxy(("127.0.0.1", self.port), plan)
        result = self.play(self.push(port=proxy.port, thresholds="  - all: publish.sent > 0"), *arguments)
        return proxy, self.counts(result)

    def test_exactly_what_a_proxy_drops_doubles_swaps_and_damages_is_reported(self):
        # Far enough apart that no two meet in one client's stream: 20 phones in turn, and 4 backends.
        plan = {n: kind for i, kind in enumerate(("drop", "double", "swap", "damage")) for n in range(10 + i * 7, 360, 90)}
        for qos, version, workers in ((0, "3.1.1", 1), (0, "5", 3), (1, "5", 1), (1, "3.1.1", 3)):
            with self.subTest(qos=qos, version=version, workers=workers):
                proxy, counts = self.meddled(plan, "--set", f"qos={qos}", "--set", f"version={version}",
                                             "--workers", str(workers))
                self.assertEqual(proxy.done, {"drop": 4, "double": 4, "swap": 4, "damage": 4})
                self.assertEqual(counts["publish.sent"], 400)
                self.assertEqual(counts["delivery.expected"], 400)
                self.assertEqual(counts["delivery.lost"], 8, "dropped, and damaged")
                self.assertEqual(counts["delivery.received"], 392)
                self.assertEqual(counts["delivery.duplicates"], 4)
                self.assertEqual(counts["delivery.damaged"], 4)
                self.assertEqual(counts["delivery.unexpected"], 0)

    def test_disorder_is_counted_within_a_publisher_and_topic(self):
        plan = {n: "swap" for n in (5, 50, 100)}
        proxy = mqtt_proxy.Proxy(("127.0.0.1", self.port), plan)
        result = self.play(self.push(port=proxy.port, thresholds="  - all: publish.sent > 0"),
                           "--set", "phones=1", "--set", "qos=0", "--set", "messages=200", "--set", "rate=200/s")
        counts = self.counts(result)
        # With four backends in turn, neighbours are of different publishers: swapping them is no disorder.
        self.assertEqual(proxy.done["swap"], 3)
        self.assertEqual(counts["delivery.out_of_order"], 0)
        self.assertEqual(counts["delivery.lost"], 0)
        scenario = pathlib.Path(self.push(port=proxy.port, thresholds="  - all: publish.sent > 0"))
        scenario.write_text(scenario.read_text().replace("count: 4, client_id", "count: 1, client_id"))
        proxy.seen, proxy.done["swap"] = 0, 0
        counts = self.counts(self.play(str(scenario), "--set", "phones=1", "--set", "qos=0", "--set", "rate=2000/s"))
        self.assertEqual(proxy.done["swap"], 3)
        self.assertEqual(counts["delivery.out_of_order"], 3)
        self.assertEqual(counts["delivery.lost"], 0)

    def test_what_is_lost_at_the_very_end_is_counted_too(self):
        for qos, workers in ((0, 1), (0, 3), (1, 3)):
            with self.subTest(qos=qos, workers=workers):
                proxy, counts = self.meddled({n: "drop" for n in range(395, 399)}, "--set", f"publish_qos={qos}", "--set", "drain=4s", "--workers", str(workers))
                self.assertEqual(proxy.done["drop"], 4)
                self.assertEqual((counts["delivery.expected"], counts["delivery.lost"]), (400, 4))

    def test_a_loss_counts_in_the_stage_that_sent_the_message(self):
        proxy = mqtt_proxy.Proxy(("127.0.0.1", self.port), {n: "drop" for n in (5, 50)})
        path = pathlib.Path(self.push(port=proxy.port, thresholds="  - push: delivery.lost == 0\n  - rest: delivery.lost == 0"))
        path.write_text(path.read_text().replace("\ndrain:", "\n  - { name: rest, duration: 200ms, steps: [] }\ndrain:"))
        verdicts = {each["stage"]: each["value"] for each in self.play(str(path), code=99)["verdicts"]}
        self.assertEqual(verdicts, {"push": 2, "rest": 0})

    def test_a_stage_is_judged_by_what_was_due_in_it(self):
        text = PUSH.format(port=self.port, thresholds="  - push: publish.ack max < 500ms\n  - rest: publish.sent == 0")
        text = text.replace("\ndrain:", "\n  - { name: rest, duration: 2s, steps: [] }\ndrain:")
        result = self.folder / "late.json"
        process = self.start("run", self.write(text), "--json", str(result), "--set", "messages=100", "--set", "rate=100/s")
        for line in process.stderr:
            if re.search(r" push .* [1-9]\d*/s sent", line):
                break
        self.broker.send_signal(signal.SIGSTOP)
        try:
            for line in process.stderr:
                if line.startswith("stage push"):
                    break
            time.sleep(0.7)  # what was due is answered in the next stage
        finally:
            self.broker.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 99, err)
        stages = {stage["name"]: stage["tally"] for stage in json.loads(result.read_text())["stages"]}
        self.assertGreater(stages["push"]["latencies"]["publish.ack"]["max"], 0.5)
        self.assertEqual((stages["push"]["counts"]["publish.acked"], stages["push"]["counts"]["delivery.received"]), (100, 100))
        self.assertEqual((stages["rest"]["counts"], stages["rest"]["latencies"]), ({}, {}))

    def shared(self, stored, workers):
        """Some are sent while members are there, some when the last of them has left."""
        version = 'mqtt: { version: "3.1.1", clean_session: %s }' % ("false" if stored else "true")
        result = self.play(self.write(f"""
courier_load: 1
name: share
{LENIENT}
target: {{ brokers: [ "mqtt://127.0.0.1:{self.port}" ] }}
groups:
  work: {{ count: 4, client_id: "w{workers}-{{n}}", {version}, subscribe: [ {{ topic: "$share/g{workers}{stored}/t/+", qos: 1 }} ] }}
  dispatch: {{ count: 3 }}
stages:
  - {{ name: come, timeout: 9s, steps: [ {{ connect: {{ group: [work, dispatch], over: 200ms }} }} ], until: {{ connected: 100% }} }}
  - {{ name: served, duration: 1500ms, steps: [ {{ publish: {{ group: dispatch, rate: 100/s, count: 100, topic: "t/{{n}}", qos: 1 }} }} ] }}
  - {{ name: leave, duration: 1500ms, steps: [ {{ disconnect: {{ group: work }} }} ] }}
  - {{ name: alone, duration: 1500ms, steps: [ {{ publish: {{ group: dispatch, rate: 100/s, count: 100, topic: "t/{{n}}", qos: 1 }} }} ] }}
thresholds: [ served: delivery.lost == 0 ]
drain: 1s
"""), "--workers", str(workers))
        return self.counts(result), result["lost_unknown"]

    def test_a_share_without_members_is_owed_what_stored_sessions_are(self):
        for workers in (1, 3):
            with self.subTest(workers=workers):
                counts, unknown = self.shared(False, workers)
                self.assertEqual((counts["delivery.expected"], counts["delivery.received"], counts["delivery.lost"], unknown), (100, 100, 0, 0))
                counts, unknown = self.shared(True, workers)
                self.assertEqual((counts["delivery.expected"], counts["delivery.received"], counts["delivery.lost"], unknown), (200, 100, 0, 100))

    def test_nothing_lost_of_nothing_owed_proves_nothing(self):
        result = self.play(self.push(thresholds="  - connect: delivery.lost == 0\n  - push: delivery.lost == 0"), code=99)
        self.assertEqual([(v["judged"], v["held"]) for v in result["verdicts"]], [(False, False), (True, True)])

    def test_qos_0_is_not_counted_as_unacknowledged(self):
        result = self.play(self.push(thresholds="  - push: publish.sent == 400\n  - push: publish.ack_ratio >= 100%"),
                           "--set", "publish_qos=0", code=99)
        self.assertEqual([v["judged"] for v in result["verdicts"]], [True, False])

    def stopped_while_pushing(self, seconds, *arguments):
        """The result of a run whose broker stood still from the middle of the last stage on."""
        result = self.folder / "stopped.json"
        process = self.start("run", self.push(thresholds="  - all: publish.sent > 0"), "--json", str(result), *arguments)
        for line in process.stderr:
            if re.search(r" push .* [1-9]\d*/s sent", line):
                break
        self.broker.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self.broker.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 0, out + err)
        return json.loads(result.read_text()), out

    def test_a_broker_that_stands_still_at_the_end_is_waited_for_and_seen(self):
        result, _ = self.stopped_while_pushing(3, "--set", "drain=20s")
        self.assertEqual(self.counts(result)["publish.acked"], 400)
        self.assertEqual(self.counts(result)["delivery.received"], 400)
        self.assertGreater(result["total"]["latencies"]["publish.ack"]["max"], 2)

    def test_what_was_never_acknowledged_is_said(self):
        result, out = self.stopped_while_pushing(4, "--set", "drain=1s")
        counts = self.counts(result)
        unanswered = result["total"]["counts"]["publish.unanswered"]
        self.assertGreater(unanswered, 0)
        self.assertEqual(counts["publish.acked"] + unanswered, 400)
        self.assertEqual(counts["delivery.expected"], counts["delivery.received"] + counts["delivery.lost"])
        self.assertIn(f"unanswered {unanswered}", out)

    def test_a_retained_copy_is_no_second_delivery(self):
        path = pathlib.Path(self.push(thresholds="  - all: delivery.duplicates == 0\n  - all: delivery.lost == 0"))
        again = """  - { name: away, duration: 300ms, steps: [ { disconnect: { group: phones } } ] }
  - { name: again, timeout: 10s, steps: [ { connect: { group: phones, over: 100ms } } ], until: { connected: 100% } }
  - { name: rest, duration: 500ms, steps: [] }
"""
        # Under topics of its own: they stay at the broker.
        text = path.read_text().replace("phone/", "kept/").replace("payload: {", "retain: true, payload: {")
        path.write_text(text.replace("\ndrain:", "\n" + again + "drain:"))
        counts = self.counts(self.play(str(path)))
        self.assertEqual((counts["delivery.expected"], counts["delivery.received"]), (400, 400))

    def test_overlapping_subscriptions_are_owed_one_message(self):
        for workers in (1, 3):
            for own, receivers in (("a/b", 5), ("$share/g/both/b", 6)):
                with self.subTest(workers=workers, own=own):
                    topic = "both/b" if "share" in own else "a/b"
                    result = self.play(self.write(f"""
courier_load: 1
name: overlap
{LENIENT}
target: {{ brokers: [ "mqtt://127.0.0.1:{self.port}" ] }}
groups:
  p: {{ count: 4, client_id: "op-{{n}}" }}
  r: {{ count: 5, client_id: "or-{{n}}", subscribe: [ {{ topic: "{topic[:-1]}#", qos: 1 }}, {{ topic: "{own}", qos: 1 }} ] }}
stages:
  - {{ name: come, timeout: 20s, steps: [ {{ connect: {{ group: [r, p], over: 100ms }} }} ], until: {{ connected: 100% }} }}
  - {{ name: go, steps: [ {{ publish: {{ group: p, rate: 400/s, count: 202, topic: "{topic}", qos: 1 }} }} ] }}
"""), "--workers", str(workers))
                    counts = self.counts(result)
                    self.assertEqual(counts["publish.sent"], 202, "exactly, also when workers have unequal parts")
                    self.assertEqual((counts["delivery.expected"], counts["delivery.received"]), (202 * receivers,) * 2)
                    self.assertEqual((counts["delivery.lost"], counts["delivery.duplicates"], counts["delivery.unexpected"]), (0, 0, 0))

    def test_what_an_expired_session_was_owed_is_not_lost(self):
        result = self.play(self.write(f"""
courier_load: 1
name: expiry
{LENIENT}
target: {{ brokers: [ "mqtt://127.0.0.1:{self.port}" ] }}
groups:
  p: {{ count: 4, client_id: "ep-{{n}}" }}
  r: {{ count: 20, client_id: "er-{{n}}", mqtt: {{ version: 5, clean_session: false, session_expiry: 1s }}, subscribe: [ {{ topic: "expiry/{{n}}", qos: 1 }} ] }}
stages:
  - {{ name: come, timeout: 20s, steps: [ {{ connect: {{ group: [r, p], over: 100ms }} }} ], until: {{ connected: 100% }} }}
  - name: go
    duration: 5s
    steps:
      - publish: {{ group: p, rate: 300/s, topic: "expiry/{{pick}}", pick: {{ from: r }}, qos: 1 }}
      - flap: {{ group: r, share: 60%, up: 300ms..900ms, down: 1500ms..3s, how: [disconnect] }}
  - {{ name: back, timeout: 20s, until: {{ connected: 100% }} }}
drain: 4s
"""))
        counts = self.counts(result)
        excused = result["total"]["counts"]["delivery.excused"]
        self.assertGreater(excused, 50)
        self.assertEqual((counts["delivery.lost"], result["lost_unknown"]), (0, 0))
        self.assertEqual(counts["delivery.expected"], counts["delivery.received"] + excused)

    def test_a_share_whose_members_come_and_go_loses_nothing_it_was_owed(self):
        for workers in (1, 3):
            for qos in (0, 1, 2):
                with self.subTest(workers=workers, qos=qos):
                    result = self.play(self.write(f"""
courier_load: 1
name: share
{LENIENT}
target: {{ brokers: [ "mqtt://127.0.0.1:{self.port}" ] }}
groups:
  p: {{ count: 4, client_id: "sp-{{n}}" }}
  r: {{ count: 6, client_id: "sr-{{n}}", subscribe: [ {{ topic: "$share/come-and-go/share/#", qos: {qos} }} ] }}
stages:
  - {{ name: come, timeout: 20s, steps: [ {{ connect: {{ group: [r, p], over: 100ms }} }} ], until: {{ connected: 100% }} }}
  - name: go
    duration: 3s
    steps:
      - publish: {{ group: p, rate: 800/s, topic: "share/{{n}}", qos: {qos} }}
      - flap: {{ group: r, share: 70%, up: 100ms..700ms, down: 50ms..400ms, how: [tcp_reset, disconnect] }}
"""), "--workers", str(workers))
                    counts = self.counts(result)
                    self.assertGreater(result["total"]["latencies"]["delivery.e2e"]["count"], 1000)
                    if qos == 1:
                        self.assertEqual(counts["delivery.received"], counts["publish.sent"], "what a leaver had moves on")
                    self.assertEqual(counts["delivery.lost"], 0)

    def test_flapping_twice_is_not_twice_the_flapping(self):
        flap = "steps: [ { flap: { group: phones, share: 100%, up: 400ms, down: 100ms, how: [disconnect] } } ] }\n"
        text = PUSH.format(port=self.port, thresholds="  - all: connect.failed == 0")
        begin, end = text.index("  - name: push\n"), text.index("\ndrain:") + 1
        text = text[:begin] + "".join(f"  - {{ name: f{n}, duration: 1900ms, {flap}" for n in range(3)) + text[end:]
        counts = [stage["tally"]["counts"].get("connect.ok", 0) for stage in self.play(self.write(text))["stages"]]
        # 20 clients, each of which goes at 0.4, 0.9 and 1.4 s, perhaps at 1.9 s too, and comes back each time.
        self.assertEqual(counts[0], 24)
        for count in counts[1:]:
            self.assertTrue(60 <= count <= 80, counts)

    def test_what_the_generator_does_not_get_round_to_is_not_passed_over(self):
        path = pathlib.Path(self.push(thresholds="  - all: publish.sent > 0"))
        path.write_text(path.read_text().replace("- name: push\n", "- name: push\n    duration: 300ms\n"))
        counts = self.play(str(path), "--set", "publish_qos=0", "--set", "rate=8000000/s", "--set", "messages=100000000",
                           "--set", "lag_max=100ms", code=4)["total"]["counts"]
        self.assertGreater(counts["publish.sent"] + counts["publish.unsent"], 0.3 * 8_000_000 * 0.99)

    # --- how it ends ---

    def test_a_broken_threshold_ends_with_99(self):
        out, _ = self.run_load("run", self.push(thresholds="  - all: publish.sent < 10\n  - push: delivery.lost == 0"), code=99)
        self.assertRegex(out, r"FAIL all: publish.sent < 10 +\(400\)")
        self.assertRegex(out, r"ok +push: delivery.lost == 0 +\(0\)")

    def test_a_scenario_that_makes_no_sense_ends_with_2_and_says_where(self):
        path = self.write(PUSH.format(port=self.port, thresholds="  - all: delivery.lots == 0").replace("steps:\n", "stepz:\n"))
        out, err = self.run_load("run", path, code=2)
        self.assertEqual(out, "")
        self.assertRegex(err, r"scenario.yaml:\d+:\d+: error: .*stepz.*did you mean \"steps\"")
        self.assertRegex(err, r"scenario.yaml:\d+:\d+: error: .*delivery.lots.*did you mean")

    def test_a_target_that_is_not_there_ends_with_3_at_once(self):
        began = time.monotonic()
        _, err = self.run_load("run", self.push(port=with_broker.free_port()), code=3)
        self.assertIn("refused", err)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_generator_that_was_too_slow_ends_with_4(self):
        process = self.start("run", self.push(), "--set", "rate=100/s", "--set", "lag_max=100ms")
        for line in process.stderr:
            if re.search(r" push .* [1-9]\d*/s sent", line):
                break
        process.send_signal(signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", self.port)) as s:  # two seconds, as a clock that does not sleep
            s.settimeout(2)
            try:
                s.recv(1)
            except TimeoutError:
                pass
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 4, out + err)
        self.assertIn("too slow", out)

    def test_an_interrupted_run_ends_with_130_and_a_report_that_says_so(self):
        result = self.folder / "interrupted.json"
        page = self.folder / "interrupted.html"
        process = self.start("run", self.push(), "--set", "messages=100000", "--json", str(result), "--html", str(page), "--workers", "2")
        for line in process.stderr:
            if "/s arrived" in line and " push " in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 130, out + err)
        written = json.loads(result.read_text())
        self.assertEqual(written["outcome"], "interrupted")
        self.assertGreater(written["total"]["counts"]["publish.sent"], 0)
        self.assertIn('"outcome":"interrupted"', page.read_text())

    def test_a_reader_that_goes_early_costs_no_result(self):
        for closed, code in (("stdout", 1), ("stderr", 0)):  # 1: the summary could not be written
            with self.subTest(closed=closed):
                result = self.folder / f"{closed}.json"
                process = self.start("run", self.push(), "--json", str(result))
                getattr(process, closed).close()
                # The other is read to its end.
                (process.stderr if closed == "stdout" else process.stdout).read()
                self.assertEqual(process.wait(timeout=WAIT), code)
                self.assertEqual(json.loads(result.read_text())["outcome"], "passed")

    def test_progress_fits_into_the_terminal(self):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen([COURIER, "load", "run", self.push()], stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # how Linux says that nobody holds the other side
            pass
        os.close(ours)
        self.assertEqual(process.wait(timeout=WAIT), 0)
        lines = re.sub(rb"\x1b\[K", b"", shown).decode().replace("\n", "\r").split("\r")
        self.assertTrue(any("p99" in line and "lag" in line for line in lines), lines)
        self.assertLess(max(map(len, lines)), 80, lines)

    def test_an_interrupt_is_heard_while_agents_are_silent(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            process = self.start("run", self.push(), "--agent", f"127.0.0.1:{silent.getsockname()[1]}")
            held = silent.accept()
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, err = process.communicate(timeout=WAIT)
        held[0].close()
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("interrupted", err)
        self.assertLess(time.monotonic() - began, 10)

    def test_files_that_cannot_be_are_told_with_the_reason_before_anything_connects(self):
        for file, words in (("/nonexistent.yaml", "No such file"), (str(self.folder), "Is a directory"), ("/dev/zero", "larger than"),
                            ("/dev/null", "expected")):
            with self.subTest(file=file):
                _, err = self.run_load("run", file, code=2)
                self.assertIn(words, err)
        _, err = self.run_load("run", self.push(port=1), "--json", "both", "--html", "both", code=2)
        self.assertIn("both cannot be both the figures and the report", err)
        nowhere = self.folder / "nowhere" / "result.json"
        _, err = self.run_load("run", self.push(port=1), "--json", str(nowhere), code=2)
        self.assertIn(f"{nowhere} cannot be written: No such file or directory", err)
        self.run_load("run", self.push(port=1), "--json", str(self.folder / "never.json"), code=3)
        self.assertFalse((self.folder / "never.json").exists())

    def test_until_says_how_far_it_was_from_holding(self):
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            path = pathlib.Path(self.push(port=silent.getsockname()[1]))
            path.write_text(path.read_text().replace("timeout: 20s", "timeout: 1500ms"))
            out, _ = self.run_load("run", str(path), code=3)
        self.assertIn("`until` did not hold within 1.5 s: 0 of 24 clients were connected and subscribed", out)

    def answering(self, answer):
        """The port of a server that takes connections, hears the first packet, says `answer` and hangs up; None: it is
        silent and holds the line."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(listener.close)
        held = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                    held.append(connection)
                    if answer is not None and connection.recv(4096):
                        connection.sendall(answer)
                        connection.close()
                except OSError:
                    if listener.fileno() < 0:
                        return

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    def test_what_a_target_says_that_speaks_no_mqtt_is_shown(self):
        http = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        running = {}
        for name, answer, words in (
                ("http", http, (r'it answers CONNECT with "HTTP/1\.1 400 Bad Request\\x0d\\x0a\\x0d\\x0a", which is not MQTT: \w+',
                                r"\d+ × the server broke the protocol")),
                ("garbage", b"\x1b[2J\xff\x00", (r'it answers CONNECT with "\\x1b\[2J\\xff\\x00", which is not MQTT',)),
                ("suback", b"\x90\x03\x00\x01\x00", (r"another packet before CONNACK",)),
                ("closes", b"", (r"it closes the connection when a client sends CONNECT",))):
            path = pathlib.Path(self.push(port=self.answering(answer)))
            scenario = self.write(path.read_text().replace("timeout: 20s", "timeout: 1s"), f"{name}.yaml")
            running[name] = (self.start("run", scenario, "--json", str(self.folder / f"{name}.json")), words)
        for name, (process, words) in running.items():
            out, err = process.communicate(timeout=WAIT)
            with self.subTest(name):
                self.assertEqual(process.returncode, 3, out + err)
                self.assertIn("unreachable: no connection to mqtt://127.0.0.1:", out)
                for each in words:
                    self.assertRegex(out, each)
                self.assertNotIn("\x1b", out)
                self.assertEqual(json.loads((self.folder / f"{name}.json").read_text())["outcome"], "unreachable")

    def test_a_target_that_never_answers_ends_with_3_by_the_stages_timeout_or_end(self):
        text = PUSH.format(port=self.answering(None), thresholds="  - all: delivery.lost == 0")
        waits = self.write(text.replace("timeout: 20s", "timeout: 1s"), "waits.yaml")
        lasts = self.write(text.replace("timeout: 20s", "duration: 1s").replace("    until: { connected: 100% }\n", ""), "lasts.yaml")
        began = time.monotonic()
        running = [self.start("run", scenario, *more) for scenario in (waits, lasts) for more in ((), ("--workers", "3"))]
        for process in running:
            out, err = process.communicate(timeout=WAIT)
            self.assertEqual(process.returncode, 3, out + err)
            self.assertIn("it takes connections, and answers nothing to CONNECT", out)
        self.assertLess(time.monotonic() - began, 30)

    def test_a_broker_that_refuses_everybody_was_reached(self):
        path = pathlib.Path(self.push(port=self.answering(b"\x20\x02\x00\x05")))
        path.write_text(path.read_text().replace("timeout: 20s", "timeout: 1s"))
        out, _ = self.run_load("run", str(path), code=99)
        self.assertRegex(out, r"\d+ × connect: not_authorized")

    # --- several processes, several machines ---

    def test_workers_and_agents_count_as_one_process_does(self):
        listening = with_broker.free_port()
        agent = self.start("agent", "--listen", f"127.0.0.1:{listening}")
        try:
            self.assertIn("waiting for leaders", agent.stderr.readline())
            alone = self.counts(self.play(self.push()))
            workers = self.play(self.push(), "--workers", "3")
            agents = self.play(self.push(), *["--agent", f"127.0.0.1:{listening}"] * 2)
            self.assertEqual(self.counts(workers), alone)
            self.assertEqual(self.counts(agents), alone)
            self.assertEqual((workers["workers"], agents["workers"]), (3, 2))
        finally:
            agent.terminate()
            agent.communicate(timeout=WAIT)
        self.assertEqual(agent.returncode, 0)

    def played_to_a_recorder(self, seed, workers):
        recorder = mqtt_recorder.Recorder()
        self.addCleanup(recorder.close)
        scenario = self.write(SEEDED.format(port=recorder.port, seed=seed), f"seeded-{seed}-{workers}.yaml")
        return recorder, self.start("run", scenario, "--workers", str(workers))

    def test_a_seed_is_the_same_story_whoever_plays_it(self):
        stories = {}
        for seed, workers in ((42, 1), (42, 3), (43, 1)):
            recorder, process = self.played_to_a_recorder(seed, workers)
            out, err = process.communicate(timeout=WAIT)
            self.assertEqual(process.returncode, 0, out + err)
            stories[seed, workers] = recorder
        alone, three, other = stories.values()
        clients = {f"phone-{n:03}" for n in range(60)} | {f"desk-{n}" for n in range(3)}
        flappers, picks = {}, {}
        for key, recorder in stories.items():
            self.assertEqual(set(recorder.connected), clients)
            flappers[key] = {name for name, times in recorder.connected.items() if len(times) > 1}
            picks[key] = sorted(recorder.topics)
            self.assertEqual(len(picks[key]), 90)
            self.assertIn(len(flappers[key]), range(5, 40))
        self.assertEqual(flappers[42, 3], flappers[42, 1])
        self.assertEqual(picks[42, 3], picks[42, 1])
        self.assertNotEqual(flappers[43, 1], flappers[42, 1])
        self.assertNotEqual(picks[43, 1], picks[42, 1])
        # Who came clearly earlier than another did so again; with another seed many did not.
        def reversed_pairs(recorder):
            first = {name: times[0] for name, times in alone.connected.items()}
            again = {name: times[0] for name, times in recorder.connected.items()}
            pairs = [(a, b) for a in clients for b in clients if first[b] - first[a] > 1]
            self.assertGreater(len(pairs), 100)
            return sum(again[a] > again[b] for a, b in pairs)

        self.assertEqual(reversed_pairs(three), 0)
        self.assertGreater(reversed_pairs(other), 50)

    def test_an_agent_serves_only_who_knows_the_token(self):
        listening = with_broker.free_port()
        agent = self.start("agent", "--listen", f"127.0.0.1:{listening}")
        try:
            agent.stderr.readline()
            _, err = self.run_load("run", self.push(), "--agent", f"127.0.0.1:{listening}", code=3,
                                   env={"COURIER_LOAD_TOKEN": "wrong"})
            self.assertIn("token", err)
            # And what speaks no language of ours is let go.
            with socket.create_connection(("127.0.0.1", listening)) as s:
                s.settimeout(WAIT)
                s.recv(4096)
                s.sendall(b"GET / HTTP/1.1\r\n\r\n")
                while s.recv(4096):
                    pass
        finally:
            agent.terminate()
            agent.communicate(timeout=WAIT)

    def test_an_agent_for_everybody_needs_a_token(self):
        _, err = self.run_load("agent", "--listen", "0.0.0.0:0", code=2, env={"COURIER_LOAD_TOKEN": ""})
        self.assertIn("COURIER_LOAD_TOKEN", err)

    def test_a_lost_worker_makes_the_result_invalid(self):
        process = self.start("run", self.push(), "--set", "messages=100000", "--workers", "2")
        for line in process.stderr:
            if "/s arrived" in line and " push " in line:
                break
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self.assertEqual(len(children), 2)
        os.kill(int(children[0]), signal.SIGKILL)
        out, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 4, out + err)
        self.assertIn("worker", out)

    # --- beside it ---

    def test_check_connects_nowhere_and_says_what_it_costs(self):
        out, _ = self.run_load("check", self.push(port=1))
        self.assertIn("24 clients in 2 groups", out)
        self.assertRegex(out, r"push .*400 messages")
        self.assertRegex(out, r"connections +24")

    def test_every_quick_kind_runs_and_prints_a_scenario_that_runs(self):
        for kind in ("conn", "pub", "sub", "p2p", "fanout", "fanin", "offline"):
            with self.subTest(kind=kind):
                flags = ["-p", str(self.port), "-c", "20", "-d", "1", "--lag-max", "20000"]
                if kind not in ("conn", "sub"):
                    flags += ["-r", "100", "-s", "100"]
                out, _ = self.run_load("quick", kind, *flags)
                self.assertIn("passed", out)
                printed, _ = self.run_load("quick", kind, *flags, "--print")
                self.run_load("check", self.write(printed, "printed.yaml"))

    def test_compare_says_what_is_worse(self):
        good = self.folder / "good.json"
        self.play(self.push())
        shutil.copy(self.folder / "result.json", good)
        worse = json.loads(good.read_text())
        worse["total"]["counts"]["delivery.lost"] = 3
        bad = self.folder / "bad.json"
        bad.write_text(json.dumps(worse))
        self.run_load("compare", str(good), str(good))
        out, _ = self.run_load("compare", str(good), str(bad), code=99)
        self.assertRegex(out, r"delivery.lost +0 +3 +worse")
        _, err = self.run_load("compare", str(good), self.push(), code=2)
        self.assertIn("not a result", err)

    def test_the_schema_is_json(self):
        out, _ = self.run_load("schema")
        self.assertIn("courier_load", json.loads(out)["properties"])

    # --- the report, in a browser ---

    def in_browser(self, page, *flags):
        """What the browser made of the page; whatever it complains about fails the test."""
        done = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               f"--user-data-dir={self.folder}/browser", "--enable-logging=stderr", "--window-size=1200,2600",
                               "--virtual-time-budget=5000", *flags, f"file://{page}"],
                              capture_output=True, text=True, timeout=WAIT)
        complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        self.assertEqual(complaints, [])
        return done.stdout

    def test_a_browser_shows_the_report_with_its_plots(self):
        page = self.folder / "report.html"
        self.run_load("run", self.push(thresholds="  - push: delivery.lost == 0\n  - all: publish.sent < 10"), "--set", "rate=100/s",
                      "--html", str(page), "--json", str(self.folder / "report.json"), code=99)
        dom = self.in_browser(page, "--dump-dom")
        self.assertIn("<title>push: failed</title>", dom)
        self.assertIn('<span class="outcome other" id="outcome">failed</span>', dom)
        self.assertIn("The generator itself was late by", dom)
        self.assertRegex(dom, r"held</td><td>push</td><td>delivery.lost == 0")
        self.assertRegex(dom, r"broken</td><td>all</td><td>publish.sent &lt; 10")
        plots = dict(re.findall(r"<figcaption>([^<]*?) <span>.*?</figcaption>(.*?)</figure>", dom, re.S))
        for title in ("Connections", "Connects", "Messages", "Delivery: from due to arrived", "Publish: from due to acknowledged",
                      "Connect: from due to CONNACK", "Loss and duplicates", "The generator's own lag",
                      "The generator's own CPU", "How long the slowest took"):
            lines = re.findall(r'<path d="([^"]+)"', plots[title])
            self.assertTrue(lines, f"{title} has no curve")
            self.assertNotRegex("".join(lines), "NaN|Infinity", title)
        self.assertRegex(dom, r'id="counts".*publish\.sent</td><td class="n">400')
        # The page that `report` makes of the figures is the same.
        again = self.folder / "again.html"
        self.run_load("report", str(self.folder / "report.json"), "-o", str(again))
        self.assertEqual(again.read_text(), page.read_text())
        # And it is something to look at: not one colour.
        shot = self.folder / "report.png"
        self.in_browser(page, f"--screenshot={shot}")
        self.assertGreater(shot.stat().st_size, 50_000)

    # --- the stories that ship ---

    def test_every_scenario_passes_at_a_small_size(self):
        small = {"morning-storm": "drivers=200", "steady-push": "phones=100", "broadcast": "listeners=100",
                 "fan-in": "devices=100", "flapping": "phones=100", "offline-drain": "messages=1000", "qos2": "phones=60",
                 "slow-consumers": "quick=90"}
        found = sorted((ROOT / "scenarios").glob("*.yaml"))
        self.assertEqual({f.stem for f in found}, set(small))
        for file in found:
            with self.subTest(file=file.name):
                text = file.read_text()
                # A tenth of the time; the story stays.
                for long, brief in (("duration: 20s", "duration: 2s"), ("duration: 15s", "duration: 2s"), ("duration: 10s", "duration: 1s"),
                                    ("hold: 20s", "hold: 2s"), ("over: 3s", "over: 1s"), ("over: 5s, from", "over: 1s, from"),
                                    ("up: 1s..5s, down: 500ms..3s", "up: 100ms..500ms, down: 100ms..300ms"), ("hold: 15s", "hold: 1s"), ("over: 5s, shape", "over: 1s, shape"),
                                    ('  scrape: [ "http://127.0.0.1:9464/metrics" ]\n', "")):
                    text = text.replace(long, brief)
                # Of a machine that does other things beside.
                text = re.sub(r"(generator.lag|delivery.e2e|delivery.catch_up|publish.ack) p99 < \d+m?s", r"\1 p99 < 20s", text)
                text += LENIENT + "\n"
                arguments = ["--set", small[file.stem], "--set", f"broker=mqtt://127.0.0.1:{self.port}"]
                if " rate:" in text.split("target:")[0]:
                    arguments += ["--set", "rate=100/s" if file.stem != "offline-drain" else "rate=1000/s"]
                _, err = self.run_load("run", self.write(text), *arguments)
                self.assertNotIn("warning", err)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2, warnings="ignore")
