// What somebody whom nobody has let in may cost: bytes that the broker holds for it, and how long. Measured,
// for everything that one can leave unfinished.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include "admission/doors.h"
#include "admission/raw_socket.h"
#include "harness/client.h"

namespace courier::scenario {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr size_t kStrangers = 1500;
// limits.connect_bytes_max as it comes, and a packet that fills it.
constexpr size_t kConnectBytes = 3 * 1024;
constexpr const char* kPatient = "[limits]\nconnect_timeout = \"60s\"\nauthenticate_timeout = \"60s\"\n";

size_t resident_bytes(const Broker& broker) {
  std::ifstream file("/proc/" + std::to_string(broker.pid()) + "/statm");
  size_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

bool soon(const std::function<bool()>& condition) {
  const auto until = Steady::now() + kPatience;
  while (!condition()) {
    if (Steady::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

double open_connections(const Doors& doors, const std::string& listener) {
  return doors.broker->metric("courier_connections{listener=\"" + listener + "\"}");
}

// Until the broker has worked off what came: all are there, and its memory stands still.
size_t settled(const Doors& doors, const std::string& listener, size_t strangers) {
  EXPECT_TRUE(soon([&] { return open_connections(doors, listener) >= static_cast<double>(strangers); }))
      << open_connections(doors, listener);
  size_t before = 0, now = resident_bytes(*doors.broker);
  for (int i = 0; i < 100 && now != before; ++i) {
    before = now;
    std::this_thread::sleep_for(milliseconds(150));
    now = resident_bytes(*doors.broker);
  }
  return now;
}

// Bytes that each of many strangers costs, who all do the same. Of memory that is resident, whatever it is
// for.
double cost(Doors& doors, const std::string& listener, uint16_t port, const char* what,
            const std::function<void(RawSocket&)>& act) {
  std::vector<RawSocket> strangers;
  strangers.reserve(kStrangers + 1);
  // What the first of them makes once for all: tables, buffers of the threads, pages of the program.
  for (int i = 0; i < 64; ++i) {
    RawSocket warm(port);
    act(warm);
  }
  EXPECT_TRUE(soon([&] { return open_connections(doors, listener) == 0; }));
  const size_t before = settled(doors, listener, 0);
  for (size_t i = 0; i < kStrangers; ++i) act(strangers.emplace_back(port));
  const size_t after = settled(doors, listener, kStrangers);
  const double each = (static_cast<double>(after) - static_cast<double>(before)) / kStrangers;
  std::cout << "[ measured ] " << what << ": " << static_cast<int64_t>(each) << " bytes a stranger\n";
  ::testing::Test::RecordProperty(what, static_cast<int>(each));
  EXPECT_EQ(open_connections(doors, listener), kStrangers) << what;
  return each;
}

// A CONNECT of this size: its password fills it.
std::string connect_of(size_t bytes, Connect connect = {.version = v5, .client_id = "stranger"}) {
  connect.username = "somebody";
  connect.password = "";
  const size_t empty = connect_packet(connect).size();
  connect.password = std::string(bytes - empty - 1, 'x');  // a length of two bytes
  const std::string packet = connect_packet(connect);
  EXPECT_EQ(packet.size(), bytes);
  return packet;
}

std::string half_proxy_header() {
  std::string header("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
  header += u16(4000);  // address and TLVs
  return header + std::string(3900, 'x');
}

std::string half_hello(Doors& doors) {
  std::string hello;
  doors.transport()->start(hello);
  return hello.substr(0, hello.size() - 1);
}

}  // namespace

TEST(Strangers, HoldEightKilobytesAtMost) {
  COURIER_ONLY();
  const std::string connect = connect_of(kConnectBytes);
  {
    Doors doors("mqtt", kPatient);
    EXPECT_LT(cost(doors, "door", doors.port(), "nothing sent", [](RawSocket&) {}), 8192);
  }
  {
    Doors doors("mqtt", kPatient);
    EXPECT_LT(cost(doors, "behind", doors.broker->proxy_required_port(), "half a PROXY header",
                   [](RawSocket& socket) { socket.send(half_proxy_header()); }),
              8192);
  }
  {
    Doors doors("mqtt", kPatient);
    EXPECT_LT(cost(doors, "door", doors.port(), "half a CONNECT",
                   [&](RawSocket& socket) { socket.send(connect.substr(0, connect.size() - 1)); }),
              8192);
  }
  {
    Doors doors("mqtt", kPatient);
    EXPECT_LT(cost(doors, "door", doors.port(), "a CONNECT in small pieces",
                   [&](RawSocket& socket) {
                     for (size_t at = 0; at + 97 < connect.size(); at += 97)
                       socket.send(connect.substr(at, 97));
                   }),
              8192);
  }
  {
    Doors doors("ws", kPatient);
    const std::string head =
        "GET /mqtt HTTP/1.1\r\nHost: localhost\r\n" + std::string("X-Endless: ") + std::string(6000, 'x');
    EXPECT_LT(cost(doors, "door", doors.port(), "half a WebSocket upgrade",
                   [&](RawSocket& socket) { socket.send(head); }),
              8192);
  }
  {
    Doors doors("ws", kPatient);
    EXPECT_LT(cost(doors, "door", doors.port(), "WebSocket without CONNECT, unread pongs",
                   [&](RawSocket& socket) {
                     socket.open(*doors.transport());
                     // Ten pings of 125 bytes, masked with zeros.
                     std::string pings;
                     for (int i = 0; i < 10; ++i) {
                       pings += std::string("\x89\xfd\0\0\0\0", 6) + std::string(125, 'p');
                     }
                     socket.send(pings);
                   }),
              8192);
  }
}

// TLS has 64 KB while it shakes hands; open, OpenSSL's own state is what an idle connection has, too.
TEST(Strangers, HoldMoreOnlyWhereTlsDoes) {
  COURIER_ONLY();
  {
    Doors doors("mqtts", kPatient);
    EXPECT_LT(cost(doors, "door", doors.port(), "half a TLS ClientHello",
                   [&](RawSocket& socket) { socket.send(half_hello(doors)); }),
              64 * 1024);
  }
  {
    Doors doors("mqtts", kPatient);
    EXPECT_LT(cost(doors, "door", doors.port(), "TLS without CONNECT",
                   [&](RawSocket& socket) { socket.open(*doors.transport()); }),
              24 * 1024);
  }
}

// The authenticator takes its time: a password that is being checked keeps all others waiting.
TEST(Strangers, HoldEightKilobytesWhileTheyAreAuthenticated) {
  COURIER_ONLY();
  // 256 MB and 64 passes: many seconds. Two links, so that what the second would be asked is kept, too.
  Doors doors("mqtt", kPatient,
              "[auth]\npassword_file = \"{dir}/passwd\"\npassword_workers = 1\npassword_queue_max = 100000\n"
              "allow_anonymous = true\n",
              "somebody:$argon2id$v=19$m=262144,t=64,p=1$c29tZXNhbHRzb21l$"
              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
  RawSocket first(doors.broker->proxy_optional_port());
  first.send(connect_of(200));
  // The worker's own memory is apart: it has touched all of it when the first pass is over.
  ASSERT_TRUE(soon([&] { return resident_bytes(*doors.broker) > 256u << 20; }));
  std::vector<RawSocket> strangers;
  strangers.reserve(kStrangers);
  const size_t before = settled(doors, "door", 0);
  const std::string connect = connect_of(kConnectBytes);
  for (size_t i = 0; i < kStrangers; ++i) strangers.emplace_back(doors.port()).send(connect);
  const size_t after = settled(doors, "door", kStrangers);
  const double each = (static_cast<double>(after) - static_cast<double>(before)) / kStrangers;
  std::cout << "[ measured ] CONNECT that waits for its authenticator: " << static_cast<int64_t>(each)
            << " bytes a stranger\n";
  EXPECT_EQ(open_connections(doors, "door"), kStrangers);
  EXPECT_LT(each, 8192);
}

// However slowly the bytes come: the time is one for all of them.
TEST(Strangers, EndInTime) {
  COURIER_ONLY();
  const std::string times = "[limits]\nconnect_timeout = \"1s\"\nauthenticate_timeout = \"1s\"\n";
  Doors plain("mqtt", times), tls("mqtts", times), web("ws", times);
  const std::string connect = connect_of(kConnectBytes);
  struct Case {
    const char* what;
    uint16_t port;
    std::string drip;
  };
  const Case cases[] = {
      {"nothing", plain.port(), ""},
      {"half a PROXY header", plain.broker->proxy_required_port(), half_proxy_header()},
      {"a slow CONNECT", plain.port(), connect},
      {"a slow CONNECT behind no header", plain.broker->proxy_optional_port(), connect},
      {"endless headers", web.port(), "GET /mqtt HTTP/1.1\r\nX: " + std::string(2000, 'x')},
      {"half a ClientHello", tls.port(), half_hello(tls)},
  };
  for (const Case& one : cases) {
    RawSocket socket(one.port);
    const auto began = Steady::now();
    bool ended = false;
    for (size_t at = 0; !ended && Steady::now() - began < kPatience; ++at) {
      if (at < one.drip.size()) socket.send(one.drip.substr(at, 1));
      static_cast<void>(socket.receive(milliseconds(20), ended));
    }
    const auto took = std::chrono::duration_cast<milliseconds>(Steady::now() - began);
    EXPECT_TRUE(ended) << one.what;
    EXPECT_GE(took, milliseconds(900)) << one.what;
    EXPECT_LE(took, milliseconds(6000)) << one.what;
  }
  RawSocket quiet(tls.port());
  const auto transport = tls.transport();
  quiet.open(*transport);
  const auto began = Steady::now();
  bool ended = false;
  while (!ended && Steady::now() - began < kPatience)
    static_cast<void>(quiet.receive(milliseconds(20), ended));
  EXPECT_TRUE(ended) << "TLS without CONNECT";
  EXPECT_LE(Steady::now() - began, milliseconds(6000));
}

// Nor does an exchange go on for ever: who never answers our AUTH, and who is never decided on.
TEST(Strangers, AreDecidedOnInTime) {
  COURIER_ONLY();
  Doors doors("mqtt", "[limits]\nauthenticate_timeout = \"1s\"\n",
              "[auth]\npassword_file = \"{dir}/passwd\"\npassword_workers = 1\n",
              "somebody:$argon2id$v=19$m=262144,t=64,p=1$c29tZXNhbHRzb21l$"
              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
  Client exchange = Client::open(doors.port());
  Properties method;
  method.text(kAuthMethod, "SCRAM-SHA-256").text(kAuthData, "n,,n=nobody,r=fyko+d2lbbFgONRv9qkxdawL");
  exchange.speak(v5);
  exchange.send(connect_packet({.version = v5, .client_id = "silent", .properties = method}));
  const Packet end = exchange.await(kConnack);
  EXPECT_TRUE(end.reason == 0x87 || end.reason == 0x86) << int{end.reason};
  Client slow = Client::open(doors.port());
  EXPECT_EQ(
      slow.handshake({.version = v5, .client_id = "slow", .username = "somebody", .password = "x"}).reason,
      0x89);
  doors.broker->expect_in_log("limits.authenticate_timeout");
  Client old = Client::open(doors.port());
  EXPECT_EQ(
      old.handshake({.version = v3_1_1, .client_id = "old", .username = "somebody", .password = "x"}).reason,
      3);
}

// A CONNECT that is too long is answered as soon as it is clear in which version, and the log names the
// setting.
TEST(Strangers, AreToldThatTheirConnectIsTooLong) {
  COURIER_ONLY();
  Doors doors("ws", "[limits]\nconnect_bytes_max = \"2KB\"\n");
  Client five = Client::open(doors.broker->proxy_optional_port());
  EXPECT_EQ(
      five.handshake({.version = v5, .client_id = "x", .username = "u", .password = std::string(2048, 'x')})
          .reason,
      0x95);
  Client four = Client::open(doors.broker->proxy_optional_port());
  four.speak(v3_1_1);
  four.send(connect_packet(
      {.version = v3_1_1, .client_id = "x", .username = "u", .password = std::string(2048, 'x')}));
  EXPECT_TRUE(four.read_until_end().empty());
  doors.broker->expect_in_log("limits.connect_bytes_max");
  Client good = Client::open(doors.broker->proxy_optional_port());
  EXPECT_EQ(
      good.handshake({.version = v5, .client_id = "x", .username = "u", .password = std::string(1900, 'x')})
          .reason,
      0);
  // A header of a WebSocket's upgrade without end is answered, too.
  RawSocket endless(doors.port());
  endless.send("GET /mqtt HTTP/1.1\r\nX: " + std::string(7000, 'x'));
  bool ended = false;
  EXPECT_EQ(endless.receive(kPatience, ended).substr(0, 12), "HTTP/1.1 431");
  // And a PROXY header with more TLVs than anybody needs is closed at its announcement.
  RawSocket proxy(doors.broker->proxy_required_port());
  proxy.send(std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16));
  EXPECT_EQ(proxy.receive(kPatience, ended), "");
  EXPECT_TRUE(ended);
}

// One source may have so many connections that say nothing, and no more; who is known does not count.
TEST(Strangers, OfOneSourceAreBounded) {
  COURIER_ONLY();
  Doors doors("mqtt", std::string("[admission]\nsource_strangers_max = 20\n") + kPatient);
  std::vector<RawSocket> silent;
  for (int i = 0; i < 40; ++i) silent.emplace_back(doors.port());
  EXPECT_TRUE(soon([&] {
    return doors.broker->metric(
               "courier_accepts_refused_total{listener=\"door\",reason=\"source_strangers\"}") >= 20;
  }));
  EXPECT_EQ(open_connections(doors, "door"), 20);
  doors.broker->expect_in_log("see=admission.source_strangers_max");
  silent.clear();
  EXPECT_TRUE(soon([&] { return open_connections(doors, "door") == 0; }));
  std::vector<Client> known;
  for (int i = 0; i < 40; ++i) {
    known.push_back(Client::open(doors.port()));
    EXPECT_EQ(known.back().handshake({.version = v5, .client_id = unique("known")}).reason, 0);
  }
}

// Every byte of the wire by itself: records, frames, headers and packets are put together again.
TEST(Strangers, MayComeByteByByte) {
  COURIER_ONLY();
  for (const char* protocol : {"mqtt", "ws", "mqtts", "wss"}) {
    Doors doors(protocol, "");
    for (const bool header : {false, true}) {
      if (header && std::string_view(protocol) != "mqtt") continue;
      RawSocket socket(header ? doors.broker->proxy_required_port() : doors.port());
      if (header) socket.send("PROXY TCP4 198.51.100.7 192.0.2.1 40000 1883\r\n", true);
      const auto transport = doors.transport();
      if (transport) socket.open(*transport, true);
      std::string wire =
          connect_packet({.version = v5, .client_id = "byte-by-byte"}) + "\xc0" + std::string(1, 0);
      if (transport) {
        std::string sealed;
        ASSERT_TRUE(transport->send(wire, sealed));
        wire = sealed;
      }
      socket.send(wire, true);
      std::string plain, reply;
      bool ended = false;
      while (!ended && plain.find('\xd0') == std::string::npos) {
        const std::string came = socket.receive(kPatience, ended);
        if (came.empty()) break;
        if (transport) {
          ASSERT_TRUE(transport->receive(came, plain, reply));
        } else {
          plain += came;
        }
      }
      EXPECT_EQ(plain.substr(0, 1), "\x20") << protocol;
      EXPECT_NE(plain.find('\xd0'), std::string::npos) << protocol << ": no PINGRESP";
    }
  }
}

}  // namespace courier::scenario
