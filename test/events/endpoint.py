"""An HTTP endpoint that is told of events, and does with them what a test says."""
import base64
import hashlib
import hmac
import http.server
import json
import threading


class Endpoint:
    """with Endpoint() as endpoint: it listens on `url`. `answer(event)` gives a status, or a bytes object to send as it is
    and close; it may block. What was answered with 2xx is in events(), in the order of its end."""

    def __init__(self, answer=lambda event: 200, secret=None):
        self.answer, self.secret = answer, secret
        self.lock = threading.Lock()
        self.taken, self.requests, self.forged = [], [], 0
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                endpoint.handle(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_):  # whom courierd hung up on
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def handle(self, request):
        body = request.rfile.read(int(request.headers["content-length"]))
        said = json.loads(body)
        events = [each["data"] for each in (said if isinstance(said, list) else [said])]
        answer = self.answer(events[0])
        with self.lock:
            self.requests.append(dict(request.headers))
            if self.secret and not self.is_signed(request.headers, body):
                self.forged += 1
            if not isinstance(answer, bytes) and 200 <= answer < 300:
                self.taken.extend(events)
        if isinstance(answer, bytes):
            request.wfile.write(answer)
            request.close_connection = True
            return
        request.send_response(answer)
        if answer // 100 == 3:
            request.send_header("location", self.url)
        request.send_header("content-length", "0")
        request.end_headers()

    def is_signed(self, headers, body):
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = hmac.new(base64.b64decode(self.secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(mac).decode()}" in headers["webhook-signature"].split()

    def events(self, *kinds):
        with self.lock:
            return [each for each in self.taken if not kinds or each["kind"] in kinds]
