#include "net/socket_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unordered_set>

#include "net/errc.h"
#include "net/limits.h"

namespace courier::net {
namespace {

static_assert(sizeof(SocketAddress) == 32, "connections hold one each");

TEST(SocketAddress, TakesWhatItWrites) {
  for (const char* text :
       {"0.0.0.0:1883", "127.0.0.1:0", "255.255.255.255:65535", "[::]:1883", "[2001:db8::1]:8883",
        "[fe80::1%1]:1883", "unix:/run/courier.sock", "unix:relative"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << address.error().message;
    EXPECT_EQ(address->to_string(), text);
    const NativeAddress native = address->native();
    EXPECT_EQ(SocketAddress::from_native(native.get(), native.size), *address) << text;
  }
}

TEST(SocketAddress, RefusesWhatIsNoAddressAndSaysWhatWasExpected) {
  for (const char* text : {"",
                           ":",
                           ":1883",
                           "1883",
                           "0.0.0.0",
                           "0.0.0.0:",
                           "0.0.0.0:x",
                           "0.0.0.0:65536",
                           "0.0.0.0:-1",
                           "0.0.0.0:+1",
                           "0.0.0.0: 1",
                           "0.0.0.0:1 ",
                           "0.0.0:1",
                           "0.0.0.0.0:1",
                           "256.0.0.1:1",
                           "01.0.0.1:1",
                           "[::]",
                           "[::]:",
                           "::1:1883",
                           "[127.0.0.1]:1",
                           "[::1:1883",
                           "::1]:1883",
                           "[::g]:1",
                           "[]:1",
                           "localhost:1883",
                           "[fe80::1%]:1",
                           "[fe80::1%nosuchif]:1",
                           "unix:",
                           "[fe80::1%0]:1"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, errc::bad_address);
    EXPECT_THAT(address.error().message, testing::HasSubstr("expected \"0.0.0.0:1883\"")) << text;
  }
}

TEST(SocketAddress, AnIpv4AddressInIpv6ClothesIsTheIpv4Address) {
  const auto mapped = SocketAddress::parse("[::ffff:192.0.2.1]:1883");
  ASSERT_TRUE(mapped);
  EXPECT_EQ(*mapped, *SocketAddress::parse("192.0.2.1:1883"));
  EXPECT_EQ(mapped->family(), Family::ipv4);
  EXPECT_EQ(SocketAddress::ipv6(mapped->ip_mapped(), 1883), *mapped);
}

TEST(SocketAddress, AUnixPathIsBounded) {
  const std::string longest(kUnixPathMax, 'p');
  const auto fits = SocketAddress::unix_path(longest);
  ASSERT_TRUE(fits);
  const NativeAddress native = fits->native();
  EXPECT_EQ(SocketAddress::from_native(native.get(), native.size).path(), longest);
  const auto too_long = SocketAddress::unix_path(longest + "p");
  ASSERT_FALSE(too_long);
  EXPECT_THAT(too_long.error().message, testing::HasSubstr("longer than 107 bytes"));
  EXPECT_FALSE(SocketAddress::unix_path(std::string_view("a\0b", 3)));
}

TEST(SocketAddress, ANulBehindAnAddressIsNotOverlooked) {
  EXPECT_FALSE(SocketAddress::from_ip(std::string_view("127.0.0.1\0", 10), 1));
}

TEST(SocketAddress, HostLeavesThePortOut) {
  EXPECT_EQ(SocketAddress::parse("192.0.2.1:1")->host(), "192.0.2.1");
  EXPECT_EQ(SocketAddress::parse("[2001:db8::1]:1")->host(), "2001:db8::1");
  EXPECT_EQ(SocketAddress::parse("unix:/a")->host(), "unix:/a");
  EXPECT_EQ(SocketAddress().to_string(), "unknown");
  EXPECT_EQ(SocketAddress::parse("192.0.2.1:1")->with_port(2).to_string(), "192.0.2.1:2");
}

TEST(SocketAddress, KnowsLoopback) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:/a", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(SocketAddress::parse(text)->is_loopback()) << text;
  }
  for (const char* text : {"128.0.0.1:1", "[::2]:1", "[::]:1", "[100::1]:1", "0.0.0.0:1"}) {
    EXPECT_FALSE(SocketAddress::parse(text)->is_loopback()) << text;
  }
}

TEST(SocketAddress, EqualOnesHashAlikeAndDifferentOnesMostlyDoNot) {
  std::unordered_set<size_t> hashes;
  for (int i = 0; i < 1000; ++i) {
    const auto text = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ":1883";
    const auto address = *SocketAddress::parse(text);
    EXPECT_EQ(std::hash<SocketAddress>()(address), std::hash<SocketAddress>()(*SocketAddress::parse(text)));
    hashes.insert(std::hash<SocketAddress>()(address));
  }
  EXPECT_EQ(hashes.size(), 1000u);
}

TEST(Resolve, FindsNumericAddressesAndRefusesWhatIsNoHost) {
  const auto found = resolve("127.0.0.1", 1883);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(*found, testing::ElementsAre(*SocketAddress::parse("127.0.0.1:1883")));
  const auto lost = resolve("no such host", 1883);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, errc::unknown_host);
  EXPECT_THAT(lost.error().message, testing::StartsWith("cannot find the host \"no such host\": "));
}

}  // namespace
}  // namespace courier::net
