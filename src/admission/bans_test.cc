#include "admission/bans.h"

#include <sys/stat.h>
#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "admission/ban_file.h"
#include "admission/errc.h"
#include "admission/limits.h"

namespace courier::admission {
namespace {

using Kind = BanTarget::Kind;

class WallClock final : public Clock {
 public:
  WallMs wall_ms() const override { return wall; }
  MonoNs mono_ns() const override { return wall * kNsPerMs; }
  WallMs wall = 1'000'000;
};

net::SocketAddress host(const std::string& ip) {
  return *net::SocketAddress::from_ip(ip, 1234);
}

class BansTest : public ::testing::Test {
 protected:
  BansTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "courier-bans-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    path = folder + "/bans";
    open();
  }
  ~BansTest() override { std::filesystem::remove_all(folder); }
  void open() {
    bans.reset();
    auto opened = Bans::open(path, clock, registry);
    ASSERT_TRUE(opened) << opened.error().message;
    bans = *std::move(opened);
  }
  Ban add(Kind kind, const std::string& value, std::optional<std::string> mountpoint = {}, WallMs until = 0) {
    const auto made = bans->add({kind, value, std::move(mountpoint)}, "why", "mo", until);
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : Ban{};
  }

  WallClock clock;
  Registry registry;
  std::string folder, path;
  std::unique_ptr<Bans> bans;
};

TEST_F(BansTest, AddressesAndNetworksAreHit) {
  EXPECT_EQ(add(Kind::address, "192.0.2.7").target.value, "192.0.2.7/32");
  add(Kind::address, "10.0.0.0/8");
  add(Kind::address, "2001:db8::/32");
  EXPECT_TRUE(bans->find(host("192.0.2.7")));
  EXPECT_FALSE(bans->find(host("192.0.2.8")));
  EXPECT_EQ(bans->find(host("10.200.3.4"))->target.value, "10.0.0.0/8");
  EXPECT_TRUE(bans->find(host("2001:db8:1::1")));
  EXPECT_FALSE(bans->find(host("2001:db9::1")));
  EXPECT_TRUE(bans->find_peer("10.1.1.1:5000"));
  EXPECT_TRUE(bans->find_peer("[2001:db8::7]:5000"));
  EXPECT_FALSE(bans->find_peer("unix:"));
}

TEST_F(BansTest, TheNarrowestThatIsInForceIsNamed) {
  add(Kind::address, "0.0.0.0/0");
  const Ban narrow = add(Kind::address, "192.0.2.0/24", {}, clock.wall + 1000);
  EXPECT_EQ(bans->find(host("192.0.2.7"))->id, narrow.id);
  clock.wall += 1000;
  EXPECT_EQ(bans->find(host("192.0.2.7"))->target.value, "0.0.0.0/0");
}

TEST_F(BansTest, NamesAreHitInTheirMountpointOrInAll) {
  add(Kind::username, "mallory");
  add(Kind::client_id, "phone-7", "tenant-a");
  add(Kind::client_id, "phone-8", "");
  EXPECT_TRUE(bans->find(Kind::username, "", "mallory"));
  EXPECT_TRUE(bans->find(Kind::username, "tenant-a", "mallory"));
  EXPECT_FALSE(bans->find(Kind::client_id, "", "mallory"));
  EXPECT_TRUE(bans->find(Kind::client_id, "tenant-a", "phone-7"));
  EXPECT_FALSE(bans->find(Kind::client_id, "", "phone-7"));
  EXPECT_TRUE(bans->find(Kind::client_id, "", "phone-8"));
  EXPECT_FALSE(bans->find(Kind::client_id, "tenant-a", "phone-8"));
}

TEST_F(BansTest, ExpiredOnesHitNobodyAndAreForgotten) {
  add(Kind::username, "mallory", {}, clock.wall + 1000);
  add(Kind::username, "eve");
  EXPECT_TRUE(bans->find(Kind::username, "", "mallory"));
  clock.wall += 1000;
  EXPECT_FALSE(bans->find(Kind::username, "", "mallory"));
  EXPECT_EQ(bans->list(0, 10).size(), 1u);
  EXPECT_EQ(bans->size(), 2u);
  bans->purge();
  EXPECT_EQ(bans->size(), 1u);
  EXPECT_EQ(registry.value("courier_bans", {{"kind", "username"}}), 1);
}

TEST_F(BansTest, ALaterOneForTheSameTakesThePlace) {
  const Ban first = add(Kind::address, "192.0.2.7", {}, clock.wall + 1000);
  const Ban second = add(Kind::address, "192.0.2.7/32");
  EXPECT_EQ(bans->size(), 1u);
  EXPECT_FALSE(bans->remove(first.id));
  clock.wall += 5000;
  EXPECT_EQ(bans->find(host("192.0.2.7"))->id, second.id);
  EXPECT_EQ(bans->remove(second.id), second);
  EXPECT_FALSE(bans->find(host("192.0.2.7")));
  EXPECT_FALSE(bans->has_addresses());
}

TEST_F(BansTest, WhoWatchesIsToldOfEach) {
  std::vector<std::string> told;
  bans->watch([&](const Ban& ban) { told.push_back(ban.target.value); });
  add(Kind::username, "mallory");
  add(Kind::address, "10.0.0.0/8");
  EXPECT_EQ(told, (std::vector<std::string>{"mallory", "10.0.0.0/8"}));
}

TEST_F(BansTest, WhatMakesNoSenseIsRefusedWithASentence) {
  const auto why = [&](Kind kind, const std::string& value, std::optional<std::string> mountpoint = {},
                       WallMs until = 0, const std::string& reason = "") {
    const auto made = bans->add({kind, value, std::move(mountpoint)}, reason, "mo", until);
    return made ? std::string("taken") : made.error().message;
  };
  EXPECT_NE(why(Kind::address, "example.com").find("is not a network"), std::string::npos);
  EXPECT_NE(why(Kind::address, "10.1.2.3/8").find("did you mean \"10.0.0.0/8\"?"), std::string::npos);
  EXPECT_NE(why(Kind::address, "10.0.0.1", "tenant").find("no mountpoint"), std::string::npos);
  EXPECT_NE(why(Kind::username, "").find("empty"), std::string::npos);
  EXPECT_NE(why(Kind::username, "mo", {}, clock.wall).find("over already"), std::string::npos);
  EXPECT_NE(why(Kind::username, "mo", {}, 0, std::string(kReasonBytesMax + 1, 'x')).find("may have"),
            std::string::npos);
  EXPECT_NE(why(Kind::username, "\xff").find("UTF-8"), std::string::npos);
  EXPECT_NE(why(Kind::client_id, std::string(kNameBytesMax + 1, 'x')).find("longer"), std::string::npos);
  EXPECT_EQ(bans->size(), 0u);
}

TEST_F(BansTest, TheBrokersOwnLeaveRoomForPeoples) {
  for (size_t i = 0; i < kOwnBansMax; ++i) {
    ASSERT_TRUE(bans->add({Kind::client_id, std::to_string(i), ""}, "", std::string(kMadeByFlapping), 0));
  }
  EXPECT_EQ(bans->add({Kind::client_id, "more", ""}, "", std::string(kMadeByFlapping), 0).error().code,
            make_error_code(errc::too_many));
  for (size_t i = kOwnBansMax; i < kBansMax; ++i) {
    ASSERT_TRUE(bans->add({Kind::username, std::to_string(i), {}}, "", "mo", 0));
  }
  EXPECT_EQ(bans->add({Kind::username, "more", {}}, "", "mo", 0).error().code,
            make_error_code(errc::too_many));
}

TEST_F(BansTest, SurviveARestart) {
  const Ban first = add(Kind::address, "192.0.2.0/24", {}, clock.wall + 5000);
  const Ban second = add(Kind::client_id, "quo\"ted\n\xe2\x82\xac", "tenant-a");
  add(Kind::username, "gone");
  EXPECT_TRUE(bans->unsaved());
  ASSERT_TRUE(bans->save());
  EXPECT_FALSE(bans->unsaved());
  bans->remove(3);
  ASSERT_TRUE(bans->save());
  open();
  EXPECT_EQ(bans->list(0, 10), (std::vector<Ban>{first, second}));
  EXPECT_EQ(add(Kind::username, "new").id, 4u);  // ids are not used again
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007, 0u);
}

