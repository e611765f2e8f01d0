// What comes of Admission's word and of bans, on real sockets.
#include <gtest/gtest.h>

#include <thread>

#include "gateway/limits.h"
#include "gateway/node_test_bed.h"

namespace courier::gateway {
namespace {

using mqtt::Auth;
using mqtt::Connack;
using mqtt::Connect;
using mqtt::Disconnect;
using mqtt::ReasonCode;
using mqtt::Version;
using Kind = admission::BanTarget::Kind;

double turned_away(Bed& bed, const char* reason) {
  return bed.registry.value("courier_accepts_refused_total", {{"listener", "door"}, {"reason", reason}})
      .value_or(0);
}

TEST(Door, WhoIsTooManyIsToldAtItsConnect) {
  Bed bed({.admission = {.connects_per_second = 0.001, .connects_burst = 2}});
  Phone first(bed.address()), second(bed.address(), Version::v3_1_1);
  EXPECT_EQ(first.connect("a").reason, ReasonCode::success);
  EXPECT_EQ(second.connect("b").reason, ReasonCode::success);
  Phone third(bed.address()), fourth(bed.address(), Version::v3_1_1);
  EXPECT_EQ(third.connect("c").reason, ReasonCode::connection_rate_exceeded);
  EXPECT_TRUE(third.closed_in_order());
  EXPECT_EQ(fourth.connect("d").reason, ReasonCode::server_unavailable);  // return code 3
  EXPECT_EQ(turned_away(bed, "rate"), 2);
}

TEST(Door, WhoMustWaitIsServedWhenItsTurnComes) {
  Bed bed(
      {.admission = {
           .connects_per_second = 20, .connects_burst = 1, .delay_max_ns = kNsPerSecond, .delayed_max = 10}});
  const MonoNs began = system_clock().mono_ns();
  std::vector<std::unique_ptr<Phone>> phones;
  for (int i = 0; i < 5; ++i) {
    auto& phone = phones.emplace_back(std::make_unique<Phone>(bed.address()));
    phone->send(Connect{.version = Version::v5, .client_id = "phone-" + std::to_string(i)});
  }
  for (auto& phone : phones) EXPECT_EQ(phone->expect<Connack>().reason, ReasonCode::success);
  EXPECT_GE(system_clock().mono_ns() - began, kNsPerSecond / 5);
  EXPECT_EQ(bed.registry.value("courier_admission_delayed_total"), 4);
  EXPECT_EQ(bed.registry.value("courier_admission_waiting"), 0);
}

TEST(Door, WhoGivesUpWaitingLeavesNothingBehind) {
  Bed bed({.admission = {.connects_per_second = 0.2,
                         .connects_burst = 1,
                         .delay_max_ns = 10 * kNsPerSecond,
                         .delayed_max = 10}});
  Phone first(bed.address());
  EXPECT_EQ(first.connect("a").reason, ReasonCode::success);
  {
    Phone second(bed.address());
    EXPECT_TRUE(Bed::soon([&] { return bed.registry.value("courier_admission_waiting") == 1; }));
    // A reset: of one that only finished sending, nothing is heard before its turn.
    const linger hard{1, 0};
    ::setsockopt(second.socket.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  EXPECT_TRUE(Bed::soon([&] { return bed.registry.value("courier_admission_waiting") == 0; }));
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->connections() == 1; }));
}

TEST(Door, OneSourcesStrangersMakeRoomOnceTheyAreKnown) {
  Bed bed({.admission = {.source_strangers_max = 2}});
  const auto here = *net::SocketAddress::parse("127.0.0.1:1");
  Phone first(bed.address()), second(bed.address());
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->connections() == 2; }));
  Phone third(bed.address());
  EXPECT_FALSE(third.more());
  EXPECT_EQ(turned_away(bed, "source_strangers"), 1);
  EXPECT_EQ(first.connect("a").reason, ReasonCode::success);
  Phone fourth(bed.address());
  EXPECT_EQ(fourth.connect("b").reason, ReasonCode::success);
  second.socket.reset();
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->admission().strangers(here) == 0; }));
  EXPECT_EQ(bed.gateway->admission().connections(here), 2u);
  first.socket.reset();
  fourth.socket.reset();
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->admission().connections(here) == 0; }));
}

TEST(Door, ASourceWithTooManyConnectionsIsToldSo) {
  Bed bed({.admission = {.source_connections_max = 1}});
  Phone first(bed.address());
  EXPECT_EQ(first.connect("a").reason, ReasonCode::success);
  EXPECT_EQ(Phone(bed.address()).connect("b").reason, ReasonCode::quota_exceeded);
  EXPECT_TRUE(Bed::soon([&] { return bed.gateway->connections() == 1; }));
  bed.gateway->admission().use({});
  EXPECT_EQ(Phone(bed.address()).connect("c").reason, ReasonCode::success);
}

