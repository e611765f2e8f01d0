#include "config/suggest.h"

#include <gtest/gtest.h>

namespace courier::config {
namespace {

TEST(Suggest, CountsSwappedNeighboursOnce) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("bind", "bnid"), 1u);
  EXPECT_EQ(edit_distance("threads", "thread"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Suggest, OffersTheNearestWordOrNone) {
  const std::vector<std::string> known = {"inflight_max", "inbox_messages_max", "inbox_bytes_max", "bind"};
  EXPECT_EQ(suggest("inflght_max", known), "inflight_max");
  EXPECT_EQ(suggest("inbox_byte_max", known), "inbox_bytes_max");
  EXPECT_EQ(suggest("bnid", known), "bind");
  EXPECT_EQ(suggest("tls", known), std::nullopt);
  EXPECT_EQ(suggest(std::string(100'000, 'x'), known), std::nullopt);
}

}  // namespace
}  // namespace courier::config
