#!/usr/bin/env python3
"""`courier test SERVER`: against courierd and mosquitto, and against what is no MQTT server.

Usage: probe_test.py COURIERD COURIER [unittest arguments]
"""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from ports import free_port  # noqa: E402

COURIERD = COURIER = ""
PATIENCE_SECONDS = 120
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


class Server(threading.Thread):
    """Accepts whoever comes and does `with_it`."""

    def __init__(self, with_it):
        super().__init__(daemon=True)
        self.with_it = with_it
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.kept = []
        self.start()

    def run(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(one)
            self.with_it(one)

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.socket.close()
        for one in self.kept:
            one.close()


class Probe(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-probe-test-"))
        self.process = None

    def tearDown(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
        shutil.rmtree(self.folder)

    def courierd(self, *overrides):
        arguments = [COURIERD]
        for override in (f"data_dir={self.folder}/data", "listener.mqtt.bind=127.0.0.1:0", "threads=2",
                         "admin.bind=127.0.0.1:0", "admin.tokens=scenario-test-of-probes",
                         "auth.allow_anonymous=true", *overrides):
            arguments += ["--set", override]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = ""
        for line in iter(lambda: self.process.stdout.readline().decode(), ""):
            said += line
            if "courierd is ready" in line:
                self.admin = "http://" + re.search(r"admin=(\S+)", line)[1]
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return {name: int(port) for name, port in re.findall(r"(\w+)=127\.0\.0\.1:(\d+)", line)}
        self.fail("courierd did not start:\n" + said)

    def run_it(self, *arguments):
        return subprocess.run([COURIER, "test", *arguments], capture_output=True, text=True,
                              timeout=PATIENCE_SECONDS)

    def found(self, *arguments):
        """Its findings by their names, and the exit code."""
        done = self.run_it("--json", *arguments)
        report = json.loads(done.stdout)
        self.assertEqual(report["ok"], done.returncode == 0)
        return {one["name"]: one for one in report["findings"]}, done.returncode, report

    def works(self, findings, *names):
        for name in names:
            self.assertIn(name, findings)
            self.assertEqual(findings[name]["grade"], "works", findings[name])


EVERYTHING = ("TCP", "MQTT 3.1", "MQTT 3.1.1", "MQTT 5.0", "assigned client ids", "QoS 0", "QoS 1", "QoS 2", "retained",
              "wildcards", "shared subscriptions", "subscription identifiers", "topic aliases", "will",
              "kept while offline")


class Courierd(Probe):
    def test_everything_works_and_nothing_is_left(self):
        port = self.courierd("limits.packet_bytes_max=64KB", "limits.receive_maximum=33", "limits.topic_alias_max=5",
                             "limits.session_expiry_max=1h", "limits.keep_alive_max=600")["mqtt"]
        findings, code, report = self.found(f"127.0.0.1:{port}")
        self.assertEqual(code, 0, report)
        self.works(findings, *EVERYTHING, "largest packet")
        self.assertEqual(findings["maximum packet size"]["text"], "64 KB")
        self.assertEqual(findings["largest packet"]["text"], "64 KB, as told")
        self.assertEqual(findings["receive maximum"]["text"], "33")
        self.assertEqual(findings["topic alias maximum"]["text"], "5")
        self.assertEqual(findings["longest keep-alive"]["text"], "600 s")
        self.assertEqual(findings["longest session"]["text"], "3600 s")
        for qos in range(3):
            self.assertRegex(findings[f"1:1 with QoS {qos}"]["text"], r"p50 [\d.]+ ms, p99 [\d.]+ ms, of \d+")
        self.assertEqual(report["verdict"], "it works")
        self.assertEqual(report["server"], f"mqtt://127.0.0.1:{port}")
        status = json.loads(subprocess.run([COURIER, "node", "status", "-o", "json", "--admin", self.admin, "--token",
                                            "scenario-test-of-probes"], capture_output=True, text=True).stdout)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while status["sessions"] or status["subscriptions"]:
            self.assertLess(time.monotonic(), deadline, status)
            status = json.loads(subprocess.run([COURIER, "node", "status", "-o", "json", "--admin", self.admin,
                                                "--token", "scenario-test-of-probes"], capture_output=True,
                                               text=True).stdout)
        self.assertEqual(status["retained"]["messages"], 0)

    def test_people_get_a_table_and_a_verdict(self):
        port = self.courierd()["mqtt"]
        done = self.run_it(f"127.0.0.1:{port}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^  QoS 2 +ok$")
        self.assertTrue(done.stdout.endswith("\nVerdict: it works.\n"), done.stdout)

    def test_tls_and_websocket_are_described(self):
        key, pem = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", pem, "-days", "30", "-subj", "/CN=probed",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        ports = self.courierd("listener.secure.bind=127.0.0.1:0", "listener.secure.protocol=wss",
                              f"listener.secure.tls_certificates={pem}", f"listener.secure.tls_keys={key}")
        findings, code, report = self.found(f"wss://localhost:{ports['secure']}/mqtt", "--cafile", str(pem))
        self.assertEqual(code, 0, report)
        self.works(findings, *EVERYTHING, "TLS", "certificate")
        self.assertIn("TLSv1.3", findings["TLS"]["text"])
        self.assertRegex(findings["certificate"]["text"], r"CN=probed; for localhost; until 20\d\d-\d\d-\d\d")
        _, code, report = self.found(f"wss://localhost:{ports['secure']}/mqtt")
        self.assertEqual(code, 3, "nobody vouches for it")
        self.assertIn("certificate", report["verdict"])

    def test_what_rules_forbid_is_said(self):
        rules = self.folder / "rules"
        rules.write_text("topic readwrite allowed/#\n")
        port = self.courierd(f"auth.acl_file={rules}")["mqtt"]
        findings, _, report = self.found(f"127.0.0.1:{port}")
        self.assertEqual(findings["QoS 1"]["grade"], "absent", report)
        self.assertIn("refused", findings["QoS 1"]["text"])
        findings, _, report = self.found(f"127.0.0.1:{port}", "--topic", "allowed/")
        self.works(findings, "QoS 0", "QoS 1", "QoS 2", "retained", "will", "kept while offline")

    def test_a_refusal_is_the_verdict(self):
        passwords = self.folder / "passwords"
        subprocess.run([COURIER, "passwd", passwords, "alice", "-b", "right"], check=True, capture_output=True)
        port = self.courierd("auth.allow_anonymous=false", f"auth.password_file={passwords}")["mqtt"]
        _, code, report = self.found(f"127.0.0.1:{port}")
        self.assertEqual(code, 4)
        self.assertIn("it cannot be used", report["verdict"])
        self.assertIn("-u USER", report["verdict"])
        findings, code, _ = self.found(f"127.0.0.1:{port}", "-u", "alice", "-P", "right")
        self.works(findings, "QoS 1")

    def test_time_is_kept(self):
        port = self.courierd()["mqtt"]
        began = time.monotonic()
        findings, _, report = self.found(f"127.0.0.1:{port}", "-W", "1")
        self.assertLess(time.monotonic() - began, 10)
        for finding in findings.values():  # not enough time is nobody's fault
            self.assertNotEqual(finding["grade"], "broken", report)


@unittest.skipUnless(MOSQUITTO, "mosquitto is not installed")
class Mosquitto(Probe):
    def test_another_broker_works_too(self):
        port = free_port()
        config = self.folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 20000\n"
                          "max_inflight_messages 12\nmax_topic_alias 3\n")
        self.process = subprocess.Popen([MOSQUITTO, "-c", config], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                self.assertLess(time.monotonic(), deadline)
        findings, code, report = self.found(f"127.0.0.1:{port}")
        self.works(findings, *EVERYTHING, "$SYS")
        self.assertEqual(findings["maximum packet size"]["text"], "20000 bytes")
        self.assertEqual(findings["receive maximum"]["text"], "12")
        self.assertEqual(code, 0, report)


class NoServer(Probe):
    def test_a_dead_port(self):
        _, code, report = self.found(f"127.0.0.1:{free_port()}")
        self.assertEqual(code, 3)
        self.assertIn("it cannot be used", report["verdict"])
        self.assertIn("refused", report["verdict"])

    def test_one_that_says_rubbish(self):
        server = Server(lambda one: one.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"))
        try:
            _, code, report = self.found(f"127.0.0.1:{server.port}")
        finally:
            server.stop()
        self.assertNotEqual(code, 0)
        self.assertIn("it cannot be used", report["verdict"])

    def test_one_that_accepts_and_says_nothing(self):
        server = Server(lambda one: None)
        try:
            began = time.monotonic()
            _, code, report = self.found(f"127.0.0.1:{server.port}", "-W", "3")
            self.assertLess(time.monotonic() - began, 30)
        finally:
            server.stop()
        self.assertEqual(code, 5, report)

    def test_one_that_hangs_up(self):
        server = Server(lambda one: one.close())
        try:
            _, code, report = self.found(f"127.0.0.1:{server.port}")
        finally:
            server.stop()
        self.assertIn(code, (3, 4), report)

    def test_targets_that_are_none(self):
        for target in ("host:0", "host:x", "[::1", "gopher://host"):
            done = self.run_it(target)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(target.split("//")[0], done.stderr)


if __name__ == "__main__":
    COURIERD, COURIER = sys.argv[1:3]
    del sys.argv[1:3]
    unittest.main()
