#!/usr/bin/env python3
"""mosquitto_pub and mosquitto_sub against a broker.

Usage: mosquitto.py HOST PORT
"""
import subprocess
import sys

HOST, PORT = sys.argv[1], sys.argv[2]
PATIENCE = 20
VERSIONS = ("31", "311", "5")


def command(program, version, *arguments):
    return [program, "-h", HOST, "-p", PORT, "-V", f"mqttv{version}", *arguments]


def publish(version, *arguments):
    subprocess.run(command("mosquitto_pub", version, *arguments), check=True, timeout=PATIENCE)


def receive(version, *arguments):
    """What a subscriber prints; it ends by itself after -C messages or with -E."""
    return subprocess.run(command("mosquitto_sub", version, *arguments), check=True, timeout=PATIENCE,
                          capture_output=True, text=True).stdout.splitlines()


class Listener:
    """A subscriber in the background, which is known to be subscribed when the constructor returns."""

    def __init__(self, version, *arguments):
        # Line by line, or its notes would wait in a buffer.
        self.process = subprocess.Popen(["stdbuf", "-oL", *command("mosquitto_sub", version, "-d", *arguments)],
                                        stdout=subprocess.PIPE, text=True)
        self.line("Subscribed")

    def line(self, beginning):
        """The next line that begins like this; the others are mosquitto's own notes."""
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line.rstrip("\n")
        sys.exit(f"mosquitto_sub ended without saying {beginning!r}")

    def end(self):
        self.process.kill()
        self.process.wait()


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")
    print(f"ok: {what}")


def persistent(version):
    """Flags of a session that stays."""
    flags = ["-c"]
    if version == "5":
        flags += ["-x", "3600"]
    return flags


def messages_of_each_qos(version):
    for qos in "012":
        topic = f"mosquitto/{version}/qos/{qos}"
        listener = Listener(version, "-t", topic, "-q", qos, "-F", "message %q %p")
        publish(version, "-t", topic, "-q", qos, "-m", "hello")
        expect(f"{version}: QoS {qos}", listener.line("message"), f"message {qos} hello")
        listener.end()


def retained(version):
    topic = f"mosquitto/{version}/retained"
    publish(version, "-t", topic, "-q", "1", "-r", "-m", "kept")
    expect(f"{version}: retained", receive(version, "-t", topic, "-C", "1", "-F", "%r %p"), ["1 kept"])
    publish(version, "-t", topic, "-r", "-n")
    listener = Listener(version, "-t", topic, "-F", "message %r %p")
    publish(version, "-t", topic, "-m", "live")
    expect(f"{version}: retained, then deleted", listener.line("message"), "message 0 live")
    listener.end()


def will(version):
    topic = f"mosquitto/{version}/will"
    listener = Listener(version, "-t", topic, "-q", "1", "-F", "message %p")
    bearer = Listener(version, "-t", "nothing", "--will-topic", topic, "--will-payload", "gone", "--will-qos", "1")
    bearer.end()
    expect(f"{version}: will", listener.line("message"), "message gone")
    listener.end()


def persistent_session(version):
    topic = f"mosquitto/{version}/session"
    session = ["-i", f"mosquitto-{version}", "-q", "2", "-t", topic, *persistent(version)]
    receive(version, *session, "-E")
    for number in range(5):
        publish(version, "-t", topic, "-q", str(1 + number % 2), "-m", str(number))
    # In order for each QoS [MQTT-4.6.0-6]; between QoS 1 and 2 there is none.
    expect(f"{version}: a session that was away",
           sorted(receive(version, *session, "-C", "5", "-F", "%q %p"), key=lambda line: line[0]),
           ["1 0", "1 2", "1 4", "2 1", "2 3"])


def properties():
    topic = "mosquitto/5/properties"
    listener = Listener("5", "-t", topic, "-q", "1", "-D", "subscribe", "subscription-identifier", "7",
                        "-F", "message %C|%R|%D|%E|%P|%S|%p")
    publish("5", "-t", topic, "-q", "1", "-m", "body",
            "-D", "publish", "content-type", "text/plain",
            "-D", "publish", "response-topic", "answer/here",
            "-D", "publish", "correlation-data", "42",
            "-D", "publish", "message-expiry-interval", "1000",
            "-D", "publish", "user-property", "b", "1",
            "-D", "publish", "user-property", "a", "2")
    kind, response, correlation, expiry, user, identifier, body = listener.line("message")[8:].split("|")
    expect("5: content type, response topic, correlation data", (kind, response, correlation, body),
           ("text/plain", "answer/here", "42", "body"))
    expect("5: message expiry", 990 <= int(expiry) <= 1000, True)
    expect("5: user properties in order", user, "b:1 a:2")
    expect("5: subscription identifier", identifier, "7")
    listener.end()


def main():
    for version in VERSIONS:
        messages_of_each_qos(version)
        retained(version)
        will(version)
        persistent_session(version)
    properties()


if __name__ == "__main__":
    main()
