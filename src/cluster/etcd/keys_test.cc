#include "cluster/etcd/keys.h"

#include <gtest/gtest.h>

#include "cluster/etcd/errc.h"
#include "cluster/etcd/limits.h"

namespace courier::cluster::etcd {
namespace {

TEST(Keys, NamesThatCannotBeAreRefused) {
  for (const std::string& bad :
       {std::string(), std::string("a/b"), std::string("a b"), std::string(65, 'x')}) {
    EXPECT_FALSE(Keys::of(bad)) << bad;
  }
  const Keys keys = *Keys::of("one");
  EXPECT_EQ(keys.log({NodeEpoch(0x1f), 2}), "/courier/one/in/000000000000001f/0000000000000002");
  EXPECT_EQ(keys.log_of(keys.log({NodeEpoch(77), 5})), (LogKey{NodeEpoch(77), 5}));
  EXPECT_FALSE(keys.log_of("/courier/one/in/1/2"));
  EXPECT_FALSE(keys.log_of("/courier/two/in/000000000000001f/0000000000000002"));
  EXPECT_EQ(keys.node_of("/courier/one/node/a"), "a");
  EXPECT_FALSE(keys.node_of("/courier/one/node/"));
}

TEST(Meta, ReadsBackAndNamesTheStateThatWasImported) {
  const Meta empty{"00ff", 16, 1'700'000'000'000};
  EXPECT_EQ(encode(empty), "format=1\ncreated=1700000000000\nid=00ff\npartitions=16\n");
  EXPECT_EQ(decode_meta(encode(empty)).value(), empty);
  const Meta imported{"00ff", 16, 1'700'000'000'000, Position(77), 1'600'000'000'000, "abc"};
  EXPECT_EQ(encode(imported),
            "format=1\ncreated=1700000000000\nid=00ff\nimported=77\nimported_clock=1600000000000\n"
            "imported_digest=abc\npartitions=16\n");
  EXPECT_EQ(decode_meta(encode(imported)).value(), imported);
}

TEST(Meta, OfAnEarlierVersionHasAPositionAndNoDigest) {
  const auto meta = decode_meta("format=1\ncreated=5\nid=00ff\nimported=77\npartitions=16\n");
  ASSERT_TRUE(meta) << meta.error().message;
  EXPECT_EQ(meta->imported, Position(77));
  EXPECT_EQ(meta->imported_digest, "");
  EXPECT_FALSE(decode_meta("format=1\ncreated=5\nid=00ff\nimported=77\nimported_clock=x\npartitions=16\n"));
}

TEST(NodeValue, ReadsBack) {
  const NodeValue node{"1", "10.0.0.1:7", "[fe80::1%eth0]:8", "broker-1.example:1883", MemberState::draining};
  EXPECT_EQ(decode_node(encode(node)).value(), node);
  const NodeValue bare{"1", "a:1", "", std::string(kAddressBytesMax, '~'), MemberState::active};
  EXPECT_EQ(decode_node(encode(bare)).value(), bare);
}

TEST(NodeValue, AddressIsPrintableAsciiWithoutSpaces) {
  using namespace std::string_literals;
  for (const std::string& bad :
       {"a b:1"s, " a:1"s, "a:1\t"s, "a:1\r"s, "a\0:1"s, "\x01"s, "\x1b[2Ja:1"s, "a:1\x7f"s, "\xc3\xa4:1"s,
        "\xc3:1"s, "\xff:1"s, std::string(kAddressBytesMax + 1, 'a')}) {
    for (std::string NodeValue::*where : {&NodeValue::mesh, &NodeValue::admin, &NodeValue::clients}) {
      NodeValue node{"1", "a:1", "a:2", "a:3", MemberState::active};
      node.*where = bad;
      const auto read = decode_node(encode(node));
      ASSERT_FALSE(read) << testing::PrintToString(bad);
      EXPECT_EQ(read.error().code, make_error_code(errc::damaged));
    }
  }
}

}  // namespace
}  // namespace courier::cluster::etcd
