#!/usr/bin/env python3
"""The admin API and the commands that use it, against a real broker: clients, traces, backups, a stopped node's data.

Usage: admin_test.py COURIERD COURIER [unittest arguments]
"""
import http.server
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

COURIERD = COURIER = ""
PATIENCE_SECONDS = 60  # of a loaded machine; nothing here takes a second on an idle one
TOKEN = "scenario-test-of-the-admin-api"


METRICS_PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/operations/metrics.md"
METRICS_HEAD = """# Metrics

<!-- Written from /metrics of a running node; a test compares. COURIER_REGENERATE=1 admin_test.py writes it anew. -->

`GET /metrics` of the admin port, Prometheus text format. What to alert on is in
[production.md](production.md). Labels are those of a node that has just started; a reason may join them later.

| Name | Type | Labels | Meaning |
|---|---|---|---|
"""


def metrics_page(exposition):
    """The names of /metrics as a page; what breaks a rule of the format is an error."""
    kinds, helps, labels, seen, family = {}, {}, {}, set(), None
    for line in exposition.splitlines():
        if line.startswith("# HELP "):
            _, _, family, text = line.split(" ", 3)
            assert family not in helps, f"{family}: HELP twice"
            assert text.endswith("."), f"{family}: HELP is no sentence"
            helps[family], labels[family] = text, {}
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and name not in kinds, f"{name}: TYPE twice, or apart from HELP"
            assert name.endswith("_total") == (kind == "counter"), f"{name} is a {kind}"
            kinds[name] = kind
        else:
            name, pairs, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            stem = re.sub(r"_(bucket|sum|count)$", "", name) if kinds[family] == "histogram" else name
            assert stem == family, f"{line}: stands below {family}"
            assert (name, pairs) not in seen, f"{line}: twice"
            seen.add((name, pairs))
            float(value.replace("+Inf", "inf"))
            for label, text in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', pairs or ""):
                if label != "le":
                    labels[family].setdefault(label, set()).add(text)
    rows = []
    for name in sorted(kinds):
        said = []
        for label, values in sorted(labels[name].items()):
            known = "" if label in ("listener", "version") else ": " + ", ".join(f"`{v}`" for v in sorted(values))
            said.append(f"`{label}`{known}")
        rows.append(f"| `{name}` | {kinds[name]} | {'; '.join(said)} | {helps[name]} |\n")
    return METRICS_HEAD + "".join(rows)


