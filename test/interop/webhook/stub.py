#!/usr/bin/env python3
"""A webhook service as somebody would write it for VerneMQ's vmq_webhooks, from its documentation: standard library only.

Prints "PORT n" and serves until its standard input ends. POST /… is a hook, named by the header vernemq-hook; what it
answers is chosen by the question, so that a test says it with a client id (register, deliver, unsubscribe, auth) or with
the first level of the first topic (publish, subscribe):

  ok…            {"result": "ok"}                         next…      {"result": "next"}
  deny…          {"result": {"error": "not_allowed"}}     change…    ok, with the modifiers of the documentation's examples
  cached…        ok, with cache-control: max-age=60       invalid…   ok, with one modifier of the wrong type
  status-N…      status N                                 redirect…  302 to /
  rubbish…       what is no JSON                          huge…      16 MB
  empty…         200 without a body                       dead…      closes before it answers
  half…          closes midway through the answer         slow…      answers once GET /release was asked for
  chunked…       ok, Transfer-Encoding: chunked           close…     ok, then closes the kept connection, unannounced
  after-N…       ok after N milliseconds                  jumble…    ok after up to 20 ms, so that answers overtake
  none of them   ok

Of auth_on_register also acl… (rules of its own: it may do what it likes below own/), mute… (it may do nothing), moved…
(another client id and mountpoint), told… (a user property for its CONNACK); of auth_on_publish throttle… (400 ms); of
on_auth_m5 exchange… (one round: CHALLENGE, which RESPONSE answers).

A question that does not have the members which the documentation names gets status 422, so that a test fails.

GET /seen      {"requests": {hook: n}, "connections": n, "last": {hook: question}}
GET /release   lets go of what is slow
"""
import base64
import http.server
import json
import random
import ssl
import sys
import threading
import time

MEMBERS = {
    "auth_on_register": {"peer_addr": str, "peer_port": int, "mountpoint": str, "client_id": str, "clean_session": bool},
    "auth_on_register_m5": {"peer_addr": str, "peer_port": int, "mountpoint": str, "client_id": str, "clean_start": bool,
                            "properties": dict},
    "auth_on_publish": {"mountpoint": str, "client_id": str, "qos": int, "topic": str, "retain": bool},
    "auth_on_subscribe": {"mountpoint": str, "client_id": str, "topics": list},
    "on_unsubscribe": {"mountpoint": str, "client_id": str, "topics": list},
    "on_deliver": {"mountpoint": str, "client_id": str, "topic": str, "payload": str},
    "on_auth_m5": {"mountpoint": str, "client_id": str, "properties": dict},
}
for hook in ("auth_on_publish", "auth_on_subscribe", "on_unsubscribe", "on_deliver"):
    MEMBERS[hook + "_m5"] = {**MEMBERS[hook], "properties": dict}

CHANGES = {
    "auth_on_register": {"max_message_size": 65535, "max_inflight_messages": 10000, "retry_interval": 20000},
    "auth_on_publish": {"topic": "rewritten/topic", "qos": 2, "retain": True,
                        "payload": base64.b64encode(b"rewritten payload").decode()},
    "on_deliver": {"topic": "rewritten/topic", "payload": base64.b64encode(b"rewritten payload").decode()},
    "on_auth_m5": {"reason_code": 0, "properties": {"p_authentication_method": "AUTH_METHOD",
                                                    "p_authentication_data": base64.b64encode(b"AUTH_DATA1").decode()}},
}

OK_WITH = {
    ("auth_on_register", "acl"): {"acl": [{"topic": "own/#", "access": "readwrite"}]},
    ("auth_on_register", "mute"): {"allow_publish": False, "allow_subscribe": False, "allow_unsubscribe": False},
    ("auth_on_register", "moved"): {"client_id": "moved-there", "mountpoint": "elsewhere"},
    ("auth_on_register_m5", "told"): {"properties": {"p_user_property": [
        {"key": base64.b64encode(b"region").decode(), "val": base64.b64encode(b"west").decode()}]}},
    ("auth_on_publish", "throttle"): {"throttle": 400},
}

lock = threading.Lock()
seen = {"requests": {}, "connections": 0, "last": {}}
released = threading.Event()


def fault(hook, question):
    """What the documentation names and the question does not have."""
    if hook not in MEMBERS:
        return f"no such hook: {hook}"
    for name, kind in MEMBERS[hook].items():
        if type(question.get(name)) is not kind:
            return f"{hook}: {name} is missing, or no {kind.__name__}"
    if not isinstance(question.get("username", 0), (str, type(None))):
        return f"{hook}: username is missing"
    for topic in question.get("topics", []):
        if isinstance(topic, str) != hook.startswith("on_unsubscribe"):
            return f"{hook}: topics"
    return None