// Behind a balancer the source is who the header says, and it counts from the header on.
TEST(Door, TheSourceIsTheOneThatTheProxyHeaderNames) {
  const auto proxy = *net::ProxyPolicy::open(net::ProxyMode::required, {"127.0.0.0/8"});
  Bed bed({.listeners = {{.name = "door", .bind = Bed::loopback(), .proxy = proxy}},
           .admission = {.source_connects_per_second = 0.001, .source_connects_burst = 1}});
  const auto come = [&](const char* from, const char* id) {
    Phone phone(bed.address());
    phone.send(std::string("PROXY TCP4 ") + from + " 192.0.2.1 40000 1883\r\n");
    return phone.connect(id).reason;
  };
  EXPECT_EQ(come("198.51.100.1", "a"), ReasonCode::success);
  EXPECT_EQ(come("198.51.100.1", "b"), ReasonCode::connection_rate_exceeded);
  EXPECT_EQ(come("198.51.100.2", "c"), ReasonCode::success);
  ASSERT_TRUE(bed.bans->add({Kind::address, "198.51.100.3", {}}, "", "test", 0));
  Phone banned(bed.address());
  banned.send("PROXY TCP4 198.51.100.3 192.0.2.1 40000 1883\r\n");
  EXPECT_FALSE(banned.more());
  EXPECT_EQ(turned_away(bed, "banned"), 1);
}

// A header and a CONNECT in one piece, while its turn has not come.
TEST(Door, WhatCameBehindTheHeaderWaitsWithIt) {
  const auto proxy = *net::ProxyPolicy::open(net::ProxyMode::optional, {"127.0.0.0/8"});
  Bed bed(
      {.listeners = {{.name = "door", .bind = Bed::loopback(), .proxy = proxy}},
       .admission = {
           .connects_per_second = 10, .connects_burst = 1, .delay_max_ns = kNsPerSecond, .delayed_max = 10}});
  std::vector<std::unique_ptr<Phone>> phones;
  for (const char* header : {"PROXY TCP4 198.51.100.1 192.0.2.1 40000 1883\r\n", "", "PROXY UNKNOWN\r\n"}) {
    auto& phone = phones.emplace_back(std::make_unique<Phone>(bed.address()));
    phone->send(header + Phone::encoded(Connect{.version = Version::v5, .client_id = header}));
  }
  for (auto& phone : phones) EXPECT_EQ(phone->expect<Connack>().reason, ReasonCode::success);
}

TEST(Door, BannedAddressesAreClosedBeforeAWord) {
  Bed bed;
  const auto ban = bed.bans->add({Kind::address, "127.0.0.0/8", {}}, "scans", "test", 0);
  ASSERT_TRUE(ban);
  Phone phone(bed.address());
  EXPECT_FALSE(phone.more());
  EXPECT_EQ(turned_away(bed, "banned"), 1);
  bed.bans->remove(ban->id);
  EXPECT_EQ(Phone(bed.address()).connect("a").reason, ReasonCode::success);
}

TEST(Door, BannedNamesAreRefusedInTheWordsOfTheirVersion) {
  Bed bed;
  ASSERT_TRUE(bed.bans->add({Kind::client_id, "phone-7", {}}, "stolen", "test", 0));
  ASSERT_TRUE(bed.bans->add({Kind::username, "eve", ""}, "", "test", 0));
  ASSERT_TRUE(bed.bans->add({Kind::client_id, "phone-8", "elsewhere"}, "", "test", 0));
  Phone phone(bed.address());
  const Connack refused = phone.connect("phone-7");
  EXPECT_EQ(refused.reason, ReasonCode::banned);
  EXPECT_FALSE(refused.reason_string);  // why is no stranger's business
  EXPECT_EQ(Phone(bed.address(), Version::v3_1_1).connect("phone-7").reason,
            ReasonCode::not_authorized);  // 5
  EXPECT_EQ(Phone(bed.address()).connect("a", Connect{.username = "eve"}).reason, ReasonCode::banned);
  EXPECT_EQ(Phone(bed.address()).connect("phone-8").reason, ReasonCode::success);
}

