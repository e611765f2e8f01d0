#!/usr/bin/env python3
"""courierd as a process: what it says and exits with when it cannot start, signals, systemd.

Usage: daemon_test.py COURIERD [unittest arguments]
"""
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

COURIERD = ""
PATIENCE_SECONDS = 60  # of a loaded machine; nothing here takes a second on an idle one


def connect_packet(client_id, clean_start=True, expiry_seconds=0):
    properties = b"\x11" + expiry_seconds.to_bytes(4, "big") if expiry_seconds else b""
    name = client_id.encode()
    body = (b"\x00\x04MQTT\x05" + bytes([2 if clean_start else 0]) + b"\x00\x00" +
            bytes([len(properties)]) + properties + len(name).to_bytes(2, "big") + name)
    return b"\x10" + bytes([len(body)]) + body


class Daemon(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="courierd-test-"))
        self.data = self.folder / "data"
        self.running = []

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
        shutil.rmtree(self.folder)

    def start(self, *overrides, auth="auth.allow_anonymous=true", environment=None, port=0):
        """Starts one on a free port; overrides win."""
        arguments = [COURIERD]
        for override in (f"data_dir={self.data}", f"listener.mqtt.bind=127.0.0.1:{port}", "admin.bind=",
                         "threads=2", auth, *overrides):
            if override:
                arguments += ["--set", override]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={**os.environ, **(environment or {})})
        self.running.append(process)
        return process

    def ready(self, process, where=None):
        """Waits for the line that says so; returns (port, the line)."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        said = ""
        while time.monotonic() < deadline:
            line = process.stdout.readline().decode() if where is None else ""
            if where is not None:
                text = where.read_text() if where.exists() else ""
                line = next((l for l in text.splitlines() if "courierd is ready" in l), "")
                time.sleep(0.02)
            said += line
            if "courierd is ready" in line:
                return int(re.search(r"mqtt=127\.0\.0\.1:(\d+)", line)[1]), line
            self.assertIsNone(process.poll() if not line else None, said)
        self.fail(f"not ready: {said}")

    def refused(self, process):
        output = process.communicate(timeout=PATIENCE_SECONDS)[0].decode()
        return process.returncode, output

    def client(self, port, client_id, **options):
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        connection.sendall(connect_packet(client_id, **options))
        self.assertEqual(connection.recv(4)[:1], b"\x20")
        connection.setblocking(True)
        return connection

    # --- starts that are refused ---

    def test_version(self):
        run = subprocess.run([COURIERD, "--version"], capture_output=True, text=True, check=True)
        self.assertRegex(run.stdout, r"^courierd \d+\.\d+\.\d+\n$")

    def test_an_unknown_argument_is_usage(self):
        self.assertEqual(subprocess.run([COURIERD, "--nonsense"], capture_output=True).returncode, 2)

    def test_without_authentication_it_says_why_and_what_to_do(self):
        code, output = self.refused(self.start(auth=""))
        self.assertEqual(code, 2)
        self.assertIn("allow_anonymous", output)
        self.assertIn("password_file", output)

    def test_check_config_neither_starts_nor_makes_a_store(self):
        file = self.folder / "courierd.toml"
        file.write_text(f'data_dir = "{self.data}"\n[auth]\nallow_anonymous = true\n')
        good = subprocess.run([COURIERD, "--config", file, "--check-config"], capture_output=True, text=True)
        self.assertEqual((good.returncode, good.stdout), (0, f"{file}: good\n"))
        self.assertFalse(self.data.exists())
        file.write_text('data_dri = "/nowhere"\n')
        bad = subprocess.run([COURIERD, "--config", file, "--check-config"], capture_output=True, text=True)
        self.assertEqual(bad.returncode, 2)
        self.assertIn("data_dir", bad.stderr)

    def test_check_config_reads_the_files_that_a_start_reads(self):
        for key in ("auth.password_file", "admin.token_file"):
            run = subprocess.run([COURIERD, "--check-config", "--set", "auth.allow_anonymous=true",
                                  "--set", f"{key}={self.folder}/absent"], capture_output=True, text=True)
            self.assertEqual(run.returncode, 2, key)
            self.assertIn("absent", run.stderr)

    def test_a_password_file_that_is_not_there(self):
        code, output = self.refused(self.start(f"auth.password_file={self.folder}/absent"))
        self.assertEqual(code, 2)
        self.assertIn("absent", output)

    def test_a_port_in_use_even_by_another_courierd(self):
        port, _ = self.ready(self.start())
        second = self.start(f"data_dir={self.folder}/other", port=port)
        code, output = self.refused(second)
        self.assertEqual(code, 3)
        self.assertIn(str(port), output)
        self.assertIn("in use", output)

    def test_a_store_in_use(self):
        self.ready(self.start())
        code, output = self.refused(self.start())
        self.assertEqual(code, 4, output)
        self.assertIn(str(self.data), output)

    def test_a_data_dir_that_cannot_be(self):
        file = self.folder / "file"
        file.write_text("not a folder")
        code, output = self.refused(self.start(f"data_dir={file}/data"))
        self.assertEqual(code, 4, output)
        self.assertIn(str(file), output)

    def test_a_damaged_store_is_never_begun_anew(self):
        first = self.start()
        self.ready(first)
        first.send_signal(signal.SIGTERM)
        self.assertEqual(first.wait(PATIENCE_SECONDS), 0)
        manifest = next(self.data.glob("**/CURRENT"))
        manifest.unlink()
        code, output = self.refused(self.start())
        self.assertEqual(code, 5, output)
        self.assertIn(str(self.data), output)

    # --- the life of one ---

    def test_it_starts_again_with_its_sessions(self):
        first = self.start()
        port, line = self.ready(first)
        self.assertIn("sessions=0", line)
        self.client(port, "kept", expiry_seconds=1000).close()
        first.kill()
        first.wait()
        _, line = self.ready(self.start())
        self.assertIn("sessions=1", line)
        self.assertRegex(line, r"recovery_ms=\d+")

    def test_sigterm_tells_everybody_and_exits_0(self):
        process = self.start()
        port, _ = self.ready(process)
        clients = [self.client(port, f"client-{i}") for i in range(20)]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        for client in clients:
            rest = b""
            while piece := client.recv(1000):
                rest += piece
            self.assertIn(b"\xe0", rest)
            self.assertIn(b"\x8b", rest)  # [0x8B: server shutting down]
            client.close()
        self.assertEqual(process.wait(PATIENCE_SECONDS), 0)
        self.assertLess(time.monotonic() - began, 10)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), 1)

    def test_clients_that_never_hang_up_do_not_hold_up_the_exit(self):
        process = self.start()
        port, _ = self.ready(process)
        client = self.client(port, "stays")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE_SECONDS), 0)
        client.close()

    def test_sighup_opens_the_log_file_anew_and_takes_over_the_level(self):
        log, rotated = self.folder / "log", self.folder / "log.1"
        process = self.start(f"log.file={log}")
        port, _ = self.ready(process, log)
        log.rename(rotated)
        process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (log.exists() and "SIGHUP" in log.read_text()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.assertNotIn("SIGHUP", rotated.read_text())
        self.client(port, "still-served").close()

    def test_systemd_hears_when_it_is_ready_alive_and_stopping(self):
        path = str(self.folder / "notify")
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(path)
        manager.settimeout(PATIENCE_SECONDS)
        process = self.start(environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})

        def hear(what):
            while True:
                message = manager.recv(4096).decode()
                if what in message.split("\n"):
                    return message
        self.assertIn("listening on mqtt=127.0.0.1:", hear("READY=1"))
        for _ in range(3):
            hear("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        hear("STOPPING=1")
        self.assertEqual(process.wait(PATIENCE_SECONDS), 0)
        manager.close()

    def test_open_files_are_raised_to_the_hard_limit(self):
        import resource
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        _, line = self.ready(self.start())
        self.assertIn(f"open_files_max={hard}", line)


if __name__ == "__main__":
    COURIERD = sys.argv.pop(1)
    unittest.main(verbosity=1)
