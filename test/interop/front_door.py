#!/usr/bin/env python3
"""Clients that others wrote, through TLS, WebSocket, client certificates, a real browser, and HAProxy.

Usage: front_door.py COURIERD PAHO_C_TLS MQTTJS_FOLDER [unittest arguments]
"""
import http.server
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import paho.mqtt.client as paho

from with_broker import free_port

COURIERD = PAHO_C_TLS = MQTTJS = ""
HERE = pathlib.Path(__file__).resolve().parent
PATIENCE_SECONDS = 60

PAGE = """<!doctype html><title>waiting</title><script src="mqtt.min.js"></script><script>
const say = text => { document.title = text; fetch('/said?' + encodeURIComponent(text)) }
const client = mqtt.connect('URL', {clientId: 'page', reconnectPeriod: 0, protocolVersion: 5})
client.on('error', error => say('error: ' + error.message))
client.on('close', () => say('closed'))
client.on('message', (topic, payload) => say(topic + '=' + payload))
client.on('connect', () => client.subscribe('page/#', {qos: 1}, (error, granted) => {
  if (error) return say('refused: ' + error.message)
  client.publish('page/hello', 'from the browser', {qos: 1})
}))
</script>"""


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                          check=True, **options)


class FrontDoor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="courier-front-door-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.certificates()
        cls.port = {name: free_port() for name in ("mqtts", "mutual", "ws", "wss", "behind", "haproxy")}
        files = f'tls_certificates = ["{cls.folder}/server.pem"]\ntls_keys = ["{cls.folder}/server.key"]\n'
        listeners = {
            "mqtts": 'protocol = "mqtts"\n' + files,
            "mutual": 'protocol = "mqtts"\n' + files +
                      f'tls_client_certificates = "required"\ntls_client_ca_file = "{cls.folder}/ca.pem"\n',
            "ws": 'protocol = "ws"\n',
            "wss": 'protocol = "wss"\n' + files,
            "behind": 'protocol = "mqtts"\nproxy_protocol = "required"\n' + files,
        }
        config = f'data_dir = "{cls.folder}/data"\n'
        for name, lines in listeners.items():
            config += f'[[listener]]\nname = "{name}"\nbind = "127.0.0.1:{cls.port[name]}"\n{lines}'
        config += ('[auth]\nallow_anonymous = true\ncertificate_username = "{cn}"\n'
                   f'acl_file = "{cls.folder}/acl"\n[admin]\nbind = ""\n')
        (cls.folder / "acl").write_text("topic readwrite open/#\ntopic readwrite page/#\n"
                                        "user phone-17\ntopic readwrite orders/17/#\n")
        (cls.folder / "courierd.toml").write_text(config)
        cls.log = open(cls.folder / "courierd.log", "w")
        cls.addClassCleanup(cls.log.close)
        cls.broker = subprocess.Popen([COURIERD, "--config", cls.folder / "courierd.toml"], stdout=cls.log,
                                      stderr=cls.log)
        cls.addClassCleanup(cls.stop, cls.broker)
        cls.wait_for("courierd is ready")

    @classmethod
    def stop(cls, process):
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)

    @classmethod
    def logged(cls):
        return (cls.folder / "courierd.log").read_text()

    @classmethod
    def wait_for(cls, text):
        until = time.monotonic() + PATIENCE_SECONDS
        while text not in cls.logged():
            if time.monotonic() > until:
                raise AssertionError(f"not in the log: {text}\n{cls.logged()}")
            time.sleep(0.02)

    @classmethod
    def certificates(cls):
        def openssl(*arguments):
            run("openssl", *arguments, cwd=cls.folder)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA")
        for name, subject, extension in (("server", "/CN=localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
                                         ("phone", "/CN=phone-17", "subjectAltName=DNS:phone-17")):
            (cls.folder / f"{name}.ext").write_text(extension + "\n")
            openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    # --- mosquitto's clients ---

    def mosquitto(self, door, topic, *flags, own=False):
        """One message out and back; what came."""
        tls = ["--cafile", self.folder / "ca.pem", *flags]
        if own:
            tls += ["--cert", self.folder / "phone.pem", "--key", self.folder / "phone.key"]
        common = ["-h", "localhost", "-p", self.port[door], *tls, "-q", "1", "-t", topic]
        run("mosquitto_pub", *common, "-r", "-m", "retained", "-V", "5")
        return run("mosquitto_sub", *common, "-C", "1", "-W", "20").stdout.strip()

    def test_mosquitto_over_tls(self):
        self.assertEqual(self.mosquitto("mqtts", "open/mosquitto"), "retained")
        self.assertEqual(self.mosquitto("mqtts", "open/mosquitto12", "--tls-version", "tlsv1.2"), "retained")

    def test_mosquitto_with_its_certificate_is_who_it_says(self):
        self.assertEqual(self.mosquitto("mutual", "orders/17/new", own=True), "retained")
        self.wait_for("username=phone-17")
        with self.assertRaises(subprocess.CalledProcessError):
            self.mosquitto("mutual", "orders/17/new")  # without one
        self.assertEqual(self.mosquitto("mutual", "orders/18/new", own=True), "")  # another's topic
        self.wait_for('orders/18/new\\" is refused')

    def test_mosquitto_through_haproxy_with_tls_passed_on(self):
        (self.folder / "haproxy.cfg").write_text(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n"
            f"listen phones\n  bind 127.0.0.1:{self.port['haproxy']}\n"
            f"  server courier 127.0.0.1:{self.port['behind']} send-proxy-v2\n")
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(self.folder / "haproxy.cfg")],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.stop, haproxy)
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.assertEqual(self.mosquitto("haproxy", "open/haproxy"), "retained")
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > until:
                    raise
        self.wait_for("listener=behind")

    # --- Paho ---

    def test_paho_python_over_websocket_and_tls(self):
        for door, transport in (("mqtts", "tcp"), ("ws", "websockets"), ("wss", "websockets")):
            with self.subTest(door):
                client = paho.Client(client_id=f"paho-{door}", transport=transport, protocol=paho.MQTTv5)
                if door != "ws":
                    client.tls_set(ca_certs=str(self.folder / "ca.pem"), cert_reqs=ssl.CERT_REQUIRED)
                came = []
                client.on_connect = lambda c, *_: c.subscribe("open/paho", 1)
                client.on_subscribe = lambda c, *_: c.publish("open/paho", b"x" * 100_000, 1)
                client.on_message = lambda c, data, message: came.append(message.payload)
                client.connect("localhost", self.port[door])
                until = time.monotonic() + PATIENCE_SECONDS
                while not came and time.monotonic() < until:
                    client.loop(0.1)
                client.disconnect()
                client.loop(0.1)
                self.assertEqual(came, [b"x" * 100_000])

    def test_paho_c_over_tls_and_websocket(self):
        for url in (f"ssl://localhost:{self.port['mqtts']}", f"ws://localhost:{self.port['ws']}/mqtt",
                    f"wss://localhost:{self.port['wss']}/mqtt"):
            with self.subTest(url):
                self.assertIn("delivered", run(PAHO_C_TLS, url, self.folder / "ca.pem").stdout)

    # --- MQTT.js ---

    def need_mqttjs(self):
        if not (pathlib.Path(MQTTJS) / "node_modules/.installed-from").exists():
            self.skipTest("MQTT.js is NOT TESTED, it is not installed")

    def test_mqttjs_over_tls_and_websocket(self):
        self.need_mqttjs()
        for url in (f"mqtts://localhost:{self.port['mqtts']}", f"ws://localhost:{self.port['ws']}/mqtt",
                    f"wss://localhost:{self.port['wss']}/mqtt"):
            with self.subTest(url):
                shutil.copy(HERE / "mqttjs/through_url.js", MQTTJS)
                self.assertIn("delivered", run("node", "through_url.js", url, self.folder / "ca.pem", cwd=MQTTJS).stdout)

    def test_a_browser_connects_subscribes_and_publishes(self):
        self.need_mqttjs()
        for door in ("ws", "wss"):
            with self.subTest(door):
                self.assertEqual(self.browser_says(f"{door}://localhost:{self.port[door]}/mqtt"),
                                 "page/hello=from the browser")

    def test_a_browser_at_a_wrong_path_is_refused(self):
        self.need_mqttjs()
        self.assertEqual(self.browser_says(f"ws://localhost:{self.port['ws']}/elsewhere"), "closed")
        self.wait_for("reason=not_found")

    def browser_says(self, url):
        said = []
        heard = threading.Event()

        class Pages(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b""
                if self.path.startswith("/said?"):
                    said.append(http.server.urllib.parse.unquote(self.path[6:]))
                    heard.set()
                elif self.path == "/":
                    body = PAGE.replace("URL", url).encode()
                elif self.path == "/mqtt.min.js":
                    body = (pathlib.Path(MQTTJS) / "node_modules/mqtt/dist/mqtt.min.js").read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        browser = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--ignore-certificate-errors", f"--user-data-dir={self.folder}/browser", "--remote-debugging-port=0",
             f"http://127.0.0.1:{server.server_address[1]}/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.assertTrue(heard.wait(PATIENCE_SECONDS), "the page says nothing")
        finally:
            self.stop(browser)
        return said[0]


if __name__ == "__main__":
    COURIERD, PAHO_C_TLS, MQTTJS = sys.argv[1:4]
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
