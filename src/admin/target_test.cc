#include "admin/target.h"

#include <gtest/gtest.h>

namespace courier::admin {
namespace {

TEST(Target, IsCutBeforeItIsDecoded) {
  const auto target = parse_target("/v1/clients/a%2Fb%3F?mountpoint=x%26y&prefix=");
  ASSERT_TRUE(target) << target.error().message;
  EXPECT_EQ(target->segments, (std::vector<std::string>{"v1", "clients", "a/b?"}));
  EXPECT_EQ(target->query.find("mountpoint"), "x&y");
  EXPECT_EQ(target->query.find("prefix"), "");
  EXPECT_EQ(target->query.find("limit"), std::nullopt);
  EXPECT_EQ(target->query.stranger({"prefix"}), "mountpoint");
  EXPECT_EQ(target->query.stranger({"prefix", "mountpoint"}), std::nullopt);
}

TEST(Target, KeepsEmptySegmentsAndDots) {
  EXPECT_EQ(parse_target("/")->segments, (std::vector<std::string>{""}));
  EXPECT_EQ(parse_target("/a//../")->segments, (std::vector<std::string>{"a", "", "..", ""}));
  EXPECT_EQ(parse_target("/a?")->segments, (std::vector<std::string>{"a"}));
  EXPECT_EQ(parse_target("/a?b/c=d/e")->query.find("b/c"), "d/e");
}

TEST(Target, WhatIsEncodedComesBackWhatever) {
  std::string everything;
  for (int byte = 1; byte < 256; ++byte) everything.push_back(static_cast<char>(byte));
  for (const std::string& text : {everything, std::string("."), std::string(".."), std::string("...")}) {
    const std::string encoded = percent_encode(text);
    EXPECT_EQ(encoded.find_first_of("/?#& +\"<>"), std::string::npos);
    EXPECT_NE(encoded, ".");
    EXPECT_NE(encoded, "..");
    const auto path = percent_decode(encoded, false), query = percent_decode(encoded, true);
    ASSERT_TRUE(path && query);
    EXPECT_EQ(*path, text);
    EXPECT_EQ(*query, text);
  }
}

TEST(Target, RefusesHalfAnEscapeAndZeroBytes) {
  for (const char* text : {"%", "%4", "%4g", "a%", "%00", "%%41"})
    EXPECT_FALSE(percent_decode(text, false)) << text;
  EXPECT_FALSE(percent_decode(std::string_view("a\0b", 3), false));
  EXPECT_FALSE(parse_target(""));
  EXPECT_FALSE(parse_target("x"));
  EXPECT_FALSE(parse_target("/a?b=%zz"));
  EXPECT_FALSE(parse_target("/a?b=1&b=2"));
}

}  // namespace
}  // namespace courier::admin
