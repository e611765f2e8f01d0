// Past the door by packets that are no packets, come too early, or twice. No identity helps against these.
#include <gtest/gtest.h>

#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

class Packets : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  Broker broker{{.toml = "[limits]\npacket_bytes_max = \"16KB\"\nreceive_maximum = 10\n"}};

  // The very first bytes of a connection.
  std::function<std::string(Version)> begins(std::function<std::string(Version)> bytes) {
    return [this, bytes](Version version) {
      Client client = Client::open(broker.port());
      client.speak(version);
      client.send(bytes(version));
      return end_of(client);
    };
  }
  // And those of one that is connected.
  std::function<std::string(Version)> goes_on(std::function<std::string(Version)> bytes) {
    return [this, bytes](Version version) {
      Client client({.version = version, .client_id = unique("red")}, broker.port());
      client.send(bytes(version));
      return end_of(client);
    };
  }
  static std::function<std::string(Version)> always(std::string bytes) {
    return [bytes](Version) { return bytes; };
  }
  // A CONNECT, byte by byte: what stands behind the protocol's name.
  static std::string raw_connect(Version version, uint8_t flags, const std::string& rest,
                                 const std::string& name = "MQTT") {
    std::string body = text(name) + u8(version) + u8(flags) + u16(0);
    if (version == v5) body += u8(0);
    return frame(0x10, body + text(unique("red")) + rest);
  }
};

}  // namespace

TEST_F(Packets, BeforeTheConnect) {
  const std::vector<std::string> early = {"not a CONNECT", "the first packet is not CONNECT"};
  const std::string unsaid = "closed";
  refuse(broker,
         {
             {"a SUBSCRIBE before CONNECT", begins([](Version v) {
                return subscribe_packet(v, 1, {{"#", 0}});
              }),
              unsaid, unsaid, early},
             {"a PUBLISH before CONNECT",
              begins([](Version v) { return publish_packet(v, {.topic = "a", .payload = "x"}); }), unsaid,
              unsaid, early},
             {"a PINGREQ before CONNECT", begins(always(pingreq_packet())), unsaid, unsaid, early},
             {"a DISCONNECT before CONNECT", begins([](Version v) { return disconnect_packet(v); }), unsaid,
              unsaid, early},
             {"HTTP on the port for MQTT",
              begins(always("GET /v1/clients HTTP/1.1\r\nHost: x\r\n\r\n")),
              unsaid,
              unsaid,
              {"not a CONNECT", "why="}},
             {"TLS on the port for MQTT",
              begins(always(std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10))),
              unsaid,
              unsaid,
              {"not a CONNECT", "why="}},
             {"a protocol of another name",
              begins([](Version v) { return raw_connect(v, 2, "", "MQTX"); }),
              unsaid,
              unsaid,
              {"not a CONNECT", "why="}},
             {"a version that there is not",
              begins([](Version) { return raw_connect(Version{6}, 2, ""); }),
              "",
              "CONNACK 0x84, closed",
              {"not a CONNECT", "why="}},
             {"a CONNECT with the reserved flag",
              begins([](Version v) { return raw_connect(v, 3, ""); }),
              unsaid,
              "CONNACK 0x81, closed",
              {"not a CONNECT", "why="}},
             {"a CONNECT with reserved bits in its first byte",
              begins([](Version v) {
                std::string packet = raw_connect(v, 2, "");
                packet[0] = '\x11';
                return packet;
              }),
              unsaid,
              unsaid,
              {"not a CONNECT", "reserved flag bits"}},
             {"a CONNECT with bytes behind its end",
              begins([](Version v) { return raw_connect(v, 2, "more"); }),
              unsaid,
              "CONNACK 0x81, closed",
              {"not a CONNECT", "why="}},
             {"a CONNECT with a will of QoS 3",
              begins([](Version v) {
                return raw_connect(v, 0x1E, (v == v5 ? u8(0) : "") + text("t") + text("p"));
              }),
              unsaid,
              "CONNACK 0x81, closed",
              {"not a CONNECT", "why="}},
             {"a CONNECT with a will's QoS and no will",
              begins([](Version v) { return raw_connect(v, 0x0A, ""); }),
              unsaid,
              "CONNACK 0x81, closed",
              {"not a CONNECT", "why="}},
             {"a CONNECT that is larger than any may be",
              begins([](Version version) {
                return std::string("\x10\xFF\xFF\xFF\x7F\x00\x04MQTT", 11) + static_cast<char>(version);
              }),
              unsaid,
              "CONNACK 0x95, closed",
              {"not a CONNECT", "why="}},
             {"a length of five bytes",
              begins(always(std::string("\x10\xFF\xFF\xFF\xFF\x01", 6))),
              unsaid,
              unsaid,
              {"not a CONNECT", "why="}},
             {"a property twice",
              begins([](Version) {
                return connect_packet(
                    {.client_id = "twice", .properties = with(kSessionExpiry, 1).number(kSessionExpiry, 2)});
              }),
              "",
              "CONNACK 0x82, closed",
              {"not a CONNECT", "why="}},
         });
}