class Admin(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-admin-test-"))
        self.data = self.folder / "data"
        self.tokens = self.folder / "tokens"
        self.tokens.write_text(f"# of this test\n{TOKEN}\n")
        self.tokens.chmod(0o600)
        self.running = []

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.folder)

    def start(self, data=None, *overrides):
        """Starts a broker and waits until it is ready."""
        arguments = [COURIERD]
        for override in (f"data_dir={data or self.data}", "listener.mqtt.bind=127.0.0.1:0", "admin.bind=127.0.0.1:0",
                         f"admin.token_file={self.tokens}", "threads=2", "auth.allow_anonymous=true", *overrides):
            arguments += ["--set", override]
        # For the test that lets writes fail: they are to fail, and not to kill.
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        self.running.append(process)
        said = ""
        for line in iter(lambda: process.stdout.readline().decode(), ""):
            said += line
            if "courierd is ready" in line:
                self.port = int(re.search(r"mqtt=127\.0\.0\.1:(\d+)", line)[1])
                self.admin = "http://" + re.search(r"admin=(\S+)", line)[1]
                return process
        self.fail(f"not ready: {said}")

    def stop(self, process):
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(process.returncode, 0)

    def courier(self, *arguments, token=TOKEN, exit_code=0, admin=None):
        """Runs a command to its end; returns (stdout, stderr)."""
        environment = {**os.environ, "COURIER_ADMIN_URL": admin or getattr(self, "admin", ""),
                       "COURIER_ADMIN_TOKEN": token}
        done = subprocess.run([COURIER, *map(str, arguments)], capture_output=True, env=environment, text=True,
                              timeout=PATIENCE_SECONDS)
        self.assertEqual(done.returncode, exit_code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    def json(self, *arguments):
        return json.loads(self.courier(*arguments, "-o", "json")[0])

    def mqtt(self, command, *arguments):
        """`courier pub` or `sub`, left running."""
        process = subprocess.Popen([COURIER, command, "-p", str(self.port), *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := condition()):
            self.assertLess(time.monotonic(), deadline, "not in time")
            time.sleep(0.02)
        return value

    def subscribed(self, client_id, topic, *arguments):
        """A client with a stored session that has subscribed, connected."""
        process = self.mqtt("sub", "-i", client_id, "-c", "-q", "1", "-t", topic, *arguments)
        self.until(lambda: any(c["client_id"] == client_id and c["subscriptions"] == 1
                               for c in self.json("client", "ls", "--connected")))
        return process

    def offline(self, client_id):
        self.until(lambda: not self.json("client", "show", client_id)["connected"])

    def get(self, path, token=None):
        request = urllib.request.Request(self.admin + path)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    # --- health, metrics, tokens ---

    def test_probes_and_metrics_need_no_token(self):
        self.start()
        self.assertEqual(self.get("/livez"), (200, "alive\n"))
        self.assertEqual(self.get("/readyz"), (200, "ready\n"))
        status, text = self.get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("\ncourier_build_info{", text)
        self.assertIn("\ncourier_admin_requests_total{status=\"2xx\"} 2\n", text)

    def test_the_page_of_metrics_is_what_a_node_says(self):
        passwords = self.folder / "passwords"
        self.courier("passwd", passwords, "someone", "-b", "a password")
        self.start(None, f"auth.password_file={passwords}", "listener.mqtt.proxy_protocol=optional",
                   f"sink.audit.path={self.folder}/events.jsonl")
        page = metrics_page(self.get("/metrics")[1])
        if os.environ.get("COURIER_REGENERATE"):
            METRICS_PAGE.write_text(page)
        self.assertEqual(METRICS_PAGE.read_text(), page, "COURIER_REGENERATE=1 writes it anew")

    def test_the_api_is_refused_without_a_token_and_says_so(self):
        self.start()
        self.assertEqual(self.get("/v1/node")[0], 401)
        self.assertEqual(self.get("/v1/node", TOKEN)[0], 200)
        self.assertIn("--token-file", self.courier("client", "ls", token="", exit_code=4)[1])
        self.assertIn("not accepted", self.courier("client", "ls", token="x" * 20, exit_code=4)[1])
        self.courier("node", "status", "--token-file", self.tokens, token="")
        self.tokens.write_text("another-token-of-the-same-file\n")
        self.running[0].send_signal(1)
        self.until(lambda: self.get("/v1/node", "another-token-of-the-same-file")[0] == 200)
        self.assertEqual(self.get("/v1/node", TOKEN)[0], 401)

    def test_the_api_is_off_when_no_token_is_configured(self):
        self.start(None, "admin.token_file=")
        self.assertEqual(self.get("/v1/node", TOKEN)[0], 403)
        self.assertIn("[admin]", self.courier("node", "status", exit_code=4)[1])

    # --- node status ---

    def test_node_status_has_exit_codes_for_scripts(self):
        process = self.start()
        out, _ = self.courier("node", "status")
        self.assertRegex(out, r"state +ready\n")
        self.assertEqual(self.json("node", "status")["connections"], 0)
        self.stop(process)
        self.assertIn("Is courierd running", self.courier("node", "status", exit_code=3)[1])
        self.courier("node", "status", admin="gopher://127.0.0.1", exit_code=2)

    def test_node_status_is_unhealthy_when_the_node_is_not_ready(self):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps({"ready": False, "reason": "the log cannot be written: \x1b[31mdisk full",
                                   "log": {"accepting": False, "reason": "disk full"}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            out, _ = self.courier("node", "status", admin=f"http://127.0.0.1:{server.server_port}", exit_code=10)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        self.assertIn("NOT READY: the log cannot be written", out)
        self.assertNotIn("\x1b", out)

    def test_a_node_whose_disk_took_no_writes_goes_on_once_it_does(self):
        """Over RocksDB's own file system, which no test of the store with injected faults runs on."""
        # No checkpoint meanwhile: it is the journal's write that is to fail, in its middle.
        process = self.start(None, "store.checkpoint_interval=1h")
        self.courier("sub", "-p", self.port, "-i", "away", "-c", "-q", "1", "-t", "t", "-E")
        self.offline("away")
        publish = [COURIER, "pub", "-p", str(self.port), "-t", "t", "-q", "1", "-W", "5", "--quiet", "-m"]
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (60_000, hard))
        sent = 0
        while subprocess.run([*publish, "x" * 20_000], check=False).returncode == 0:
            sent += 1
            self.assertLess(sent, 100, "nothing was refused")
        self.until(lambda: self.get("/readyz")[0] == 503)
        self.courier("node", "status", exit_code=10)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        self.until(lambda: self.get("/readyz")[0] == 200)
        subprocess.run([*publish, "the last"], check=True)
        self.until(lambda: self.json("client", "show", "away")["inbox"]["messages"] >= sent + 1)
        self.stop(process)
        self.start()
        self.assertGreaterEqual(self.json("client", "show", "away")["inbox"]["messages"], sent + 1)

    # --- clients ---

    def test_clients_are_listed_shown_and_kicked(self):
        self.start()
        phone = self.subscribed("phone/1", "orders/#")
        tablet = self.subscribed("tablet", "orders/#")
        tablet.terminate()
        self.offline("tablet")
        self.courier("pub", "-p", self.port, "-t", "orders/1", "-m", "soup", "-q", "1")

        clients = self.json("client", "ls")
        self.assertEqual([(c["client_id"], c["connected"]) for c in clients], [("phone/1", True), ("tablet", False)])
        self.assertEqual(clients[1]["inbox"]["messages"], 1)
        self.assertEqual([c["client_id"] for c in self.json("client", "ls", "--offline")], ["tablet"])
        self.assertEqual([c["client_id"] for c in self.json("client", "ls", "-p", "phone")], ["phone/1"])
        out, err = self.courier("client", "ls", "-n", "1")
        self.assertRegex(out, r"CLIENT ID +STATE .*\nphone/1 +connected +20\S+Z +127\.0\.0\.1:\d+ +mqtt ")
        self.assertIn("more than 1", err)

        shown = self.json("client", "show", "phone/1")
        self.assertEqual([(s["filter"], s["qos"]) for s in shown["subscriptions"]], [("orders/#", 1)])
        self.assertRegex(self.courier("client", "show", "phone/1")[0], r"subscriptions +1\n +QoS 1  orders/#\n")
        self.assertIn("case-sensitive", self.courier("client", "show", "Phone/1", exit_code=1)[1])

        self.assertEqual(self.courier("client", "kick", "phone/1")[0], "phone/1 disconnected\n")
        self.assertNotIn("tablet disconnected", self.courier("client", "kick", "tablet", "none", exit_code=1)[0])
        phone.terminate()

    def test_bans_are_made_listed_and_removed(self):
        self.start()
        phone = self.subscribed("phone/1", "orders/#")
        self.assertRegex(self.courier("ban", "add", "--address", "192.0.2.0/24", "--for", "1h", "-r", "scans")[0],
                         r"^ban 1 holds until 20\S+Z\n$")
        self.assertEqual(self.courier("ban", "add", "--client-id", "phone/1")[0], "ban 2 holds for ever\n")
        self.offline("phone/1")  # at once
        self.courier("pub", "-p", self.port, "-i", "phone/1", "-t", "a", "-m", "b", exit_code=4)
        self.assertRegex(self.courier("client", "show", "phone/1")[0], r"\nban +id=2 ")
        out = self.courier("ban", "ls")[0]
        self.assertRegex(out, r"^ID +ADDRESS +CLIENT ID +UNTIL ")
        self.assertRegex(out, r"\n1 +192\.0\.2\.0/24 +20\S+Z .* scans\n")
        self.assertEqual([b["id"] for b in json.loads(self.courier("ban", "ls", "--json")[0])], [1, 2])
        self.assertIn("there are more than 1", self.courier("ban", "ls", "-n", "1")[1])
        self.assertIn("did you mean \"10.0.0.0/8\"?", self.courier("ban", "add", "-a", "10.1.2.3/8", exit_code=1)[1])
        self.assertIn("of one thing", self.courier("ban", "add", "-a", "10.1.2.3", "-u", "eve", exit_code=2)[1])
        self.assertIn("no time to ban for", self.courier("ban", "add", "-u", "eve", "--for", "soon", exit_code=2)[1])
        self.assertEqual(self.courier("ban", "rm", "2")[0], "ban 2 removed\n")
        self.assertIn("there is no ban 2", self.courier("ban", "rm", "2", exit_code=1)[1])
        self.courier("pub", "-p", self.port, "-i", "phone/1", "-t", "a", "-m", "b")
        phone.terminate()

    def test_trace_shows_the_packets_of_one_client_as_they_happen(self):
        self.start()
        environment = {**os.environ, "COURIER_ADMIN_URL": self.admin, "COURIER_ADMIN_TOKEN": TOKEN}
        trace = subprocess.Popen([COURIER, "client", "trace", "phone", "-o", "ndjson"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=environment)
        self.running.append(trace)
        lines = iter(lambda: json.loads(trace.stdout.readline()), None)
        self.assertEqual(next(lines), {"event": "started", "connected": False})
        self.courier("pub", "-p", self.port, "-i", "other", "-t", "a", "-m", "not of the phone")
        self.courier("pub", "-p", self.port, "-i", "phone", "-t", "a/b", "-m", "hello", "-q", "1")
        seen = []
        while not seen or not seen[-1].startswith("DISCONNECT"):
            line = next(lines)
            seen.append(line["packet"])
            self.assertIn(line["direction"], ("in", "out"))
        self.assertTrue(any(re.match(r'PUBLISH id=\d+ qos=1 retain=0 dup=0 topic="a/b" payload=5B', s) for s in seen), seen)
        self.assertTrue(any(s.startswith("PUBACK") for s in seen), seen)
        self.assertFalse(any("topic=\"a\"" in s for s in seen))
        trace.send_signal(2)
        self.assertEqual(trace.wait(PATIENCE_SECONDS), 0)
        self.courier("client", "trace", "nobody", "-W", "1", exit_code=5)

    # --- backup, restore, inspect ---

    def test_a_backup_of_a_running_node_comes_back(self):
        process = self.start()
        self.subscribed("phone", "orders/#").terminate()
        self.offline("phone")
        for i in range(3):
            self.courier("pub", "-p", self.port, "-t", f"orders/{i}", "-m", f"order {i}", "-q", "1")
        self.courier("pub", "-p", self.port, "-t", "menu", "-m", "soup", "-q", "1", "-r")
        copy = self.folder / "copy"
        self.assertRegex(self.courier("backup", copy)[0], r"copy: \d.*B, everything up to position \d+\n")
        self.assertIn("error", self.get("/v1/backup", TOKEN)[1])
        self.courier("backup", copy, exit_code=1)
        self.courier("pub", "-p", self.port, "-t", "orders/late", "-m", "after the backup", "-q", "1")
        self.courier("inspect", self.data, exit_code=1)  # in use
        self.stop(process)

        self.courier("restore", "--check", copy)
        self.courier("restore", copy, self.data, exit_code=1)  # holds something
        restored = self.folder / "restored"
        self.courier("restore", copy, restored)
        process = self.start(restored)
        sub = self.mqtt("sub", "-i", "phone", "-c", "-q", "1", "-t", "orders/#", "-C", "3")
        out, err = sub.communicate(timeout=PATIENCE_SECONDS)
        self.assertEqual(out, "order 0\norder 1\norder 2\n", err)
        self.stop(process)

    def test_inspect_shows_what_a_stopped_node_has(self):
        process = self.start()
        self.subscribed("phone", "orders/#").terminate()
        self.offline("phone")
        self.courier("pub", "-p", self.port, "-t", "orders/\u202eevil", "-m", "12345", "-q", "1")
        self.courier("pub", "-p", self.port, "-t", "menu", "-m", "soup", "-q", "1", "-r")
        self.subscribed("worker", "$share/crew/jobs").terminate()
        self.offline("worker")
        self.stop(process)
        out, _ = self.courier("inspect", self.data)
        self.assertRegex(out, r"\nsessions +2\n")
        self.assertRegex(out, r"\nmessages in inboxes +1\n")
        self.assertEqual([s["client_id"] for s in self.json("inspect", self.data, "sessions")], ["phone", "worker"])
        one = self.json("inspect", self.data, "session", "phone")
        self.assertEqual([m["topic"] for m in one["messages"]], ["orders/\u202eevil"])
        self.assertEqual(one["messages"][0]["payload_bytes"], 5)
        text, _ = self.courier("inspect", self.data, "session", "phone")
        self.assertIn("orders/\\u{202e}evil", text)
        self.assertEqual(self.json("inspect", self.data, "session", one["session_id"])["client_id"], "phone")
        self.assertEqual([r["topic"] for r in self.json("inspect", self.data, "retained")], ["menu"])
        groups = self.json("inspect", self.data, "groups")
        self.assertEqual([(g["name"], g["filter"], len(g["members"])) for g in groups], [("crew", "jobs", 1)])
        self.courier("inspect", self.data, "session", "nobody", exit_code=1)
        self.courier("inspect", self.folder / "nothing", exit_code=1)

    def test_inspect_shows_the_log_that_a_killed_node_left(self):
        process = self.start(None, "store.checkpoint_interval=1h")
        self.subscribed("phone", "orders/#")
        self.courier("pub", "-p", self.port, "-t", "orders/1", "-m", "12345", "-q", "1")
        process.kill()
        process.wait()
        records = self.json("inspect", self.data, "log")
        self.assertEqual(records[0]["record"], "NODE_DOWN")
        self.assertIn("ATTACH", [r["record"] for r in records])
        publish = next(r for r in records if r["record"] == "PUBLISH")
        self.assertIn('topic="orders/1" qos=1 retain=0 payload=5B', publish["facts"])
        _, err = self.courier("inspect", self.data, "sessions")
        self.assertIn("applied at the next start", err)


if __name__ == "__main__":
    COURIERD, COURIER = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
