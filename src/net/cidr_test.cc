#include "net/cidr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/errc.h"

namespace courier::net {
namespace {

bool contains(const char* network, const char* address) {
  const auto cidr = Cidr::parse(network);
  EXPECT_TRUE(cidr) << cidr.error().message;
  return cidr->contains(*SocketAddress::from_ip(address, 1883));
}

TEST(Cidr, ContainsWhatSharesItsPrefix) {
  EXPECT_TRUE(contains("10.0.0.0/8", "10.255.255.255"));
  EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  EXPECT_FALSE(contains("10.0.0.0/8", "9.255.255.255"));
  EXPECT_TRUE(contains("172.16.0.0/12", "172.31.0.1"));
  EXPECT_FALSE(contains("172.16.0.0/12", "172.32.0.1"));
  EXPECT_TRUE(contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(contains("192.0.2.1", "192.0.2.0"));
  EXPECT_TRUE(contains("192.0.2.0/31", "192.0.2.1"));
  EXPECT_FALSE(contains("192.0.2.0/31", "192.0.2.2"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("::1", "::1"));
  EXPECT_FALSE(contains("::1/128", "::2"));
}

TEST(Cidr, EverybodyIsOneNetworkPerFamily) {
  EXPECT_TRUE(contains("0.0.0.0/0", "255.255.255.255"));
  EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
  EXPECT_TRUE(contains("::/0", "ffff::1"));
  EXPECT_FALSE(contains("::/0", "10.0.0.1"));
}

TEST(Cidr, AMappedNetworkIsTheIpv4Network) {
  EXPECT_TRUE(contains("::ffff:10.0.0.0/104", "10.9.9.9"));
  EXPECT_TRUE(contains("::ffff:10.0.0.1", "10.0.0.1"));
  EXPECT_TRUE(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
  EXPECT_FALSE(Cidr::parse("::ffff:10.0.0.0/8"));
}

TEST(Cidr, AUnixSocketIsInNoNetwork) {
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(*SocketAddress::parse("unix:/a")));
  EXPECT_FALSE(Cidr::parse("0.0.0.0/0")->contains(SocketAddress()));
}

TEST(Cidr, RefusesWhatIsNoNetwork) {
  for (const char* text : {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
                           "10.0.0/8", "::/129", "10.0.0.0/8/8", "all", "10.0.0.0/+8", "[::]/0"}) {
    const auto cidr = Cidr::parse(text);
    ASSERT_FALSE(cidr) << text;
    EXPECT_EQ(cidr.error().code, errc::bad_network);
  }
}

TEST(Cidr, BitsBehindThePrefixAreASlipForWhichTheRightNetworkIsOffered) {
  const auto slip = Cidr::parse("10.1.2.3/12");
  ASSERT_FALSE(slip);
  EXPECT_THAT(slip.error().message, testing::HasSubstr("did you mean \"10.0.0.0/12\"?"));
  EXPECT_THAT(Cidr::parse("2001:db8::1/32").error().message, testing::HasSubstr("\"2001:db8::/32\""));
}

}  // namespace
}  // namespace courier::net
