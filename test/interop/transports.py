#!/usr/bin/env python3
"""`courier pub`, `courier sub` and mosquitto's clients over each transport of a courierd.

Usage: transports.py COURIERD COURIER
"""
import pathlib
import signal
import subprocess
import sys
import tempfile

import with_broker

PATIENCE = 20
SCHEMES = ("mqtts", "ws", "wss")
LARGE = 200_000  # several frames, many TLS records
OK, NO_CONNECTION, REFUSED = 0, 3, 4

LOAD = """
courier_load: 1
name: every promise over another transport
target:
  brokers: [ "{url}" ]{tls}
groups:
  phones: {{ count: 20, subscribe: [ {{ topic: "phone/{{n}}", qos: 1 }} ] }}
  backends: {{ count: 2 }}
stages:
  - name: connect
    timeout: 10s
    steps: [ {{ connect: {{ group: [phones, backends], over: 100ms }} }} ]
    until: {{ connected: 100% }}
  - name: push
    duration: 1s
    steps:
      - publish: {{ group: backends, rate: 200/s, topic: "phone/{{pick}}", pick: {{ from: phones }}, qos: 1 }}
thresholds:
  - connect: connect.ok_ratio == 100%
  - push: delivery.lost == 0
  - push: delivery.ratio == 100%
"""


def certificates(folder):
    """A certificate for localhost that is its own authority."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    folder / "server.key", "-out", folder / "server.pem"], check=True, capture_output=True)
    (folder / "server.key").chmod(0o600)


def listeners(folder, ports):
    text = ""
    for scheme in SCHEMES:
        text += f'[[listener]]\nname = "{scheme}"\nbind = "127.0.0.1:{ports[scheme]}"\nprotocol = "{scheme}"\n'
        if scheme != "ws":
            text += f'tls_certificates = ["{folder}/server.pem"]\ntls_keys = ["{folder}/server.key"]\n'
    return text


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")
    print(f"ok: {what}")


class Clients:
    def __init__(self, courier, folder, ports):
        self.courier, self.ca, self.ports = courier, str(folder / "server.pem"), ports

    def run(self, command, *arguments, said=""):
        return subprocess.run([*command, *arguments], input=said, capture_output=True, text=True, timeout=PATIENCE)

    def to(self, scheme, path="/mqtt", host="localhost"):
        flags = [] if scheme in ("mqtt", "ws") else ["--cafile", self.ca]
        path = path if "ws" in scheme else ""
        return ["-L", f"{scheme}://{host}:{self.ports[scheme]}{path}", *flags]

    def our_own(self):
        for scheme in SCHEMES:
            sent = self.run([self.courier, "pub", "-t", f"t/{scheme}", "-q", "2", "-r", "-s"], *self.to(scheme),
                            said="x" * LARGE)
            expect(f"courier pub over {scheme}", (sent.returncode, sent.stderr), (OK, ""))
            for other in ("mqtt", *SCHEMES):
                got = self.run([self.courier, "sub", "-t", f"t/{scheme}", "-q", "2", "-C", "1", "-W", "10"],
                               *self.to(other))
                expect(f"courier sub over {other}", (got.returncode, len(got.stdout)), (OK, LARGE + 1))

    def refusals(self):
        lost = self.run([self.courier, "pub", "-t", "t", "-m", "x"], *self.to("ws", path="/elsewhere"))
        expect("another path", (lost.returncode, "404" in lost.stderr), (REFUSED, True))
        named = self.run([self.courier, "pub", "-t", "t", "-m", "x"], *self.to("wss", host="127.0.0.1"))
        expect("another name", (named.returncode, "another name" in named.stderr), (NO_CONNECTION, True))
        port = self.ports["wss"]
        unknown = self.run([self.courier, "pub", "-t", "t", "-m", "x", "-L", f"wss://localhost:{port}/mqtt"])
        expect("unknown authority", (unknown.returncode, "--cafile" in unknown.stderr), (NO_CONNECTION, True))

    def load(self, folder):
        for scheme in SCHEMES:
            file = folder / f"{scheme}.yaml"
            path = "/mqtt" if "ws" in scheme else ""
            tls = "" if scheme == "ws" else f'\n  tls: {{ ca_file: "{self.ca}" }}'
            file.write_text(LOAD.format(url=f"{scheme}://localhost:{self.ports[scheme]}{path}", tls=tls))
            # Two workers are processes of their own.
            for workers in "12":
                ran = self.run([self.courier, "load", "run", str(file), "--quiet", "--workers", workers])
                expect(f"courier load over {scheme}, workers: {workers}", (ran.returncode, ran.stderr), (OK, ""))

    def mosquittos(self):
        there = ["-h", "localhost", "-p", str(self.ports["mqtts"]), "--cafile", self.ca]
        sent = self.run(["mosquitto_pub", *there, "-t", "t/m", "-q", "1", "-r", "-m", "hello"])
        expect("mosquitto_pub over mqtts", (sent.returncode, sent.stderr), (OK, ""))
        got = self.run(["mosquitto_sub", *there, "-t", "t/m", "-C", "1", "-W", "10"])
        expect("mosquitto_sub over mqtts", (got.returncode, got.stdout), (OK, "hello\n"))


def main():
    courierd, courier = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="courier-interop-") as folder:
        folder = pathlib.Path(folder)
        ports = {scheme: with_broker.free_port() for scheme in ("mqtt", *SCHEMES)}
        certificates(folder)
        broker = with_broker.start(courierd, folder, ports["mqtt"], listeners(folder, ports))
        try:
            clients = Clients(courier, folder, ports)
            clients.our_own()
            clients.refusals()
            clients.mosquittos()
            clients.load(folder)
        finally:
            broker.send_signal(signal.SIGTERM)
            ended = broker.wait(timeout=30)
        expect("courierd ends", ended, 0)


if __name__ == "__main__":
    main()
