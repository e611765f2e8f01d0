#!/usr/bin/env python3
"""Eclipse Paho for Python against a broker.

Usage: paho_python.py HOST PORT
"""
import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

HOST, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 20
NAMES = {paho.MQTTv31: "3.1", paho.MQTTv311: "3.1.1", paho.MQTTv5: "5"}


class Client:
    """A client on its own network thread, whose answers can be waited for."""

    def __init__(self, version, client_id, clean=True, will=None):
        self.version = version
        clean_session = {} if version == paho.MQTTv5 else {"clean_session": clean}
        self.paho = paho.Client(client_id, protocol=version, **clean_session)
        self.events = queue.Queue()
        self.messages = queue.Queue()
        self.paho.on_connect = lambda *arguments: self.events.put(("connected", arguments[2]))
        self.paho.on_subscribe = lambda *arguments: self.events.put(("subscribed", arguments[3]))
        self.paho.on_message = lambda client, data, message: self.messages.put(message)
        if will:
            self.paho.will_set(will, "gone", qos=2)
        extra = {}
        if version == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 3600
            extra = {"clean_start": clean, "properties": properties}
        self.paho.connect(HOST, PORT, keepalive=30, **extra)
        self.paho.loop_start()
        self.flags = self.wait("connected")

    def wait(self, name):
        event, value = self.events.get(timeout=PATIENCE)
        assert event == name, (event, name)
        return value

    def subscribe(self, topic, qos=0, identifier=None):
        if identifier is None:
            self.paho.subscribe(topic, qos)
        else:
            properties = Properties(PacketTypes.SUBSCRIBE)
            properties.SubscriptionIdentifier = identifier
            self.paho.subscribe(topic, options=SubscribeOptions(qos=qos), properties=properties)
        self.wait("subscribed")

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        self.paho.publish(topic, payload, qos, retain, properties).wait_for_publish()

    def receive(self):
        return self.messages.get(timeout=PATIENCE)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def break_off(self):
        """As if the network had failed."""
        self.paho.loop_stop()
        self.paho.socket().close()


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")
    print(f"ok: {what}")


def messages_of_each_qos(version, name):
    client = Client(version, f"py-{name}-qos")
    for qos in range(3):
        topic = f"py/{name}/qos/{qos}"
        client.subscribe(topic, qos)
        client.publish(topic, "hello", qos)
        message = client.receive()
        expect(f"{name}: QoS {qos}", (message.payload, message.qos, message.topic), (b"hello", qos, topic))
    client.close()


def retained(version, name):
    topic = f"py/{name}/retained"
    client = Client(version, f"py-{name}-retained")
    client.publish(topic, "kept", 2, retain=True)
    client.subscribe(topic, 2)
    message = client.receive()
    expect(f"{name}: retained", (message.payload, bool(message.retain)), (b"kept", True))
    client.publish(topic, "", 1, retain=True)
    client.receive()
    client.close()


def will(version, name):
    topic = f"py/{name}/will"
    listener = Client(version, f"py-{name}-listener")
    listener.subscribe(topic, 2)
    Client(version, f"py-{name}-bearer", will=topic).break_off()
    message = listener.receive()
    expect(f"{name}: will", (message.payload, message.qos), (b"gone", 2))
    listener.close()


def persistent_session(version, name):
    topic = f"py/{name}/session"
    away = Client(version, f"py-{name}-away", clean=False)
    away.subscribe(topic, 2)
    away.close()
    publisher = Client(version, f"py-{name}-publisher")
    for number in range(6):
        publisher.publish(topic, str(number), 1 + number % 2)
    publisher.close()
    back = Client(version, f"py-{name}-away", clean=False)
    if version != paho.MQTTv31:
        expect(f"{name}: session present", back.flags["session present"], 1)
    got = [back.receive() for _ in range(6)]
    # In order for each QoS [MQTT-4.6.0-6]; between QoS 1 and 2 there is none.
    for qos in (1, 2):
        expect(f"{name}: a session that was away, QoS {qos}", [m.payload for m in got if m.qos == qos],
               [str(number).encode() for number in range(6) if 1 + number % 2 == qos])
    back.close()


def properties():
    topic = "py/5/properties"
    client = Client(paho.MQTTv5, "py-5-properties")
    client.subscribe(topic, 1, identifier=21)
    sent = Properties(PacketTypes.PUBLISH)
    sent.ContentType = "text/plain"
    sent.ResponseTopic = "answer/here"
    sent.CorrelationData = b"\x00\x01\xff"
    sent.MessageExpiryInterval = 1000
    sent.PayloadFormatIndicator = 1
    sent.UserProperty = [("b", "1"), ("a", "2")]
    client.publish(topic, "body", 1, properties=sent)
    got = client.receive().properties
    expect("5: properties",
           (got.ContentType, got.ResponseTopic, got.CorrelationData, got.PayloadFormatIndicator, got.UserProperty),
           ("text/plain", "answer/here", b"\x00\x01\xff", 1, [("b", "1"), ("a", "2")]))
    expect("5: message expiry", 990 <= got.MessageExpiryInterval <= 1000, True)
    expect("5: subscription identifier", got.SubscriptionIdentifier, [21])
    client.close()


def main():
    for version, name in NAMES.items():
        messages_of_each_qos(version, name)
        retained(version, name)
        will(version, name)
        persistent_session(version, name)
    properties()


if __name__ == "__main__":
    main()