TEST_F(BansTest, AFileThatCannotBeWrittenLeavesTheOldOne) {
  add(Kind::username, "mallory");
  ASSERT_TRUE(bans->save());
  std::filesystem::create_directory(path + ".new");  // where the next would be written
  add(Kind::username, "eve");
  const auto saved = bans->save();
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find(path), std::string::npos);
  EXPECT_TRUE(bans->unsaved());
  std::filesystem::remove(path + ".new");
  EXPECT_EQ(read_ban_file(path)->bans.size(), 1u);
  EXPECT_TRUE(bans->save());
  EXPECT_EQ(read_ban_file(path)->bans.size(), 2u);
}

TEST_F(BansTest, ADamagedFileIsNotTakenForAnEmptyOne) {
  for (const char* text : {"nonsense", "{}", "{\"courier_bans\":2}", "{\"courier_bans\":1}\n{\"id\":1}",
                           "{\"courier_bans\":1}\n[]"}) {
    std::ofstream(path) << text;
    const auto opened = Bans::open(path, clock, registry);
    ASSERT_FALSE(opened) << text;
    EXPECT_EQ(opened.error().code, make_error_code(errc::bad_file));
    EXPECT_NE(opened.error().message.find(path + ": line "), std::string::npos) << opened.error().message;
  }
}

