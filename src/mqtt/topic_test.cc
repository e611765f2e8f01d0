#include "mqtt/topic.h"

#include <gtest/gtest.h>

#include <string>

namespace courier::mqtt {
namespace {

using namespace std::string_view_literals;

// [MQTT-1.5.4-1]
TEST(Utf8, TakesEverySequenceOfRfc3629) {
  for (const std::string_view text :
       {""sv, "a"sv, "\x7F"sv, "\xC2\x80"sv, "\xDF\xBF"sv, "\xE0\xA0\x80"sv, "\xED\x9F\xBF"sv,
        "\xEE\x80\x80"sv, "\xEF\xBF\xBF"sv, "\xF0\x90\x80\x80"sv, "\xF4\x8F\xBF\xBF"sv, "\xEF\xBB\xBF"sv}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
}

// [MQTT-1.5.4-1]
TEST(Utf8, RefusesWhatIsNotWellFormed) {
  for (const std::string_view text :
       {"\x80"sv, "\xBF"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xC2"sv, "\xC2\x41"sv, "\xC2\xC0"sv,
        "\xE0\x9F\xBF"sv, "\xE1\x80"sv, "\xE1\x80\xC0"sv, "\xED\xA0\x80"sv, "\xED\xBF\xBF"sv,
        "\xF0\x8F\xBF\xBF"sv, "\xF1\x80\x80"sv, "\xF4\x90\x80\x80"sv, "\xF5\x80\x80\x80"sv, "\xFE"sv,
        "\xFF"sv}) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_FALSE(is_utf8_with_nul(text));
  }
}

// [MQTT-1.5.4-2]
TEST(Utf8, HoldsNulOnlyInAPayload) {
  EXPECT_FALSE(is_utf8("\0"sv));
  EXPECT_TRUE(is_utf8_with_nul("\0"sv));
}

// The eight-byte step must see what the byte-wise one sees, wherever it falls.
TEST(Utf8, SeesABadByteAtEveryPlaceOfALongText) {
  for (size_t place = 0; place < 40; ++place) {
    std::string text(40, 'x');
    EXPECT_TRUE(is_utf8(text));
    text[place] = '\xFF';
    EXPECT_FALSE(is_utf8(text)) << place;
    text[place] = '\0';
    EXPECT_FALSE(is_utf8(text)) << place;
    EXPECT_TRUE(is_utf8_with_nul(text)) << place;
    text.replace(place, 1, "\xC3\xA9");
    EXPECT_TRUE(is_utf8(text)) << place;
  }
}

// [MQTT-3.3.2-2], [MQTT-4.7.3-1], [MQTT-4.7.3-3]
TEST(TopicName, HasACharacterAndNoWildcard) {
  EXPECT_TRUE(is_topic_name("a"));
  EXPECT_TRUE(is_topic_name("/"));
  EXPECT_TRUE(is_topic_name("a b/$SYS//c"));
  EXPECT_TRUE(is_topic_name(std::string(65'535, 'a')));
  EXPECT_FALSE(is_topic_name(""));
  EXPECT_FALSE(is_topic_name("a/+"));
  EXPECT_FALSE(is_topic_name("a#"));
  EXPECT_FALSE(is_topic_name(std::string(65'536, 'a')));
}

// [MQTT-4.7.1-1], [MQTT-4.7.1-2]
TEST(TopicFilter, HasWildcardsOnlyAsWholeLevels) {
  for (const char* filter :
       {"a", "/", "#", "+", "+/+", "/+", "+/", "a/#", "+/#", "a/+/b", "//", "$share/g/a", "+/a/#"}) {
    EXPECT_TRUE(is_topic_filter(filter)) << filter;
  }
  for (const char* filter :
       {"", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++", "#+", "a/#b", "/#/"}) {
    EXPECT_FALSE(is_topic_filter(filter)) << filter;
  }
  EXPECT_FALSE(is_topic_filter(std::string(65'536, 'a')));
}

TEST(TopicFilter, ShowsAWildcardAtEveryPlaceOfALongOne) {
  std::string text(40, '/');
  for (int c = 0; c < 256; ++c) {
    for (size_t place = 0; place < text.size(); ++place) {
      text[place] = static_cast<char>(c);
      EXPECT_EQ(has_wildcard(text), c == '+' || c == '#') << c << " at " << place;
      text[place] = '/';
    }
  }
}

TEST(TopicFilter, CountsItsLevels) {
  EXPECT_EQ(level_count("a"), 1u);
  EXPECT_EQ(level_count("/"), 2u);
  EXPECT_EQ(level_count("a/+/#"), 3u);
}

struct Match {
  const char* filter;
  const char* topic;
};

// The examples of section 4.7, and the corners between them.
TEST(Matching, FollowsTheExamplesOfTheSpecification) {
  for (const auto& [filter, topic] : std::initializer_list<Match>{
           {"sport/tennis/player1/#", "sport/tennis/player1"},
           {"sport/tennis/player1/#", "sport/tennis/player1/ranking"},
           {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"},
           {"sport/#", "sport"},
           {"#", "a"},
           {"#", "/"},
           {"sport/tennis/+", "sport/tennis/player1"},
           {"sport/+", "sport/"},
           {"+/+", "/finance"},
           {"/+", "/finance"},
           {"$SYS/#", "$SYS/a"},
           {"$SYS/#", "$SYS"},
           {"$SYS/monitor/+", "$SYS/monitor/Clients"},
           {"a/+/#", "a/b"},
           {"a/+/#", "a/"},
           {"+/#", "a"},
           {"a//b", "a//b"},
           {"a/+/b", "a//b"},
           {"+", ""},
       }) {
    EXPECT_TRUE(matches(filter, topic)) << filter << " " << topic;
  }
  for (const auto& [filter, topic] : std::initializer_list<Match>{
           {"sport/tennis/+", "sport/tennis/player1/ranking"},
           {"sport/+", "sport"},
           {"+", "/finance"},
           {"a", "A"},
           {"a", "a/"},
           {"a/", "a"},
           {"a/b", "a"},
           {"a", "a/b"},
           {"a/+/#", "a"},
           {"a/#", "ab"},
           {"/a", "a"},
       }) {
    EXPECT_FALSE(matches(filter, topic)) << filter << " " << topic;
  }
}

// [MQTT-4.7.2-1]
TEST(Matching, KeepsLeadingWildcardsFromTopicsThatStartWithDollar) {
  EXPECT_FALSE(matches("#", "$SYS/a"));
  EXPECT_FALSE(matches("+/monitor/Clients", "$SYS/monitor/Clients"));
  EXPECT_FALSE(matches("+", "$SYS"));
  EXPECT_TRUE(matches("a/#", "a/$SYS"));
  EXPECT_TRUE(matches("a/+", "a/$SYS"));
}

// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
TEST(SharedFilter, IsTakenApart) {
  const auto shared = parse_shared("$share/group/a/+/#");
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->group, "group");
  EXPECT_EQ(shared->filter, "a/+/#");
  EXPECT_EQ(parse_shared("$share/g//")->filter, "/");
}

// [MQTT-4.8.2-1], [MQTT-4.8.2-2]
TEST(SharedFilter, NeedsAGroupAndAFilter) {
  for (const char* filter :
       {"$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a", "$share/g/a#",
        "$share/g/#/a", "$shared/g/a", "share/g/a", "a/$share/g/a", ""}) {
    EXPECT_FALSE(parse_shared(filter)) << filter;
  }
}

TEST(SharedFilter, IsToldByItsFirstLevel) {
  EXPECT_TRUE(is_shared("$share"));
  EXPECT_TRUE(is_shared("$share/"));
  EXPECT_TRUE(is_shared("$share/g/a"));
  EXPECT_FALSE(is_shared("$shared/g/a"));
  EXPECT_FALSE(is_shared("$SHARE/g/a"));
  EXPECT_FALSE(is_shared("a/$share"));
}

}  // namespace
}  // namespace courier::mqtt