TEST(Door, ABanEndsWhoIsHereAtOnce) {
  Bed bed;
  Phone seven(bed.address()), eight(bed.address()), nine(bed.address(), Version::v3_1_1);
  EXPECT_EQ(seven.connect("phone-7").reason, ReasonCode::success);
  EXPECT_EQ(eight.connect("phone-8").reason, ReasonCode::success);
  EXPECT_EQ(nine.connect("phone-9").reason, ReasonCode::success);
  ASSERT_TRUE(bed.bans->add({Kind::client_id, "phone-7", {}}, "stolen", "test", 0));
  EXPECT_EQ(seven.expect<Disconnect>().reason, ReasonCode::administrative_action);
  EXPECT_TRUE(seven.closed_in_order());
  EXPECT_EQ(bed.registry.value("courier_disconnects_total", {{"reason", "banned"}}), 1);
  ASSERT_TRUE(bed.bans->add({Kind::address, "127.0.0.1", {}}, "", "test", 0));
  EXPECT_EQ(eight.expect<Disconnect>().reason, ReasonCode::administrative_action);
  EXPECT_TRUE(nine.closed_in_order());
}

TEST(Door, ABanHitsWhoWaitsForItsAuthenticator) {
  Bed bed;
  bed.authenticator.hold();
  Phone phone(bed.address());
  phone.send(Connect{.version = Version::v5, .client_id = "phone-7"});
  EXPECT_TRUE(Bed::soon([&] { return bed.authenticator.waiting() == 1; }));
  ASSERT_TRUE(bed.bans->add({Kind::client_id, "phone-7", {}}, "", "test", 0));
  EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::banned);
  bed.authenticator.let_go();
}

TEST(Door, WhoFlapsIsBannedWithTheOneItFights) {
  Bed bed({.flapping = {.connects = 3, .within_ns = 3600 * kNsPerSecond, .ban_ms = 60'000}});
  std::vector<std::unique_ptr<Phone>> fighters;
  for (int i = 0; i < 3; ++i) {
    auto& phone = fighters.emplace_back(std::make_unique<Phone>(bed.address()));
    EXPECT_EQ(phone->connect("phone-7").reason, ReasonCode::success);
  }
  EXPECT_EQ(Phone(bed.address()).connect("phone-7").reason, ReasonCode::banned);
  EXPECT_EQ(fighters.back()->expect<Disconnect>().reason, ReasonCode::administrative_action);
  const auto bans = bed.bans->list(0, 10);
  ASSERT_EQ(bans.size(), 1u);
  EXPECT_EQ(bans[0].made_by, "flapping");
  EXPECT_EQ(bans[0].target, (admission::BanTarget{Kind::client_id, "phone-7", ""}));
  EXPECT_EQ(Phone(bed.address()).connect("phone-8").reason, ReasonCode::success);
}

// Whoever is asked about a client and never answers holds nobody up for ever.
TEST(Door, AnAuthenticatorThatNeverAnswersIsNotWaitedForForEver) {
  Bed bed({.connections = {.authenticate_timeout_ns = 200 * kNsPerMs}});
  bed.authenticator.hold();
  Phone five(bed.address()), four(bed.address(), Version::v3_1_1);
  five.send(Connect{.version = Version::v5, .client_id = "a"});
  four.send(Connect{.version = Version::v3_1_1, .client_id = "b"});
  EXPECT_EQ(five.expect<Connack>().reason, ReasonCode::server_busy);
  EXPECT_TRUE(five.closed_in_order());
  EXPECT_EQ(four.expect<Connack>().reason, ReasonCode::server_unavailable);
  bed.authenticator.let_go();  // an answer that nobody waits for
  EXPECT_EQ(Phone(bed.address()).connect("c").reason, ReasonCode::success);
}

// What a stranger sends behind its CONNECT stays with the kernel, but for what one CONNECT may have.
TEST(Door, OfAStrangerNoMoreIsReadThanAConnectMayHave) {
  Bed bed({.connections = {.connect_bytes_max = 2000}});
  bed.authenticator.hold();
  Phone phone(bed.address());
  std::string bytes = Phone::encoded(Connect{.version = Version::v5, .client_id = "a"});
  for (int i = 0; i < 20'000; ++i) bytes += Phone::encoded(mqtt::Pingreq{});
  phone.send(bytes);
  EXPECT_TRUE(Bed::soon([&] { return bed.authenticator.waiting() == 1; }));
  EXPECT_LE(bed.registry.total("courier_bytes_received_total"), static_cast<double>(kStrangerReadBytesMax));
  bed.authenticator.let_go();
  EXPECT_EQ(phone.expect<Connack>().reason, ReasonCode::success);
  for (int i = 0; i < 20'000; ++i) phone.expect<mqtt::Pingresp>();
}

}  // namespace
}  // namespace courier::gateway
