// PROXY headers, v1 and v2, before anything else: the address that the balancer saw is the client's.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "harness/client.h"

namespace courier::scenario {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string v2(uint8_t command, uint8_t family, const std::string& body) {
  return kSignature + u8(0x20 | command) + u8(family) + u16(static_cast<unsigned>(body.size())) + body;
}
std::string v2_ipv4(const char* source, uint16_t port, const std::string& tlvs = "") {
  in_addr from{}, to{};
  ::inet_pton(AF_INET, source, &from);
  ::inet_pton(AF_INET, "127.0.0.1", &to);
  return v2(1, 0x11,
            std::string(reinterpret_cast<const char*>(&from), 4) +
                std::string(reinterpret_cast<const char*>(&to), 4) + u16(port) + u16(1883) + tlvs);
}
std::string v2_ipv6(const char* source, uint16_t port) {
  in6_addr from{}, to{};
  ::inet_pton(AF_INET6, source, &from);
  ::inet_pton(AF_INET6, "::1", &to);
  return v2(1, 0x21,
            std::string(reinterpret_cast<const char*>(&from), 16) +
                std::string(reinterpret_cast<const char*>(&to), 16) + u16(port) + u16(1883));
}

class Proxy : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  // A client behind this header is served, and the log of its end names its address.
  void expect_served(uint16_t port, const std::string& header, const std::string& address) {
    Client client = Client::open(port);
    client.send(header);
    EXPECT_EQ(client.handshake({.client_id = unique("proxied")}).reason, 0);
    client.ping();
    client.disconnect();
    if (!address.empty()) shared_broker().expect_in_log(address);
  }
  void expect_closed(uint16_t port, const std::string& bytes) {
    Client client = Client::open(port);
    client.send(bytes);
    client.finish_sending();
    EXPECT_EQ(client.read_to_end(), "");
  }
};

}  // namespace

TEST_F(Proxy, RequiredListenerTakesBothVersions) {
  const uint16_t port = shared_broker().proxy_required_port();
  expect_served(port, "PROXY TCP4 203.0.113.7 10.0.0.1 51001 1883\r\n", "203.0.113.7:51001");
  expect_served(port, "PROXY TCP6 2001:db8::7 ::1 51002 1883\r\n", "[2001:db8::7]:51002");
  expect_served(port, v2_ipv4("203.0.113.8", 51003), "203.0.113.8:51003");
  expect_served(port, v2_ipv6("2001:db8::8", 51004), "[2001:db8::8]:51004");
}

TEST_F(Proxy, RequiredListenerClosesConnectionsWithoutOne) {
  const uint16_t port = shared_broker().proxy_required_port();
  expect_closed(port, connect_packet({.client_id = unique("bare")}));
  expect_closed(port, "PROXY TCP4 203.0.113.7 10.0.0.1 51001\r\n");
  expect_closed(port, "PROXY TCP4 999.0.113.7 10.0.0.1 51001 1883\r\n");
  expect_closed(port, "PROXY TCP4 203.0.113.7 10.0.0.1 51001 1883" + std::string(200, ' '));
  expect_closed(port, v2(1, 0x11, "short"));
  expect_closed(port, v2(3, 0x11, std::string(12, 'x')));
}

TEST_F(Proxy, OptionalListenerTellsThemApart) {
  const uint16_t port = shared_broker().proxy_optional_port();
  expect_served(port, "PROXY TCP4 203.0.113.9 10.0.0.1 51005 1883\r\n", "203.0.113.9:51005");
  expect_served(port, v2_ipv4("203.0.113.10", 51006), "203.0.113.10:51006");
  expect_served(port, "", "");
}

TEST_F(Proxy, ListenerWithoutProxyRefusesAHeader) {
  expect_closed(shared_broker().port(),
                "PROXY TCP4 203.0.113.7 10.0.0.1 51001 1883\r\n" + connect_packet({.client_id = "x"}));
}

// UNKNOWN (v1) and LOCAL (v2) keep the socket's own address.
TEST_F(Proxy, UnknownAndLocalAreServedAsTheyCame) {
  const uint16_t port = shared_broker().proxy_required_port();
  expect_served(port, "PROXY UNKNOWN\r\n", "");
  expect_served(port, v2(0, 0x00, ""), "");
}

TEST_F(Proxy, HeaderMayArriveByteByByteAndTogetherWithConnect) {
  const uint16_t port = shared_broker().proxy_required_port();
  for (const std::string& header :
       {std::string("PROXY TCP4 203.0.113.11 10.0.0.1 51007 1883\r\n"), v2_ipv4("203.0.113.12", 51008)}) {
    Client slow = Client::open(port);
    for (const char byte : header) slow.send(std::string(1, byte));
    EXPECT_EQ(slow.handshake({.client_id = unique("slow")}).reason, 0);
    Client once = Client::open(port);
    once.send(header + connect_packet({.client_id = unique("once")}));
    EXPECT_EQ(once.expect(kConnack).reason, 0);
  }
}

// TLVs are read over; a wrong CRC32c is a bad header.
TEST_F(Proxy, TlvsAreAcceptedAndTheirChecksumIsChecked) {
  const uint16_t port = shared_broker().proxy_required_port();
  const auto tlv = [](uint8_t type, const std::string& value) {
    return u8(type) + u16(static_cast<unsigned>(value.size())) + value;
  };
  expect_served(port, v2_ipv4("203.0.113.13", 51009, tlv(0x04, "xx") + tlv(0xEA, "vpc-1")),
                "203.0.113.13:51009");
  expect_closed(port, v2_ipv4("203.0.113.14", 51010, tlv(0x03, u32(0xDEADBEEF))));
}

// Connect-then-close, and a LOCAL header and nothing more, are a balancer's health probes: silent.
TEST_F(Proxy, HealthProbesLeaveNoTraceInTheLog) {
  const uint16_t port = shared_broker().proxy_required_port();
  // Lines of what was before may still be on their way.
  expect_served(port, "PROXY TCP4 203.0.113.16 10.0.0.1 51012 1883\r\n", "203.0.113.16:51012");
  const std::string before = shared_broker().log();
  for (int i = 0; i < 5; ++i) {
    Client::open(port).drop();
    Client probe = Client::open(port);
    probe.send(v2(0, 0x00, ""));
    probe.finish_sending();
    EXPECT_EQ(probe.read_to_end(), "");
  }
  expect_served(port, "PROXY TCP4 203.0.113.15 10.0.0.1 51011 1883\r\n", "203.0.113.15:51011");
  const std::string since = shared_broker().log().substr(before.size());
  EXPECT_EQ(std::count(since.begin(), since.end(), '\n'), 1) << since;
}

}  // namespace courier::scenario
