#include "gateway/listener.h"

#include <sys/resource.h>

#include "gateway/node_test_bed.h"
#include "net/errc.h"
#include "net/proxy_header.h"

namespace courier::gateway {
namespace {

using mqtt::Connack;
using mqtt::ReasonCode;

ListenerOptions door(net::ProxyMode mode, const std::vector<std::string>& trusted = {"127.0.0.0/8"}) {
  ListenerOptions options{.name = "door", .bind = Bed::loopback()};
  if (mode != net::ProxyMode::off) options.proxy = *net::ProxyPolicy::open(mode, trusted);
  return options;
}

std::string header(uint8_t version, const std::string& client) {
  net::ProxyHeader proxy;
  proxy.source = *net::SocketAddress::parse(client);
  proxy.destination =
      *net::SocketAddress::parse(client.front() == '[' ? "[2001:db8::1]:1883" : "192.0.2.1:1883");
  return version == 1 ? net::encode_proxy_v1(proxy) : net::encode_proxy_v2(proxy, true);
}

double errors(const Bed& bed) {
  return bed.registry.total("courier_proxy_errors_total");
}

TEST(Listener, BothProxyVersionsNameTheRealClient) {
  for (const net::ProxyMode mode : {net::ProxyMode::optional, net::ProxyMode::required}) {
    Bed bed({.listeners = {door(mode)}});
    const std::pair<uint8_t, std::string> cases[] = {{1, "203.0.113.9:4711"},
                                                     {2, "203.0.113.9:4711"},
                                                     {1, "[2001:db8::9]:4711"},
                                                     {2, "[2001:db8::9]:4711"}};
    for (const auto& [version, client] : cases) {
      Phone phone(bed.address());
      // Byte by byte, and the CONNECT right behind it.
      for (const char byte : header(version, client)) phone.send(std::string_view(&byte, 1));
      EXPECT_EQ(phone.connect("phone").reason, ReasonCode::success);
      EXPECT_EQ(bed.authenticator.last_peer(), client);
    }
    // In one piece with the CONNECT.
    Phone phone(bed.address());
    mqtt::Connect connect;
    connect.version = phone.version;
    connect.client_id = "phone";
    phone.send(header(2, "203.0.113.10:1") + Phone::encoded(connect));
    EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::success);
    EXPECT_EQ(bed.authenticator.last_peer(), "203.0.113.10:1");
    EXPECT_EQ(errors(bed), 0);
  }
}

TEST(Listener, WithoutAHeaderAnOptionalDoorServesARequiredOneCloses) {
  Bed bed({.listeners = {door(net::ProxyMode::optional), door(net::ProxyMode::required)}});
  Phone bare(bed.address(0));
  EXPECT_EQ(bare.connect("bare").reason, ReasonCode::success);
  EXPECT_TRUE(bed.authenticator.last_peer().starts_with("127.0.0.1:"));
  EXPECT_EQ(errors(bed), 0);
  Phone refused(bed.address(1));
  mqtt::Connect connect;
  connect.client_id = "bare";
  refused.send(connect);
  EXPECT_TRUE(refused.closed_in_order());
  EXPECT_EQ(errors(bed), 1);
}

TEST(Listener, ABadHeaderClosesAndCounts) {
  Bed bed({.listeners = {door(net::ProxyMode::optional)}});
  Phone one(bed.address());
  one.send("PROXY TCP4 203.0.113.9 192.0.2.1 99999 1883\r\n");
  EXPECT_TRUE(one.closed_in_order());
  Phone endless(bed.address());
  endless.send("PROXY " + std::string(200, 'x'));
  EXPECT_TRUE(endless.closed_in_order());
  EXPECT_EQ(errors(bed), 2);
}

TEST(Listener, AHeaderFromAPeerThatIsNotTrustedIsABadOne) {
  Bed bed({.listeners = {door(net::ProxyMode::optional, {"192.0.2.0/24"}),
                         door(net::ProxyMode::required, {"192.0.2.0/24"})}});
  for (const size_t i : {0, 1}) {
    Phone phone(bed.address(i));
    phone.send(header(1, "203.0.113.9:4711"));
    EXPECT_TRUE(phone.closed_in_order());
    EXPECT_EQ(errors(bed), i + 1);
  }
  // At the optional door it is a client like any other, if it does not pretend.
  Phone honest(bed.address(0));
  EXPECT_EQ(honest.connect("honest").reason, ReasonCode::success);
  EXPECT_EQ(errors(bed), 2);
}

TEST(Listener, HealthProbesAreSilent) {
  Bed bed(
      {.connections = {.connect_timeout_ns = 100'000'000}, .listeners = {door(net::ProxyMode::required)}});
  net::ProxyHeader local;
  local.local = true;
  for (const std::string& bytes :
       {std::string(), net::encode_proxy_v2(local), std::string("PROXY UNKNOWN\r\n"), std::string("PROXY TC"),
        header(1, "203.0.113.9:4711")}) {
    Phone probe(bed.address());
    if (!bytes.empty()) probe.send(bytes);
  }
  EXPECT_TRUE(Bed::soon([&] {
    return bed.registry.total("courier_accepts_total") == 5 && bed.registry.total("courier_connections") == 0;
  }));
  EXPECT_EQ(errors(bed), 0);
  EXPECT_EQ(bed.registry.value("courier_disconnects_total", {{"reason", "connect_timeout"}}), 0);
  EXPECT_EQ(bed.registry.total("courier_protocol_violations_total"), 0);
}

TEST(Listener, ALocalHeaderLeavesTheConnectionsOwnAddress) {
  Bed bed({.listeners = {door(net::ProxyMode::required)}});
  net::ProxyHeader local;
  local.local = true;
  Phone phone(bed.address());
  phone.send(net::encode_proxy_v2(local));
  EXPECT_EQ(phone.connect("check").reason, ReasonCode::success);
  EXPECT_TRUE(bed.authenticator.last_peer().starts_with("127.0.0.1:"));
}

TEST(Listener, OneMoreThanItsLimitIsClosedAtOnceAndAPlaceThatFreesIsGiven) {
  ListenerOptions options = door(net::ProxyMode::off);
  options.connections_max = 2;
  Bed bed({.listeners = {options}});
  Phone first(bed.address());
  first.connect("first");
  {
    Phone second(bed.address());
    second.connect("second");
    Phone third(bed.address());
    EXPECT_TRUE(third.closed_in_order());
    EXPECT_EQ(bed.registry.value("courier_accepts_refused_total",
                                 {{"listener", "door"}, {"reason", "connections_max"}}),
              1);
    EXPECT_EQ(bed.registry.value("courier_connections", {{"listener", "door"}}), 2);
  }
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.total("courier_connections") == 1; }));
  Phone again(bed.address());
  EXPECT_EQ(again.connect("again").reason, ReasonCode::success);
}

