#include "net/proxy_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/errc.h"

namespace courier::net {
namespace {

const SocketAddress kBalancer = *SocketAddress::parse("10.1.2.3:4444");
const SocketAddress kStranger = *SocketAddress::parse("192.0.2.1:4444");
const SocketAddress kUnix = *SocketAddress::unix_path("");

TEST(ProxyPolicy, IsTheTableInItsHeader) {
  struct Row {
    ProxyMode mode;
    ProxyExpectation trusted, stranger;
  };
  for (const Row& row : {Row{ProxyMode::off, ProxyExpectation::none, ProxyExpectation::none},
                         Row{ProxyMode::optional, ProxyExpectation::may_come, ProxyExpectation::none},
                         Row{ProxyMode::required, ProxyExpectation::must_come, ProxyExpectation::refuse}}) {
    const auto policy = ProxyPolicy::open(row.mode, {"10.0.0.0/8", "fd00::/8"});
    ASSERT_TRUE(policy);
    EXPECT_EQ(policy->expectation(kBalancer), row.trusted) << to_string(row.mode);
    EXPECT_EQ(policy->expectation(*SocketAddress::parse("[fd00::1]:1")), row.trusted) << to_string(row.mode);
    EXPECT_EQ(policy->expectation(kUnix), row.trusted) << to_string(row.mode);
    EXPECT_EQ(policy->expectation(kStranger), row.stranger) << to_string(row.mode);
  }
}

TEST(ProxyPolicy, NeverLeavesOpenWhomToBelieve) {
  EXPECT_TRUE(ProxyPolicy::open(ProxyMode::off, {}));
  for (const ProxyMode mode : {ProxyMode::optional, ProxyMode::required}) {
    const auto policy = ProxyPolicy::open(mode, {});
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, errc::bad_network);
    EXPECT_THAT(policy.error().message, testing::HasSubstr("nobody is trusted"));
  }
  EXPECT_TRUE(ProxyPolicy::open(ProxyMode::required, {"0.0.0.0/0"})->trusts(kStranger));
}

TEST(ProxyPolicy, NamesTheNetworkThatIsNone) {
  const auto policy = ProxyPolicy::open(ProxyMode::off, {"10.0.0.0/8", "ten"});
  ASSERT_FALSE(policy);
  EXPECT_THAT(policy.error().message, testing::StartsWith("trusted balancers: \"ten\" is not a network"));
}

TEST(ProxyPolicy, ModesHaveOneSpelling) {
  for (const ProxyMode mode : {ProxyMode::off, ProxyMode::optional, ProxyMode::required}) {
    EXPECT_EQ(*parse_proxy_mode(to_string(mode)), mode);
  }
  EXPECT_FALSE(parse_proxy_mode("Required"));
  EXPECT_FALSE(parse_proxy_mode(""));
}

}  // namespace
}  // namespace courier::net
