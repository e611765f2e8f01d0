#include "routing/retained_index.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/routing_test_model.h"

namespace courier::routing {
namespace {

using mqtt::Qos;
using testing::ElementsAre;
using testing::IsEmpty;

class Retain : public testing::Test {
 protected:
  void set(std::string_view topic, std::string_view payload = "x", WallMs expires_at = 0,
           std::string_view mountpoint = "") {
    index_.set(mountpoint, model::message(topic, Qos::at_least_once, payload, expires_at),
               Position(++position_));
  }
  std::vector<std::string> match(std::string_view filter, std::string_view mountpoint = "") {
    std::vector<std::string> topics;
    const auto rest = index_.match(mountpoint, filter, [&](const Retained& retained) {
      topics.emplace_back(retained.message->topic);
      return true;
    });
    EXPECT_FALSE(rest.has_value());
    return topics;
  }
  std::vector<std::string> expired(WallMs now, size_t limit = 100) {
    std::vector<std::string> topics;
    for (const auto& topic : index_.expired(now, limit)) topics.push_back(topic.topic);
    return topics;
  }
  std::vector<std::string> dirty() {
    std::vector<std::string> topics;
    for (const auto& topic : index_.take_dirty()) topics.push_back(topic.topic);
    return topics;
  }

  RetainedIndex index_;
  uint64_t position_ = 0;
};

TEST_F(Retain, LastMessageOfATopicReplacesTheOneBefore) {  // [MQTT-3.3.1-5]
  set("a/b", "one");
  set("a/b", "two");
  ASSERT_NE(index_.find("", "a/b"), nullptr);
  EXPECT_EQ(index_.find("", "a/b")->message->payload, "two");
  EXPECT_EQ(index_.find("", "a/b")->position, Position(2));
  EXPECT_EQ(index_.count(), 1u);
}

TEST_F(Retain, EmptyPayloadRemovesAndIsNotKept) {  // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
  set("a/b", "one");
  set("a/b", "");
  set("c", "");
  EXPECT_EQ(index_.find("", "a/b"), nullptr);
  EXPECT_THAT(match("#"), IsEmpty());
  EXPECT_EQ(index_.count(), 0u);
}

TEST_F(Retain, FilterFindsWhatItMatches) {
  for (const char* topic : {"a", "a/b", "a/b/c", "a/c", "a-b/c", "a/b-c", "a/b0", "b/b", "/b", "a//c"})
    set(topic);
  EXPECT_THAT(match("a/b"), ElementsAre("a/b"));
  EXPECT_THAT(match("a/+"), ElementsAre("a/b", "a/b-c", "a/b0", "a/c"));
  EXPECT_THAT(match("+/b"), ElementsAre("/b", "a/b", "b/b"));
  EXPECT_THAT(match("a/+/c"), ElementsAre("a//c", "a/b/c"));
  EXPECT_THAT(match("a/#"), ElementsAre("a", "a//c", "a/b", "a/b-c", "a/b/c", "a/b0", "a/c"));
  EXPECT_THAT(match("+"), ElementsAre("a"));
  EXPECT_THAT(match("a/b/#"), ElementsAre("a/b", "a/b/c"));
  EXPECT_THAT(match("x/#"), IsEmpty());
}

TEST_F(Retain, LeadingWildcardDoesNotFindDollarTopics) {  // [MQTT-4.7.2-1]
  for (const char* topic : {"!", "$", "$SYS/uptime", "%", "a"}) set(topic);
  EXPECT_THAT(match("#"), ElementsAre("!", "%", "a"));
  EXPECT_THAT(match("+"), ElementsAre("!", "%", "a"));
  EXPECT_THAT(match("+/uptime"), IsEmpty());
  EXPECT_THAT(match("$SYS/#"), ElementsAre("$SYS/uptime"));
  EXPECT_THAT(match("$SYS/+"), ElementsAre("$SYS/uptime"));
}

TEST_F(Retain, MountpointsDoNotSeeEachOther) {
  set("a", "x", 0, "one");
  set("b", "x", 0, "two");
  EXPECT_THAT(match("#", "one"), ElementsAre("a"));
  EXPECT_THAT(match("#"), IsEmpty());
}

TEST_F(Retain, WalkStopsWhereItIsToldAndGoesOnFromThere) {
  for (int i = 0; i < 10; ++i) set("t/" + std::to_string(i));
  std::vector<std::string> topics;
  std::optional<std::string> after = "";
  int walks = 0;
  while (after) {
    size_t left = 3;
    after = index_.match(
        "", "t/+",
        [&](const Retained& retained) {
          topics.emplace_back(retained.message->topic);
          return --left > 0;
        },
        *after);
    if (after) index_.remove("", *after);  // the walk goes on from a topic that is gone
    ++walks;
  }
  EXPECT_EQ(topics.size(), 10u);
  EXPECT_TRUE(std::ranges::is_sorted(topics));
  EXPECT_EQ(walks, 4);
}

TEST_F(Retain, WalkEndsAfterItsStepsThoughNothingMatched) {
  for (int i = 0; i < 100; ++i) set("t/" + std::to_string(i));
  set("t/50/wanted");
  std::vector<std::string> topics;
  std::optional<std::string> after = "";
  int walks = 0;
  for (; after && walks < 100; ++walks) {
    size_t steps = 10;
    after = index_.match(
        "", "t/+/wanted",
        [&](const Retained& retained) {
          topics.emplace_back(retained.message->topic);
          return true;
        },
        *after, steps);
    EXPECT_TRUE(!after || steps == 0);
  }
  EXPECT_THAT(topics, ElementsAre("t/50/wanted"));
  EXPECT_GE(walks, 10);
  EXPECT_LE(walks, 25);
}

TEST_F(Retain, ExactFilterIsNotVisitedTwiceWhenGoneOnFrom) {
  set("a");
  const auto stop = [](const Retained&) { return false; };
  const auto after = index_.match("", "a", stop);
  ASSERT_EQ(after, "a");
  EXPECT_EQ(index_.match("", "a", stop, *after), std::nullopt);
}

TEST_F(Retain, WildcardFindsItsFewAmongMany) {
  for (int room = 0; room < 50; ++room) {
    for (int lamp = 0; lamp < 200; ++lamp) {
      set("room/" + std::to_string(room) + "/lamp/" + std::to_string(lamp));
    }
    set("room/" + std::to_string(room) + "/door");
  }
  EXPECT_EQ(match("room/+/door").size(), 50u);
  EXPECT_EQ(match("+/7/#").size(), 201u);
  EXPECT_EQ(match("room/+/lamp/199").size(), 50u);
}

TEST_F(Retain, ExpiredTopicsAreListedEarliestFirst) {
  set("late", "x", 300);
  set("early", "x", 100);
  set("never");
  set("next", "x", 200);
  EXPECT_EQ(index_.next_expiry(), 100);
  EXPECT_THAT(expired(99), IsEmpty());
  EXPECT_THAT(expired(200), ElementsAre("early", "next"));
  EXPECT_THAT(expired(1'000, 1), ElementsAre("early"));
  set("early", "y");  // never, now
  set("next", "y", 200);
  EXPECT_THAT(expired(1'000), ElementsAre("next", "late"));
  index_.remove("", "next");
  index_.remove("", "late");
  EXPECT_EQ(index_.next_expiry(), std::nullopt);
}

TEST_F(Retain, DirtyListsEachChangedTopicOnce) {
  set("a");
  set("b");
  set("a", "y");
  index_.remove("", "b");
  EXPECT_THAT(dirty(), ElementsAre("a", "b"));
  EXPECT_THAT(dirty(), IsEmpty());
  index_.remove("", "nothing");
  EXPECT_THAT(dirty(), IsEmpty());
  set("a");
  index_.remove("", "a");
  set("a");
  EXPECT_THAT(dirty(), ElementsAre("a"));
  set("a", "");
  EXPECT_THAT(dirty(), ElementsAre("a"));
  set("a");
  dirty();
  index_.restore("", model::message("c"), Position(9));
  EXPECT_THAT(dirty(), IsEmpty());
  EXPECT_EQ(index_.count(), 2u);
}

TEST_F(Retain, BytesFollowTheMessages) {
  const size_t empty = index_.bytes();
  set("a", std::string(1'000, 'x'), 5);
  EXPECT_GE(index_.bytes(), empty + 1'000);
  set("a", "small");
  EXPECT_LT(index_.bytes(), empty + 1'000);
  index_.remove("", "a");
  EXPECT_EQ(index_.bytes(), empty);
}

TEST_F(Retain, AgreesWithTheModelUnderRandomChanges) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    model::Texts texts(random);
    RetainedIndex index;
    std::map<std::string, std::pair<uint64_t, WallMs>> model;  // position, expiry
    for (uint64_t step = 1; step <= 400; ++step) {
      const std::string topic = texts.topic();
      if (texts.below(3) == 0) {
        ASSERT_EQ(index.remove("m", topic), model.erase(topic) > 0);
      } else {
        const auto expires_at = static_cast<WallMs>(texts.below(3) * texts.below(100));
        index.set("m", model::message(topic, Qos::at_least_once, "x", expires_at), Position(step));
        model[topic] = {step, expires_at};
      }
      ASSERT_EQ(index.count(), model.size());
      const std::string filter = texts.filter();
      std::vector<std::string> wanted, got;
      for (const auto& [each, value] : model) {
        if (model::matches(filter, each)) wanted.push_back(each);
      }
      std::optional<std::string> after = "";
      while (after) {
        uint64_t left = 1 + texts.below(5);
        after = index.match(
            "m", filter,
            [&](const Retained& retained) {
              got.emplace_back(retained.message->topic);
              return --left > 0;
            },
            *after);
      }
      ASSERT_EQ(got, wanted) << filter;
      const auto now = static_cast<WallMs>(texts.below(200));
      std::set<std::string> due, listed;
      for (const auto& [each, value] : model) {
        if (value.second != 0 && value.second <= now) due.insert(each);
      }
      for (const auto& each : index.expired(now, 1'000)) {
        EXPECT_EQ(each.position.value, model.at(each.topic).first);
        listed.insert(each.topic);
      }
      ASSERT_EQ(listed, due);
    }
    std::map<std::string, std::pair<uint64_t, WallMs>> all;
    index.for_each([&](std::string_view, const Retained& retained) {
      all[std::string(retained.message->topic)] = {retained.position.value, retained.message->expires_at};
    });
    EXPECT_EQ(all, model);
    while (!model.empty()) {
      ASSERT_TRUE(index.remove("m", model.begin()->first));
      model.erase(model.begin());
    }
    EXPECT_EQ(index.bytes(), RetainedIndex().bytes());
  }
}

}  // namespace
}  // namespace courier::routing
