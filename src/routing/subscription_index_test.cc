#include "routing/subscription_index.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/routing_test_model.h"

namespace courier::routing {
namespace {

using mqtt::Qos;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Subscriber subscriber(uint64_t session, Qos qos = Qos::at_least_once, uint32_t identifier = 0) {
  Subscriber made;
  made.session = SessionId(session);
  made.options.qos = qos;
  made.subscription_identifier = identifier;
  return made;
}

class Index : public testing::Test {
 protected:
  std::vector<uint64_t> match(std::string_view topic, std::string_view mountpoint = "",
                              uint64_t publisher = 0) {
    index_.match(mountpoint, topic, SessionId(publisher), Shared::choose_member, result_);
    std::vector<uint64_t> sessions;
    for (const Receiver& receiver : result_.receivers()) sessions.push_back(receiver.session.value);
    std::ranges::sort(sessions);
    return sessions;
  }
  uint64_t chosen(std::string_view topic) {
    match(topic);
    EXPECT_EQ(result_.groups().size(), 1u);
    return result_.groups()[0].member.session.value;
  }

  SubscriptionIndex index_{7};
  MatchResult result_;
};

TEST_F(Index, ExactFilterMatchesItsTopicOnly) {
  EXPECT_TRUE(index_.add("", "merchant/1/orders", subscriber(1)));
  EXPECT_THAT(match("merchant/1/orders"), ElementsAre(1));
  EXPECT_THAT(match("merchant/1/order"), IsEmpty());
  EXPECT_THAT(match("merchant/1/orders/"), IsEmpty());
  EXPECT_THAT(match("Merchant/1/orders"), IsEmpty());
}

TEST_F(Index, PlusMatchesOneLevelAndAlsoAnEmptyOne) {
  index_.add("", "a/+/c", subscriber(1));
  index_.add("", "+", subscriber(2));
  index_.add("", "/+", subscriber(3));
  index_.add("", "+/+", subscriber(4));
  EXPECT_THAT(match("a/b/c"), ElementsAre(1));
  EXPECT_THAT(match("a//c"), ElementsAre(1));
  EXPECT_THAT(match("a"), ElementsAre(2));
  EXPECT_THAT(match("/finance"), ElementsAre(3, 4));
  EXPECT_THAT(match("a/b/c/d"), IsEmpty());
}

TEST_F(Index, HashMatchesItsParentAndAllBelow) {
  index_.add("", "sport/#", subscriber(1));
  index_.add("", "#", subscriber(2));
  index_.add("", "+/x/#", subscriber(3));
  EXPECT_THAT(match("sport"), ElementsAre(1, 2));
  EXPECT_THAT(match("sport/"), ElementsAre(1, 2));
  EXPECT_THAT(match("sport/x/y"), ElementsAre(1, 2, 3));
  EXPECT_THAT(match("sports"), ElementsAre(2));
}

TEST_F(Index, LeadingWildcardDoesNotMatchDollarTopics) {  // [MQTT-4.7.2-1]
  index_.add("", "#", subscriber(1));
  index_.add("", "+/uptime", subscriber(2));
  index_.add("", "$SYS/#", subscriber(3));
  index_.add("", "$SYS/+", subscriber(4));
  index_.add("", "a/#", subscriber(5));
  EXPECT_THAT(match("$SYS/uptime"), ElementsAre(3, 4));
  EXPECT_THAT(match("$SYS"), ElementsAre(3));
  EXPECT_THAT(match("a/$SYS"), ElementsAre(1, 5));
}

TEST_F(Index, MountpointsDoNotSeeEachOther) {
  index_.add("one", "a/b", subscriber(1));
  index_.add("two", "a/b", subscriber(2));
  index_.add("two", "a/+", subscriber(3));
  EXPECT_THAT(match("a/b", "one"), ElementsAre(1));
  EXPECT_THAT(match("a/b", "two"), ElementsAre(2, 3));
  EXPECT_THAT(match("a/b"), IsEmpty());
  EXPECT_TRUE(index_.remove("one", "a/b", SessionId(1)));
  EXPECT_THAT(match("a/b", "one"), IsEmpty());
  // The number of the mountpoint that ended is given to another one, which starts empty.
  index_.add("three", "z", subscriber(4));
  EXPECT_THAT(match("a/b", "three"), IsEmpty());
  EXPECT_THAT(match("a/b", "two"), ElementsAre(2, 3));
}

TEST_F(Index, SubscribingAgainReplaces) {  // [MQTT-3.8.4-3]
  EXPECT_TRUE(index_.add("", "a/+", subscriber(1, Qos::at_most_once, 5)));
  EXPECT_FALSE(index_.add("", "a/+", subscriber(1, Qos::exactly_once, 6)));
  EXPECT_EQ(index_.count(), 1u);
  EXPECT_THAT(match("a/b"), ElementsAre(1));
  EXPECT_EQ(result_.receivers()[0].qos, Qos::exactly_once);
  EXPECT_THAT(result_.identifiers(result_.receivers()[0]), ElementsAre(6));
}

TEST_F(Index, RemovingWhatIsNotThereChangesNothing) {
  index_.add("", "a/b", subscriber(1));
  index_.add("", "$share/g/a/b", subscriber(1), {GroupId(1)});
  EXPECT_FALSE(index_.remove("", "a/b", SessionId(2)));
  EXPECT_FALSE(index_.remove("", "a/+", SessionId(1)));
  EXPECT_FALSE(index_.remove("x", "a/b", SessionId(1)));
  EXPECT_FALSE(index_.remove("", "$share/h/a/b", SessionId(1)));
  EXPECT_FALSE(index_.remove("", "$share/g/a/b", SessionId(2)));
  EXPECT_EQ(index_.count(), 2u);
}

TEST_F(Index, OverlappingSubscriptionsGiveOneReceiver) {  // [MQTT-3.3.4-2], [MQTT-3.3.4-4]
  Subscriber keeps = subscriber(1, Qos::at_most_once, 10);
  keeps.options.retain_as_published = true;
  index_.add("", "a/b", keeps);
  index_.add("", "a/+", subscriber(1, Qos::exactly_once, 20));
  index_.add("", "a/#", subscriber(1, Qos::at_least_once));
  index_.add("", "#", subscriber(1, Qos::at_least_once, 10));
  index_.add("", "a/#", subscriber(2, Qos::at_least_once, 30));
  EXPECT_THAT(match("a/b"), ElementsAre(1, 2));
  for (const Receiver& receiver : result_.receivers()) {
    if (receiver.session == SessionId(1)) {
      EXPECT_EQ(receiver.qos, Qos::exactly_once);
      EXPECT_TRUE(receiver.retain_as_published);
      EXPECT_THAT(result_.identifiers(receiver), UnorderedElementsAre(10, 20, 10));
    } else {
      EXPECT_EQ(receiver.qos, Qos::at_least_once);
      EXPECT_FALSE(receiver.retain_as_published);
      EXPECT_THAT(result_.identifiers(receiver), ElementsAre(30));
    }
  }
}

TEST_F(Index, NoLocalLeavesOutThePublishersOwnSubscription) {  // [MQTT-3.8.3-3]
  Subscriber deaf = subscriber(1, Qos::exactly_once, 1);
  deaf.options.no_local = true;
  index_.add("", "a/b", deaf);
  EXPECT_THAT(match("a/b", "", 1), IsEmpty());
  EXPECT_THAT(match("a/b", "", 2), ElementsAre(1));
  // The session's other subscription still hears itself, at its own QoS.
  index_.add("", "a/+", subscriber(1, Qos::at_most_once, 2));
  EXPECT_THAT(match("a/b", "", 1), ElementsAre(1));
  EXPECT_EQ(result_.receivers()[0].qos, Qos::at_most_once);
  EXPECT_THAT(result_.identifiers(result_.receivers()[0]), ElementsAre(2));
}

TEST_F(Index, LargestSubscriptionIdentifierSurvives) {
  index_.add("", "a", subscriber(~uint64_t{0}, Qos::exactly_once, 268'435'455));
  EXPECT_THAT(match("a"), ElementsAre(~uint64_t{0}));
  EXPECT_EQ(result_.receivers()[0].qos, Qos::exactly_once);
  EXPECT_THAT(result_.identifiers(result_.receivers()[0]), ElementsAre(268'435'455));
}

TEST_F(Index, SharedGroupStandsApartFromPlainSubscriptions) {
  index_.add("", "a/b", subscriber(1));
  EXPECT_TRUE(index_.add("", "$share/g/a/b", subscriber(1), {GroupId(100)}));
  EXPECT_TRUE(index_.add("", "$share/g/a/b", subscriber(2), {GroupId(999)}));
  EXPECT_TRUE(index_.add("", "$share/h/a/+", subscriber(2), {GroupId(200)}));
  EXPECT_EQ(index_.count(), 4u);
  EXPECT_THAT(match("a/b"), ElementsAre(1));
  std::vector<uint64_t> groups;
  for (const GroupMatch& group : result_.groups()) groups.push_back(group.group.value);
  EXPECT_THAT(groups, UnorderedElementsAre(100, 200));
}

TEST_F(Index, SharedMembersTakeTurns) {
  for (uint64_t session = 1; session <= 3; ++session) {
    index_.add("", "$share/g/+", subscriber(session, Qos::at_most_once, 7), {GroupId(1)});
  }
  std::map<uint64_t, int> turns;
  for (int i = 0; i < 9; ++i) ++turns[chosen("a")];
  EXPECT_EQ(turns, (std::map<uint64_t, int>{{1, 3}, {2, 3}, {3, 3}}));
  EXPECT_EQ(result_.groups()[0].member.subscription_identifier, 7u);
}

TEST_F(Index, OnlyConnectedSharedMembersAreChosen) {
  for (uint64_t session = 1; session <= 3; ++session) {
    index_.add("", "$share/g/a", subscriber(session), {GroupId(1), session != 1});
  }
  index_.set_connected(SessionId(3), false);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(chosen("a"), 2u);
  index_.set_connected(SessionId(2), false);
  EXPECT_EQ(chosen("a"), 0u);
  index_.set_connected(SessionId(1), true);
  EXPECT_EQ(chosen("a"), 1u);
  EXPECT_TRUE(index_.remove("", "$share/g/a", SessionId(1)));
  EXPECT_EQ(chosen("a"), 0u);
}

TEST_F(Index, NamingAGroupDoesNotTakeATurn) {
  index_.add("", "$share/g/a", subscriber(1), {GroupId(1)});
  index_.add("", "$share/g/a", subscriber(2), {GroupId(1)});
  const uint64_t first = chosen("a");
  index_.match("", "a", {}, Shared::name_group, result_);
  EXPECT_EQ(result_.groups()[0].group, GroupId(1));
  EXPECT_EQ(result_.groups()[0].member.session, SessionId());
  EXPECT_NE(chosen("a"), first);
}

TEST_F(Index, GroupEndsWithItsLastMember) {
  index_.add("", "$share/g/a", subscriber(1), {GroupId(1)});
  EXPECT_TRUE(index_.remove("", "$share/g/a", SessionId(1)));
  match("a");
  EXPECT_TRUE(result_.empty());
  index_.add("", "$share/g/a", subscriber(2), {GroupId(2)});
  match("a");
  EXPECT_EQ(result_.groups()[0].group, GroupId(2));
}

TEST_F(Index, TopicAndFilterWithTheMostLevelsAreHarmless) {
  const std::string slashes(65'535, '/');
  const std::string pluses = [] {
    std::string text = "+";
    while (text.size() + 2 <= 65'535) text += "/+";
    return text;
  }();
  index_.add("", slashes, subscriber(1));
  index_.add("", pluses, subscriber(2));
  index_.add("", "/#", subscriber(3));
  EXPECT_THAT(match(slashes), ElementsAre(1, 3));
  EXPECT_THAT(match(slashes.substr(0, 32'767)), ElementsAre(2, 3));
  EXPECT_TRUE(index_.remove("", slashes, SessionId(1)));
  EXPECT_TRUE(index_.remove("", pluses, SessionId(2)));
  EXPECT_THAT(match(slashes), ElementsAre(3));
}

TEST_F(Index, ManySubscribersOfOneFilterComeAndGo) {
  constexpr uint64_t kSessions = 5'000;
  for (uint64_t session = 1; session <= kSessions; ++session) {
    ASSERT_TRUE(index_.add("", "news", subscriber(session)));
    if (session % 10 == 0) index_.add("", "#", subscriber(session, Qos::exactly_once, 3));
  }
  EXPECT_EQ(match("news").size(), kSessions);
  size_t raised = 0;
  for (const Receiver& receiver : result_.receivers()) raised += receiver.qos == Qos::exactly_once;
  EXPECT_EQ(raised, kSessions / 10);
  for (uint64_t session = 2; session <= kSessions; ++session) {
    ASSERT_TRUE(index_.remove("", "news", SessionId(session)));
    index_.remove("", "#", SessionId(session));
  }
  EXPECT_THAT(match("news"), ElementsAre(1));
  EXPECT_EQ(index_.count(), 1u);
}

TEST_F(Index, MemoryOfRemovedFiltersIsUsedAgain) {
  const auto fill = [&](bool add) {
    for (uint64_t i = 1; i <= 20'000; ++i) {
      const std::string filter = "device/" + std::to_string(i) + (i % 10 == 0 ? "/+/status" : "/status");
      if (add) {
        index_.add("", filter, subscriber(i));
      } else {
        index_.remove("", filter, SessionId(i));
      }
    }
  };
  fill(true);
  const size_t full = index_.bytes();
  for (int round = 0; round < 5; ++round) {
    fill(false);
    EXPECT_EQ(index_.count(), 0u);
    fill(true);
  }
  EXPECT_LE(index_.bytes(), full + full / 10);
}

// The model: a list of subscriptions, each compared by the plain matcher.
struct Model {
  struct Group {
    GroupId id;
    std::map<uint64_t, bool> members;  // connected
  };
  using Filter = std::pair<std::string, std::string>;  // mountpoint, filter
  std::map<std::pair<Filter, uint64_t>, Subscriber> subscriptions;
  std::map<Filter, Group> groups;  // by the whole filter
};

TEST_F(Index, AgreesWithTheModelUnderRandomChanges) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    model::Texts texts(random);
    SubscriptionIndex index(seed);
    MatchResult result;
    Model model;
    uint64_t groups_made = 0;
    for (int step = 0; step < 800; ++step) {
      const std::string mountpoint = texts.below(4) == 0 ? "tenant" : "";
      const uint64_t session = 1 + texts.below(6);
      const bool shared = texts.below(5) == 0;
      std::string inner = texts.filter();
      const std::string filter = shared ? (texts.below(2) ? "$share/g/" : "$share/h/") + inner : inner;
      const Model::Filter at{mountpoint, filter};
      const uint64_t what = texts.below(10);
      if (what < 4) {
        Subscriber added =
            subscriber(session, static_cast<Qos>(texts.below(3)), static_cast<uint32_t>(texts.below(3)));
        added.options.retain_as_published = texts.below(2) == 0;
        added.options.no_local = !shared && texts.below(3) == 0;
        const bool is_new = model.subscriptions.insert_or_assign({at, session}, added).second;
        if (shared) {
          auto& group = model.groups[at];
          if (!group.id) group.id = GroupId(++groups_made);
          group.members[session] = true;
          ASSERT_EQ(index.add(mountpoint, filter, added, {group.id, true}), is_new);
        } else {
          ASSERT_EQ(index.add(mountpoint, filter, added), is_new);
        }
      } else if (what < 7) {
        // Mostly something that is there.
        Model::Filter gone = at;
        uint64_t of = session;
        if (!model.subscriptions.empty() && texts.below(4) != 0) {
          const auto pick = std::next(model.subscriptions.begin(),
                                      static_cast<ptrdiff_t>(texts.below(model.subscriptions.size())));
          gone = pick->first.first;
          of = pick->first.second;
        }
        const bool there = model.subscriptions.erase({gone, of}) > 0;
        ASSERT_EQ(index.remove(gone.first, gone.second, SessionId(of)), there);
        if (const auto group = model.groups.find(gone); group != model.groups.end()) {
          group->second.members.erase(of);
          if (group->second.members.empty()) model.groups.erase(group);
        }
      } else if (what == 7) {
        const bool connected = texts.below(2) == 0;
        index.set_connected(SessionId(session), connected);
        for (auto& [key, group] : model.groups) {
          if (const auto member = group.members.find(session); member != group.members.end()) {
            member->second = connected;
          }
        }
      }

      const std::string topic = texts.topic();
      const uint64_t publisher = texts.below(8);
      index.match(mountpoint, topic, SessionId(publisher), Shared::choose_member, result);
      using Want = std::tuple<Qos, bool, std::multiset<uint32_t>>;
      std::map<uint64_t, Want> wanted;
      for (const auto& [key, entry] : model.subscriptions) {
        const auto& [where, of] = key;
        if (where.first != mountpoint || model.groups.contains(where) || !model::matches(where.second, topic))
          continue;
        if (entry.options.no_local && of == publisher) continue;
        auto& [qos, retain, identifiers] = wanted[of];
        qos = std::max(qos, entry.options.qos);
        retain |= entry.options.retain_as_published;
        if (entry.subscription_identifier) identifiers.insert(entry.subscription_identifier);
      }
      std::map<uint64_t, Want> got;
      for (const Receiver& receiver : result.receivers()) {
        const auto identifiers = result.identifiers(receiver);
        const bool once = got.emplace(receiver.session.value, Want{receiver.qos,
                                                                   receiver.retain_as_published,
                                                                   {identifiers.begin(), identifiers.end()}})
                              .second;
        ASSERT_TRUE(once);
      }
      ASSERT_EQ(got, wanted) << topic;

      std::map<uint64_t, const Model::Group*> groups;
      for (const auto& [where, group] : model.groups) {
        if (where.first == mountpoint && model::matches(where.second.substr(sizeof "$share/g/" - 1), topic)) {
          groups[group.id.value] = &group;
        }
      }
      ASSERT_EQ(result.groups().size(), groups.size()) << topic;
      for (const GroupMatch& match : result.groups()) {
        const auto group = groups.find(match.group.value);
        ASSERT_NE(group, groups.end());
        const auto& members = group->second->members;
        if (match.member.session) {
          ASSERT_TRUE(members.at(match.member.session.value));
        } else {
          ASSERT_TRUE(std::ranges::none_of(members, [](const auto& member) { return member.second; }));
        }
      }
      ASSERT_EQ(index.count(), model.subscriptions.size());
    }
    std::set<std::tuple<std::string, std::string, uint64_t>> listed;
    std::set<std::tuple<std::string, std::string, uint64_t>> wanted;
    index.for_each([&](std::string_view mountpoint, std::string_view filter, const Subscriber& entry) {
      EXPECT_EQ(model.subscriptions.at({{std::string(mountpoint), std::string(filter)}, entry.session.value}),
                entry);
      listed.emplace(mountpoint, filter, entry.session.value);
    });
    for (const auto& [key, entry] : model.subscriptions)
      wanted.emplace(key.first.first, key.first.second, key.second);
    EXPECT_EQ(listed, wanted);
    for (const auto& [key, entry] : model.subscriptions) {
      EXPECT_TRUE(index.remove(key.first.first, key.first.second, SessionId(key.second)));
    }
    EXPECT_EQ(index.count(), 0u);
  }
}

// One writer and three readers. What never changes is always found; what changes is found whole or not at
// all.
TEST_F(Index, ReadersSeeWholeChangesWhileTheWriterWrites) {
  constexpr uint64_t kFixed = 1, kBase = 1'000, kMany = 300;
  index_.add("", "room/1/light", subscriber(kFixed));
  index_.add("", "room/+/light", subscriber(kFixed + 1));
  index_.add("", "$share/g/room/1/#", subscriber(kFixed + 2), {GroupId(1)});
  std::atomic<bool> done = false;
  std::atomic<uint64_t> matches = 0;
  std::atomic<bool> wrong = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      MatchResult result;
      while (!done.load(std::memory_order_relaxed)) {
        index_.match("", "room/1/light", {}, Shared::choose_member, result);
        std::set<uint64_t> sessions;
        for (const Receiver& receiver : result.receivers()) sessions.insert(receiver.session.value);
        const bool whole = sessions.size() == result.receivers().size() && sessions.contains(kFixed) &&
                           sessions.contains(kFixed + 1) && result.groups().size() == 1 &&
                           result.groups()[0].member.session == SessionId(kFixed + 2);
        if (!whole) wrong = true;
        matches.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (int round = 0; round < 20 || matches.load() < 100; ++round) {
    for (uint64_t i = 0; i < kMany; ++i) {
      index_.add("", "room/1/light", subscriber(kBase + i));
      index_.add("", "room/1/+", subscriber(kBase + i));
      index_.add("", "room/" + std::to_string(i) + "/#", subscriber(kBase + i));
      index_.add("", "house/" + std::to_string(i), subscriber(kBase + i));
    }
    for (uint64_t i = 0; i < kMany; ++i) {
      index_.remove("", "room/1/light", SessionId(kBase + i));
      index_.remove("", "room/1/+", SessionId(kBase + i));
      index_.remove("", "room/" + std::to_string(i) + "/#", SessionId(kBase + i));
      index_.remove("", "house/" + std::to_string(i), SessionId(kBase + i));
    }
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(index_.count(), 3u);
}

}  // namespace
}  // namespace courier::routing
