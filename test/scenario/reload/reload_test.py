#!/usr/bin/env python3
"""Settings and their files change while a node runs: what is taken over, what waits, and that it is all or nothing.

Usage: reload_test.py COURIERD COURIER [unittest arguments]
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

COURIERD = COURIER = ""
PATIENCE_SECONDS = 60  # of a loaded machine; nothing here takes a second on an idle one
TOKEN = "scenario-test-of-reload"
OTHER_TOKEN = "another-token-of-the-scenario-test"


def certificate(folder, name, days=30):
    """A self-signed certificate with its key in one file."""
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", pem, "-days", str(days), "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    return pem.read_text() + key.read_text()


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-reload-test-"))
        self.config = self.folder / "courierd.toml"
        self.tokens = self.folder / "tokens"
        self.passwords = self.folder / "passwords"
        self.rules = self.folder / "rules"
        self.tls = self.folder / "tls.pem"
        self.tokens.write_text(TOKEN + "\n")
        self.tokens.chmod(0o600)
        self.passwords.write_text("")
        self.password("alice", "right")
        self.rules.write_text("topic readwrite #\n")
        self.first_certificate = certificate(self.folder, "first")
        self.tls.write_text(self.first_certificate)
        self.process = None
        self.log = ""

    def tearDown(self):
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        shutil.rmtree(self.folder)

    def password(self, user, password, file=None):
        subprocess.run([COURIER, "passwd", file or self.passwords, user, "-b", password], check=True, capture_output=True)

    def write(self, limits="", auth="", listener="", extra="", level="info", top="",
              passwords=None, rules=None):
        self.config.write_text(f"""
{top}
[[listener]]
name = "plain"
bind = "127.0.0.1:0"
{listener}
[[listener]]
name = "secure"
bind = "127.0.0.1:0"
protocol = "mqtts"
tls_certificates = ["{self.tls}"]
[admin]
bind = "127.0.0.1:0"
token_file = "{self.tokens}"
[auth]
password_file = "{passwords or self.passwords}"
acl_file = "{rules or self.rules}"
{auth}
[limits]
{limits}
[log]
level = "{level}"
{extra}
""")

    def start(self):
        self.process = subprocess.Popen(
            [COURIERD, "--config", self.config, "--set", f"data_dir={self.folder}/data", "--set", "threads=2"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        line = self.await_line("courierd is ready")
        self.ports = {name: int(port) for name, port in re.findall(r"(plain|secure)=127\.0\.0\.1:(\d+)", line)}
        self.admin = "http://" + re.search(r"admin=(\S+)", line)[1]

    def await_line(self, text):
        os.set_blocking(self.process.stdout.fileno(), False)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            fresh = self.process.stdout.read()
            if fresh:
                self.log += fresh.decode()
            for line in self.log.splitlines():
                if text in line:
                    return line
            time.sleep(0.01)
        self.fail(f"no line with {text!r} in\n{self.log}")

    def courier(self, *arguments, token=TOKEN):
        return subprocess.run([COURIER, *arguments, "--admin", self.admin, "--token", token],
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS)

    def reload(self):
        done = self.courier("config", "reload", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused_reload(self, *said):
        done = self.courier("config", "reload")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for text in said:
            self.assertIn(text, done.stderr)
        self.assertIn("nothing was taken over", done.stderr)

    def publish(self, *arguments, user="alice", password="right"):
        return subprocess.run([COURIER, "pub", "-p", str(self.ports["plain"]), "-u", user, "-P", password, "-q", "1",
                               "-t", "a/b/c", "-m", "x", *arguments],
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS).returncode

    def served(self):
        """The certificate that the TLS listener shows."""
        shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.ports['secure']}"],
                               input=b"", capture_output=True, timeout=PATIENCE_SECONDS).stdout.decode()
        return re.search(r"subject=\s*CN\s*=\s*(\w+)", shown)[1]

    def test_what_changed_is_applied_and_what_needs_a_restart_is_named(self):
        self.write()
        self.start()
        self.write(limits="inflight_max = 7\nsession_expiry_max = \"1h\"", auth="allow_anonymous = true",
                   listener="connections_max = 9\nmountpoint = \"tenant\"", level="debug",
                   extra="format = \"json\"")
        done = self.reload()
        self.assertEqual(sorted(done["applied"]),
                         ["auth.allow_anonymous", "limits.inflight_max", "limits.session_expiry_max",
                          "listener.plain.connections_max", "log.level"])
        self.assertEqual(sorted(done["need_restart"]), ["listener.plain.mountpoint", "log.format"])
        self.assertEqual(self.reload()["applied"], [])
        self.assertEqual(sorted(self.reload()["need_restart"]), ["listener.plain.mountpoint", "log.format"])
        listeners = json.loads(self.courier("listener", "ls", "--json").stdout)
        self.assertEqual([one["connections_max"] for one in listeners], [9, 0])

    def test_sighup_does_the_same(self):
        self.write()
        self.start()
        self.write(limits="inflight_max = 7", top="drain_timeout = \"3s\"")
        self.process.send_signal(signal.SIGHUP)
        line = self.await_line("settings read again")
        self.assertIn("limits.inflight_max", line)
        self.assertIn("drain_timeout", line)

    def test_one_bad_part_leaves_all_others_as_they_were(self):
        self.write()
        self.start()
        self.assertEqual(self.publish(), 0)
        other = certificate(self.folder, "second")

        # Other files, for rules and passwords are looked at by themselves, too, when theirs change.
        rules, passwords = self.folder / "other-rules", self.folder / "other-passwords"

        def all_but(bad):
            """Everything changes; `bad` is no good."""
            self.write(limits="topic_levels_max = 1" if bad != "settings" else "topic_levels_max = \"many\"",
                       level="debug", passwords=passwords, rules=rules)
            self.tls.write_text(other if bad != "certificate" else "no certificate")
            rules.write_text("topic deny #\n" if bad != "rules" else "nonsense\n")
            self.tokens.write_text((OTHER_TOKEN if bad != "tokens" else "short") + "\n")
            passwords.write_text("" if bad != "passwords" else "nonsense\n")
            if bad != "passwords":
                self.password("alice", "other", passwords)

        for bad, said in (("settings", "topic_levels_max"), ("certificate", str(self.tls)), ("rules", str(rules)),
                          ("tokens", str(self.tokens)), ("passwords", str(passwords))):
            with self.subTest(bad=bad):
                all_but(bad)
                self.refused_reload(said)
                self.assertEqual(self.publish(), 0, "the limit, the rules and the password are as before")
                self.assertEqual(self.served(), "first")
                self.assertEqual(self.courier("node", "status", token=OTHER_TOKEN).returncode, 4)
                self.assertEqual(self.courier("node", "status").returncode, 0)
        all_but(None)
        done = self.courier("config", "reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("limits.topic_levels_max, log.level", done.stdout)
        self.assertEqual(self.served(), "second")
        self.assertEqual(self.publish(), 4, "the password is another")
        self.assertNotEqual(self.publish(password="other"), 0, "nothing may be published")
        self.assertEqual(self.courier("node", "status").returncode, 4)
        self.assertEqual(self.courier("node", "status", token=OTHER_TOKEN).returncode, 0)

    def test_connections_live_on_while_authenticators_and_certificates_change(self):
        self.write(auth="allow_anonymous = true")
        self.start()
        subscriber = subprocess.Popen([COURIER, "sub", "-p", str(self.ports["plain"]), "-t", "a/#", "-C", "1", "-d"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            while "ubscribed" not in (line := subscriber.stderr.readline()):
                self.assertTrue(line, "it ended")
            for order in ('["anonymous", "password"]', '["password", "anonymous"]'):
                self.write(auth=f"allow_anonymous = true\norder = {order}\npassword_workers = 1")
                self.reload()
            self.write()
            self.reload()
            self.assertEqual(subprocess.run([COURIER, "pub", "-p", str(self.ports["plain"]), "-t", "a", "-m", "x"],
                                            capture_output=True).returncode, 4, "nobody anonymous comes in now")
            self.assertEqual(self.publish(), 0)
            self.assertEqual(subscriber.wait(PATIENCE_SECONDS), 0, "but who was there stays")
        finally:
            subscriber.kill()
            subscriber.wait()
            subscriber.stdout.close()
            subscriber.stderr.close()

    def test_listeners_are_listed_with_their_certificates(self):
        self.write(listener="connections_max = 5")
        self.start()
        table = self.courier("listener", "ls")
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertRegex(table.stdout, rf"plain +127\.0\.0\.1:{self.ports['plain']} +mqtt +off +0 +5")
        self.assertRegex(table.stdout, rf"secure +127\.0\.0\.1:{self.ports['secure']} +mqtts +off +0 +20\d\d-")
        plain, secure = json.loads(self.courier("listener", "ls", "--json").stdout)
        self.assertEqual(plain["certificates"], [])
        self.assertEqual(secure["certificates"][0]["names"], ["localhost", "127.0.0.1"][:len(
            secure["certificates"][0]["names"])])
        with socket.create_connection(("127.0.0.1", self.ports["plain"])):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while json.loads(self.courier("listener", "ls", "--json").stdout)[0]["connections"] != 1:
                self.assertLess(time.monotonic(), deadline)


if __name__ == "__main__":
    COURIERD, COURIER = sys.argv[1:3]
    del sys.argv[1:3]
    unittest.main()