TEST(Listener, MountpointsAreApart) {
  ListenerOptions tenant = door(net::ProxyMode::off);
  tenant.name = "tenant";
  tenant.mountpoint = "tenant";
  Bed bed({.listeners = {door(net::ProxyMode::off), tenant}});
  Phone here(bed.address(0)), there(bed.address(1));
  here.connect("same");
  there.connect("same");
  here.send(mqtt::Pingreq{});  // not taken over: another mountpoint, another client
  here.expect<mqtt::Pingresp>();
  EXPECT_EQ(bed.registry.value("courier_connections", {{"listener", "tenant"}}), 1);
}

TEST(Listener, ExtensionsOf311AreTakenWhereTheDoorSaysSo) {
  ListenerOptions lenient = door(net::ProxyMode::off);
  lenient.v3_1_1_extensions = true;
  Bed bed({.listeners = {door(net::ProxyMode::off), lenient}});
  // A CONNECT with a password and a user property a=b behind it.
  const std::string connect(
      "\x10\x1c\x00\x04MQTT\x04\xc2\x00\x00\x00\x01"
      "c\x00\x01u\x00\x01p\x26\x00\x01"
      "a\x00\x01"
      "b",
      28);
  for (const size_t i : {0, 1}) {
    Phone phone(bed.address(i), mqtt::Version::v3_1_1);
    std::string bytes = connect;
    bytes[1] = static_cast<char>(bytes.size() - 2);
    phone.send(bytes);
    if (i == 0) {
      EXPECT_TRUE(phone.closed_in_order());
    } else {
      EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::success);
    }
  }
}

TEST(Listener, APortInUseIsSaidWithItsListener) {
  Bed bed;
  Registry registry;
  auto taken = net::Listener::open(Bed::loopback());
  ASSERT_TRUE(taken);
  const auto result = bed.gateway->listen({{.name = "mobile", .bind = taken->address()}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, make_error_code(net::errc::address_in_use));
  EXPECT_NE(result.error().message.find("mobile"), std::string::npos);
  // Another broker's port too, although its sockets would share it.
  const auto shared = bed.gateway->listen({{.name = "mobile", .bind = bed.address()}});
  ASSERT_FALSE(shared);
  EXPECT_EQ(shared.error().code, make_error_code(net::errc::address_in_use));
}

TEST(Listener, IPv6AndUnixSocketsServeToo) {
  const std::string path = "/tmp/courier-gateway-test-" + std::to_string(::getpid()) + ".sock";
  Bed bed({.listeners = {{.name = "six", .bind = *net::SocketAddress::parse("[::1]:0")},
                         {.name = "local", .bind = *net::SocketAddress::parse("unix:" + path)}}});
  for (const size_t i : {0, 1}) {
    Phone phone(bed.address(i));
    EXPECT_EQ(phone.connect("phone").reason, ReasonCode::success);
  }
}

TEST(Listener, OutOfDescriptorsItRefusesAndComesBack) {
  Bed bed;
  Phone before(bed.address());
  before.connect("before");
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  {
    // Sockets of the phones first: they need descriptors of this very process.
    std::vector<net::Fd> sockets;
    for (int i = 0; i < 4; ++i) {
      const net::NativeAddress native = bed.address().native();
      sockets.emplace_back(::socket(native.storage.ss_family, SOCK_STREAM, 0));
      ASSERT_TRUE(sockets.back());
    }
    const net::Fd probe(::dup(0));
    rlimit tight = old;
    tight.rlim_cur = static_cast<rlim_t>(probe.get());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    const net::NativeAddress native = bed.address().native();
    for (net::Fd& socket : sockets) ASSERT_EQ(::connect(socket.get(), native.get(), native.size), 0);
    // Not all four: while one thread uses its reserve descriptor, another may get it for a connection.
    EXPECT_TRUE(Bed::soon([&] {
      return bed.registry.value("courier_accepts_refused_total",
                                {{"listener", "door"}, {"reason", "no_resources"}}) >= 1;
    }));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  }
  before.send(mqtt::Pingreq{});
  before.expect<mqtt::Pingresp>();
  Phone after(bed.address());
  EXPECT_EQ(after.connect("after").reason, ReasonCode::success);
}

}  // namespace
}  // namespace courier::gateway
