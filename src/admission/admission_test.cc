#include "admission/admission.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace courier::admission {
namespace {

constexpr MonoNs kNow = 1000 * kNsPerSecond;

net::SocketAddress at(const std::string& ip, uint16_t port = 1000) {
  return *net::SocketAddress::from_ip(ip, port);
}

class AdmissionTest : public ::testing::Test {
 protected:
  Admission& with(const Options& options, Bans* bans = nullptr) {
    return made.emplace(options, bans, registry);
  }
  Registry registry;
  std::optional<Admission> made;
};

TEST_F(AdmissionTest, WithoutSettingsEverybodyComesIn) {
  Admission& door = with({});
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(door.arrive(at("192.0.2.1"), true, kNow).verdict, Verdict::admit);
  }
}

TEST_F(AdmissionTest, ABurstComesInAndThenTheRate) {
  Admission& door = with({.connects_per_second = 10, .connects_burst = 5});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(door.arrive(at(fmt::format("192.0.2.{}", i)), false, kNow).verdict, Verdict::admit);
  }
  const Arrival refused = door.arrive(at("192.0.2.9"), false, kNow);
  EXPECT_EQ(refused.verdict, Verdict::close);
  EXPECT_EQ(refused.limit, Limit::rate);
  EXPECT_FALSE(refused.counted);
  EXPECT_EQ(door.arrive(at("192.0.2.9"), false, kNow + kNsPerSecond / 10).verdict, Verdict::admit);
}

// Ten times the rate, for ten seconds: what comes in is the rate, evenly.
TEST_F(AdmissionTest, TenfoldLoadIsLetInAtTheFullRate) {
  Admission& door = with(
      {.connects_per_second = 1000, .connects_burst = 1, .delay_max_ns = kNsPerSecond, .delayed_max = 100});
  uint64_t admitted = 0, delayed_now = 0;
  std::vector<MonoNs> turns;
  for (int i = 0; i < 100'000; ++i) {
    const MonoNs now = kNow + i * (kNsPerSecond / 10'000);
    while (!turns.empty() && turns.front() <= now) {
      turns.erase(turns.begin());
      door.waited();
      --delayed_now;
    }
    const Arrival arrival = door.arrive(at(fmt::format("10.0.{}.{}", i % 200, i % 250)), false, now);
    if (arrival.verdict == Verdict::close) continue;
    ++admitted;
    if (arrival.verdict != Verdict::delay) continue;
    turns.push_back(now + arrival.wait);
    EXPECT_LE(++delayed_now, 100u);
    EXPECT_LE(arrival.wait, kNsPerSecond);
  }
  EXPECT_GE(admitted, 9'900u);
  EXPECT_LE(admitted, 10'200u);
}

TEST_F(AdmissionTest, WhoWaitsIsBoundedInNumberAndTime) {
  Admission& door = with(
      {.connects_per_second = 10, .connects_burst = 1, .delay_max_ns = kNsPerSecond / 2, .delayed_max = 3});
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::admit);
  for (int i = 1; i <= 3; ++i) {
    const Arrival arrival = door.arrive(at("192.0.2.1"), false, kNow);
    EXPECT_EQ(arrival.verdict, Verdict::delay);
    EXPECT_EQ(arrival.wait, i * kNsPerSecond / 10);
  }
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::close);  // three wait
  door.waited();
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::delay);
  door.waited();
  door.waited();
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::delay);
  door.waited();
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::close);  // half a second is owed
}

TEST_F(AdmissionTest, OneSourceTakesNothingFromTheOthers) {
  Admission& door = with({.connects_per_second = 100, .source_connects_per_second = 10});
  int loud = 0;
  for (int i = 0; i < 1000; ++i) loud += door.arrive(at("192.0.2.1"), false, kNow).verdict == Verdict::admit;
  EXPECT_EQ(loud, 10);
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).limit, Limit::source_rate);
  int others = 0;
  for (int i = 0; i < 90; ++i) {
    others += door.arrive(at(fmt::format("198.51.100.{}", i)), false, kNow).verdict == Verdict::admit;
  }
  EXPECT_EQ(others, 90);
}