TEST_F(Packets, AfterTheConnect) {
  const std::string bad = "DISCONNECT 0x81, closed", wrong = "DISCONNECT 0x82, closed";
  const std::string violation = "protocol violation";
  const auto flagged = [](uint8_t first, std::string packet) {
    packet[0] = static_cast<char>(first);
    return packet;
  };
  refuse(broker,
         {
             {"a second CONNECT",
              goes_on([](Version v) { return connect_packet({.version = v, .client_id = "again"}); }),
              "closed",
              wrong,
              {violation, "a second CONNECT"}},
             {"a CONNACK from a client",
              goes_on(always(frame(0x20, std::string("\0\0", 2)))),
              "closed",
              wrong,
              {violation, "only a server may send"}},
             {"a SUBACK from a client",
              goes_on(always(frame(0x90, std::string("\0\1\0", 3)))),
              "closed",
              wrong,
              {violation, "only a server may send"}},
             {"a packet of type 0", goes_on(always(frame(0x00, ""))), "closed", bad, {violation, "type 0"}},
             {"a SUBSCRIBE with packet id 0",
              goes_on([](Version v) {
                return subscribe_packet(v, 0, {{"a", 0}});
              }),
              "closed",
              wrong,
              {violation, "identifier"}},
             {"an UNSUBSCRIBE with packet id 0",
              goes_on([](Version v) { return unsubscribe_packet(v, 0, {"a"}); }),
              "closed",
              wrong,
              {violation, "identifier"}},
             {"a PUBLISH of QoS 1 with packet id 0",
              goes_on([](Version v) { return publish_packet(v, {.topic = "a", .qos = 1, .id = 0}); }),
              "closed",
              wrong,
              {violation, "identifier"}},
             {"a SUBSCRIBE without its reserved bits",
              goes_on([=](Version v) {
                return flagged(0x80, subscribe_packet(v, 1, {{"a", 0}}));
              }),
              "closed",
              bad,
              {violation, "reserved flag bits"}},
             {"a PUBREL without its reserved bits",
              goes_on([=](Version v) { return flagged(0x60, reply_packet(v, kPubrel, 1)); }),
              "closed",
              bad,
              {violation, "reserved flag bits"}},
             {"a PUBLISH of QoS 3",
              goes_on([=](Version v) {
                return flagged(0x36, publish_packet(v, {.topic = "a", .qos = 1, .id = 1}));
              }),
              "closed",
              bad,
              {violation, "both QoS bits"}},
             {"a PUBLISH that repeats what has no answer",
              goes_on([=](Version v) { return flagged(0x38, publish_packet(v, {.topic = "a"})); }),
              "closed",
              bad,
              {violation, "DUP"}},
             {"a SUBSCRIBE without a filter",
              goes_on([](Version v) { return subscribe_packet(v, 1, {}); }),
              "closed",
              wrong,
              {violation, "what="}},
             {"a SUBSCRIBE of QoS 3",
              goes_on([](Version v) {
                return subscribe_packet(v, 1, {{"a", 3}});
              }),
              "closed",
              wrong,
              {violation, "what="}},
             {"a SUBSCRIBE with reserved options",
              goes_on([](Version v) {
                return subscribe_packet(v, 1, {{"a", 0xC0}});
              }),
              "closed",
              bad,
              {violation, "what="}},
             {"a property of another packet",
              goes_on([](Version v) {
                return publish_packet(v, {.topic = "a", .properties = with(kServerKeepAlive, 1)});
              }),
              "",
              bad,
              {violation, "what="}},
             {"a packet that is too large",
              goes_on([](Version v) {
                return publish_packet(v, {.topic = "a", .payload = std::string(20'000, 'x')});
              }),
              "closed",
              "DISCONNECT 0x95, closed",
              {violation, "what="}},
             {"a packet that only says that it is too large",
              goes_on(always(std::string("\x30\xFF\xFF\xFF\x7F", 5))),
              "closed",
              "DISCONNECT 0x95, closed",
              {violation, "what="}},
             {"more unanswered messages than there may be",
              [&](Version) {
                Client client({.client_id = unique("red")}, broker.port());
                std::string packets;
                for (uint16_t id = 1; id <= 12; ++id)
                  packets += publish_packet(v5, {.topic = "a", .qos = 2, .id = id});
                client.send(packets);
                std::string end = end_of(client);  // some were answered before
                return end.substr(end.rfind("DISCONNECT"));
              },
              "",
              "DISCONNECT 0x93, closed",
              {"connection ended", "Receive Maximum"}},
             {"an expiry at the end that the session never had",
              goes_on([](Version v) { return disconnect_packet(v, 0, with(kSessionExpiry, 600)); }),
              "",
              wrong,
              {"connection ended", "cannot get one at its end"}},
             {"a PUBACK for what was never sent, and HTTP behind it",
              goes_on([](Version v) { return reply_packet(v, kPuback, 9) + "GET / HTTP/1.1\r\n\r\n"; }),
              "closed",
              bad,
              {violation, "what="}},
         });
}

}  // namespace courier::scenario::red_team