def wish(hook, question):
    if "publish" in hook:
        return question["topic"]
    if hook.startswith("auth_on_subscribe"):
        return question["topics"][0]["topic"]
    return question["client_id"]


def changed(hook, question):
    """The answer with what is to be changed, at the place where the hook has it."""
    name = hook.removesuffix("_m5") if hook != "on_auth_m5" else hook
    if name == "auth_on_subscribe":
        topics = [{"topic": "rewritten/topic", "qos": 0}]
        refusal = 135 if hook.endswith("_m5") else 128
        topics += [{"topic": "forbidden/topic", "qos": refusal} for _ in question["topics"][1:]]
    elif name == "on_unsubscribe":
        topics = ["rewritten/topic" for _ in question["topics"]]
    else:
        return {"result": "ok", "modifiers": CHANGES[name]}
    if hook.endswith("_m5"):
        return {"result": "ok", "modifiers": {"topics": topics}}
    return {"result": "ok", "topics": topics}


def exchanged(question):
    """One round of enhanced authentication."""
    properties = question["properties"]
    if "p_authentication_data" not in properties:
        return {"result": {"error": "no_data"}}
    data = base64.b64decode(properties["p_authentication_data"])
    if data == b"RESPONSE":
        code, data = 0, b"WELCOME"
    elif data == b"HELLO":
        code, data = 24, b"CHALLENGE"
    else:
        return {"result": {"error": "not_authorized"}}
    return {"result": "ok", "modifiers": {"reason_code": code, "properties": {
        "p_authentication_method": properties["p_authentication_method"],
        "p_authentication_data": base64.b64encode(data).decode()}}}


def modifiers(hook, word):
    for (name, stem), what in OK_WITH.items():
        if word.startswith(stem) and hook in (name, name + "_m5"):
            return what
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with lock:
            seen["connections"] += 1

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, headers=()):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        if self.path == "/release":
            released.set()
        with lock:
            self.answer(seen)

    def do_POST(self):
        hook = self.headers.get("vernemq-hook", "")
        try:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except ValueError:
            return self.answer({"error": "no JSON"}, 400)
        wrong = fault(hook, question)
        with lock:
            seen["requests"][hook] = seen["requests"].get(hook, 0) + 1
            seen["last"][hook] = question
        if wrong:
            return self.answer({"error": wrong}, 422)
        ok = {"result": "ok"}
        word = wish(hook, question)
        if modifiers(hook, word):
            self.answer({"result": "ok", "modifiers": modifiers(hook, word)})
        elif hook == "on_auth_m5" and word.startswith("exchange"):
            self.answer(exchanged(question))
        elif word.startswith("after-"):
            time.sleep(int(word.split("-")[1]) / 1000)
            self.answer(ok)
        elif word.startswith("jumble"):
            time.sleep(random.random() * 0.02)
            self.answer(ok)
        elif word.startswith("next"):
            self.answer({"result": "next"})
        elif word.startswith("deny"):
            self.answer({"result": {"error": "not_allowed"}})
        elif word.startswith("change"):
            self.answer(changed(hook, question))
        elif word.startswith("cached"):
            self.answer(ok, headers=[("Cache-Control", "max-age=60, private")])
        elif word.startswith("invalid"):
            self.answer({"result": "ok", "modifiers": {"topic": 7, "max_message_size": "x"}, "topics": 7})
        elif word.startswith("status-"):
            status = int(word[7:10])
            self.answer(ok if status != 204 else b"", status)
        elif word.startswith("redirect"):
            self.answer(ok, 302, [("Location", "/")])
        elif word.startswith("rubbish"):
            self.answer(b"{\"result\": \"ok\"")
        elif word.startswith("huge"):
            self.answer(b"{\"result\": \"ok\", \"x\": \"" + b"x" * (16 << 20) + b"\"}")
        elif word.startswith("empty"):
            self.answer(b"")
        elif word.startswith("dead"):
            self.close_connection = True
        elif word.startswith("half"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"resu")
            self.close_connection = True
        elif word.startswith("slow"):
            released.wait()
            self.answer(ok)
        elif word.startswith("chunked"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             b"7\r\n{\"resul\r\n8\r\nt\":\"ok\"}\r\n0\r\n\r\n")
        elif word.startswith("close"):
            self.answer(ok)
            self.close_connection = True
        else:
            self.answer(ok)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


def main():
    """stub.py [CERTIFICATE KEY [CLIENT_CA]]: with a certificate it speaks TLS, with a CA only to clients of it."""
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        if len(sys.argv) > 3:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("PORT", server.server_address[1], flush=True)
    sys.stdin.read()
    released.set()


if __name__ == "__main__":
    main()