TEST_F(AdmissionTest, ASourceIsTheNetworkThatItIsSaidToBe) {
  Admission& door = with({.source_prefix_v4 = 24, .source_prefix_v6 = 56, .source_strangers_max = 1});
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::admit);
  EXPECT_EQ(door.arrive(at("192.0.2.200"), false, kNow).limit, Limit::source_strangers);
  EXPECT_EQ(door.arrive(at("192.0.3.1"), false, kNow).verdict, Verdict::admit);
  EXPECT_EQ(door.arrive(at("2001:db8:0:1::1"), false, kNow).verdict, Verdict::admit);
  EXPECT_EQ(door.arrive(at("2001:db8:0:ff::2"), false, kNow).limit, Limit::source_strangers);
  EXPECT_EQ(door.arrive(at("2001:db8:0:100::1"), false, kNow).verdict, Verdict::admit);
}

TEST_F(AdmissionTest, StrangersMakeRoomWhenTheyAreKnownOrGone) {
  Admission& door = with({.source_connections_max = 3, .source_strangers_max = 2});
  const Arrival first = door.arrive(at("192.0.2.1"), false, kNow);
  const Arrival second = door.arrive(at("192.0.2.1"), false, kNow);
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).limit, Limit::source_strangers);
  door.settled(first.source);
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::admit);
  door.settled(first.source);
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).limit, Limit::source_connections);
  door.left(first.source, true);
  door.left(second.source, false);
  EXPECT_EQ(door.strangers(at("192.0.2.1")), 0u);
  EXPECT_EQ(door.connections(at("192.0.2.1")), 1u);
}

TEST_F(AdmissionTest, AFewAreToldWhereThatIsCheap) {
  Admission& door = with({.connects_per_second = 1});
  EXPECT_EQ(door.arrive(at("192.0.2.1"), true, kNow).verdict, Verdict::admit);
  int told = 0;
  for (int i = 0; i < 1000; ++i) {
    const Arrival arrival = door.arrive(at("192.0.2.1"), true, kNow);
    told += arrival.verdict == Verdict::tell;
    EXPECT_EQ(arrival.counted, arrival.verdict == Verdict::tell);  // it holds a descriptor until its CONNECT
  }
  EXPECT_EQ(told, static_cast<int>(kToldPerSecond));
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow + kNsPerSecond / 2).verdict, Verdict::close);
}

TEST_F(AdmissionTest, OtherSettingsHoldFromTheNextConnectionOn) {
  Admission& door = with({.connects_per_second = 1});
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::admit);
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::close);
  door.use({});
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::admit);
  door.use({.source_strangers_max = 2});
  EXPECT_EQ(door.arrive(at("192.0.2.1"), false, kNow).verdict, Verdict::close);  // who was here is counted
}

TEST_F(AdmissionTest, UnixSocketsAreNoSource) {
  Admission& door =
      with({.connects_per_second = 2, .source_connects_per_second = 1, .source_strangers_max = 1});
  const auto local = *net::SocketAddress::unix_path("");
  EXPECT_FALSE(door.arrive(local, false, kNow).counted);
  EXPECT_EQ(door.arrive(local, false, kNow).verdict, Verdict::admit);
  EXPECT_EQ(door.arrive(local, false, kNow).limit, Limit::rate);
}

TEST_F(AdmissionTest, TheBannedDoNotEvenTakeAToken) {
  auto bans = *Bans::open({}, system_clock(), registry);
  ASSERT_TRUE(bans->add({BanTarget::Kind::address, "192.0.2.0/24", {}}, "", "test", 0));
  Admission& door = with({.connects_per_second = 1}, bans.get());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(door.arrive(at("192.0.2.7"), true, kNow).limit, Limit::banned);
  EXPECT_EQ(door.arrive(at("192.0.3.7"), true, kNow).verdict, Verdict::admit);
  EXPECT_EQ(registry.value("courier_ban_hits_total", {{"kind", "address"}}), 100);
}

// However many sources there are, each finds a place, and few share it with somebody loud.
TEST_F(AdmissionTest, ManySourcesSpreadOverThePlaces) {
  Admission& door = with({.source_strangers_max = 2});
  size_t refused = 0;
  for (unsigned i = 0; i < kSourcePlaces / 4; ++i) {
    const auto source = net::SocketAddress::ipv4(
        {10, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)}, 1);
    refused += door.arrive(source, false, kNow).verdict == Verdict::close ? 1 : 0;
  }
  EXPECT_LT(refused, kSourcePlaces / 4 / 50);
}

}  // namespace
}  // namespace courier::admission