// A hundred thousand networks of all sizes, and addresses that are in none: the worst there is.
TEST_F(BansTest, AHundredThousandNetworksCostLessThanAMicrosecond) {
  std::mt19937_64 random(7);
  NetworkIndex index;
  while (index.size() < 100'000) {
    const bool v4 = index.size() % 2 == 0;
    const auto bits = static_cast<unsigned>(v4 ? 12 + random() % 21 : 32 + random() % 97);
    std::array<uint8_t, 16> bytes{};
    for (size_t i = 0; i < (v4 ? 4u : 16u); ++i) {
      const unsigned left = bits > 8 * i ? std::min<unsigned>(8, bits - static_cast<unsigned>(8 * i)) : 0;
      bytes[i] = static_cast<uint8_t>(random() & (0xFF00 >> left));
    }
    bytes[0] |= 0x80;  // the other half is in no network
    const auto address = v4 ? net::SocketAddress::ipv4({bytes[0], bytes[1], bytes[2], bytes[3]}, 0)
                            : net::SocketAddress::ipv6(bytes, 0);
    index.put(*net::Cidr::parse(fmt::format("{}/{}", address.host(), bits)), index.size() + 1);
  }
  std::vector<net::SocketAddress> asked;
  for (int i = 0; i < 4096; ++i) {
    const uint64_t word = random();
    const auto byte = [&](int n) { return static_cast<uint8_t>(word >> (8 * n)); };
    asked.push_back(i % 2 ? net::SocketAddress::ipv4({uint8_t(byte(0) & 0x7F), byte(1), byte(2), byte(3)}, 1)
                          : net::SocketAddress::ipv6({uint8_t(byte(0) & 0x7F), byte(1), byte(2), byte(3),
                                                      byte(4), byte(5), byte(6), byte(7)},
                                                     1));
  }
  MonoNs best = INT64_MAX;
  size_t found = 0;
  for (int round = 0; round < 20; ++round) {
    const MonoNs began = system_clock().mono_ns();
    for (const auto& address : asked) found += index.find(address, [](BanId) { return true; }) != 0;
    best = std::min(best, (system_clock().mono_ns() - began) / static_cast<MonoNs>(asked.size()));
  }
  EXPECT_EQ(found, 0u);
  RecordProperty("ns_per_lookup", std::to_string(best));
#ifdef NDEBUG
  EXPECT_LT(best, 1000);
#endif
}

TEST(NetworkIndex, FindsWhatAWalkOverAllWouldFind) {
  std::mt19937 random(11);
  NetworkIndex index;
  std::vector<net::Cidr> all;
  for (BanId id = 1; id <= 300; ++id) {
    const unsigned bits = random() % 33;
    const uint32_t ip =
        bits == 0 ? 0 : static_cast<uint32_t>(random()) % 1024 << 22 & ~uint32_t{0} << (32 - bits);
    const auto network = net::Cidr::parse(
        fmt::format("{}.{}.{}.{}/{}", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, bits));
    ASSERT_TRUE(network);
    index.put(*network, id);
    all.push_back(*network);
    if (id % 5 == 0) {
      const size_t victim = random() % all.size();
      index.remove(all[victim]);
      const net::Cidr gone = all[victim];
      std::erase(all, gone);
    }
  }
  for (int i = 0; i < 5000; ++i) {
    const auto byte = [&] { return static_cast<uint8_t>(random()); };
    const auto address = net::SocketAddress::ipv4({byte(), byte(), byte(), byte()}, 0);
    const bool hit = std::ranges::any_of(all, [&](const net::Cidr& n) { return n.contains(address); });
    EXPECT_EQ(index.find(address, [](BanId) { return true; }) != 0, hit) << address.host();
  }
}

}  // namespace
}  // namespace courier::admission
