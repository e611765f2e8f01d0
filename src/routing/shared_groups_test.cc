#include "routing/shared_groups.h"

#include <algorithm>
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
using testing::Pair;

SharedGroups::Member member(uint64_t session, uint32_t window = 10, bool connected = true,
                            Qos qos = Qos::exactly_once) {
  SharedGroups::Member made;
  made.subscriber.session = SessionId(session);
  made.subscriber.options.qos = qos;
  made.window = window;
  made.connected = connected;
  return made;
}

class Group : public testing::Test {
 protected:
  using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;  // seq, session

  void join(const SharedGroups::Member& joining) {
    changes_.clear();
    id_ = groups_.subscribe("", "g", "orders", joining, GroupId(++ids_), changes_);
  }
  uint64_t publish(Qos qos = Qos::at_least_once) {
    changes_.clear();
    return groups_.publish(id_, Position(++position_), model::message("orders", qos), changes_);
  }
  bool leave(uint64_t session) {
    changes_.clear();
    return groups_.unsubscribe("", "g", "orders", SessionId(session), changes_);
  }
  void connect(uint64_t session, uint32_t window = 10) {
    changes_.clear();
    groups_.connected(SessionId(session), window, changes_);
  }
  void disconnect(uint64_t session) {
    changes_.clear();
    groups_.disconnected(std::vector{SessionId(session)}, changes_);
  }
  void end(uint64_t session) {
    changes_.clear();
    groups_.session_ended(SessionId(session), changes_);
  }
  bool ack(uint64_t session, uint64_t seq) {
    changes_.clear();
    return groups_.acked(id_, SessionId(session), seq, changes_);
  }
  Pairs assigned() const {
    Pairs pairs;
    for (const Assignment& a : changes_.assignments) pairs.emplace_back(a.seq, a.member.value);
    return pairs;
  }
  Pairs withdrawn() const {
    Pairs pairs;
    for (const Withdrawal& w : changes_.withdrawals) pairs.emplace_back(w.seq, w.member.value);
    return pairs;
  }
  std::vector<uint64_t> dropped() const {
    std::vector<uint64_t> seqs;
    for (const GroupDrop& drop : changes_.drops) seqs.push_back(drop.seq);
    return seqs;
  }

  SharedGroups groups_;
  GroupChanges changes_;
  GroupId id_;
  uint64_t ids_ = 0, position_ = 0;
};

TEST_F(Group, ConnectedMembersTakeTurns) {
  join(member(1));
  join(member(2));
  join(member(3, 10, false));
  std::vector<uint64_t> order;
  for (int i = 0; i < 4; ++i) {
    publish();
    ASSERT_EQ(changes_.assignments.size(), 1u);
    order.push_back(changes_.assignments[0].member.value);
  }
  EXPECT_THAT(order, ElementsAre(1, 2, 1, 2));
}

TEST_F(Group, MessageWaitsUntilSomebodyConnects) {
  join(member(1, 10, false));
  publish();
  publish();
  EXPECT_TRUE(changes_.empty());
  EXPECT_EQ(groups_.queued_count(id_), 2u);
  EXPECT_GT(groups_.queued_bytes(id_), 0u);
  EXPECT_THAT(groups_.oldest_queued(id_, 1), ElementsAre(1));
  connect(1);
  EXPECT_THAT(assigned(), ElementsAre(Pair(1, 1), Pair(2, 1)));
  EXPECT_EQ(groups_.queued_count(id_), 0u);
  EXPECT_EQ(groups_.queued_bytes(id_), 0u);
}

TEST_F(Group, FullWindowHoldsBackAndAnAckGoesOn) {
  join(member(1, 2));
  for (int i = 0; i < 4; ++i) publish();
  EXPECT_EQ(groups_.queued_count(id_), 2u);
  EXPECT_TRUE(ack(1, 2));
  EXPECT_THAT(assigned(), ElementsAre(Pair(3, 1)));
  EXPECT_FALSE(ack(1, 2));
  EXPECT_THAT(assigned(), IsEmpty());
}

TEST_F(Group, EffectiveQosIsTheLowerOne) {  // [MQTT-4.8.2-3]
  join(member(1, 10, true, Qos::at_least_once));
  publish(Qos::exactly_once);
  EXPECT_EQ(changes_.assignments[0].qos, Qos::at_least_once);
}

TEST_F(Group, MessageGrantedAtQos0IsDoneAtOnce) {
  join(member(1, 1, true, Qos::at_most_once));
  for (int i = 0; i < 3; ++i) {
    const uint64_t seq = publish();
    EXPECT_THAT(assigned(), ElementsAre(Pair(seq, 1)));
    EXPECT_EQ(changes_.assignments[0].qos, Qos::at_most_once);
    EXPECT_FALSE(ack(1, seq));
  }
  EXPECT_TRUE(groups_.group(id_)->entries.empty());
}

TEST_F(Group, UnackedQos1MovesWhenItsMemberDisconnects) {
  join(member(1));
  join(member(2));
  publish();
  publish();
  disconnect(1);
  EXPECT_THAT(withdrawn(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(assigned(), ElementsAre(Pair(1, 2)));
  EXPECT_FALSE(ack(1, 1));
  EXPECT_TRUE(ack(2, 1));
}

TEST_F(Group, UnackedQos1StaysWithTheLastMemberUntilAnotherConnects) {
  join(member(1));
  join(member(2, 10, false));
  publish();
  disconnect(1);
  EXPECT_TRUE(changes_.empty());
  EXPECT_EQ(groups_.queued_count(id_), 0u);  // it is in the member's inbox, not in the group's
  connect(2);
  EXPECT_THAT(withdrawn(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(assigned(), ElementsAre(Pair(1, 2)));
}

TEST_F(Group, MemberThatReturnsFirstKeepsItsMessages) {
  join(member(1));
  join(member(2, 10, false));
  publish();
  disconnect(1);
  connect(1);
  EXPECT_TRUE(changes_.empty());
  connect(2);
  EXPECT_TRUE(changes_.empty());
  EXPECT_TRUE(ack(1, 1));
}

TEST_F(Group, MovesOnlyAsFarAsTheOthersHaveRoom) {
  join(member(1));
  join(member(2, 1, false));
  publish();
  publish();
  disconnect(1);
  connect(2, 1);
  EXPECT_THAT(assigned(), ElementsAre(Pair(1, 2)));
  connect(1);  // the second is still its own
  EXPECT_TRUE(ack(1, 2));
}

TEST_F(Group, Qos2NeverMoves) {  // [MQTT-4.8.2-4]
  join(member(1));
  join(member(2, 10, false));
  publish(Qos::exactly_once);
  disconnect(1);
  connect(2);
  EXPECT_TRUE(changes_.empty());
  connect(1);
  EXPECT_TRUE(changes_.empty());
  EXPECT_TRUE(ack(1, 1));
}

TEST_F(Group, Qos2IsDroppedWithItsSessionAndQos1GoesOn) {  // [MQTT-4.8.2-5]
  join(member(1));
  publish(Qos::exactly_once);
  publish(Qos::at_least_once);
  join(member(2));
  end(1);
  EXPECT_THAT(dropped(), ElementsAre(1));
  EXPECT_EQ(changes_.drops[0].reason, GroupDropReason::session_ended);
  EXPECT_TRUE(changes_.drops[0].message);
  EXPECT_THAT(assigned(), ElementsAre(Pair(2, 2)));
  EXPECT_THAT(withdrawn(), IsEmpty());
}

TEST_F(Group, MemberThatUnsubscribesCompletesWhatItWasGiven) {  // [MQTT-3.10.4-3]
  join(member(1));
  publish();
  join(member(2));
  EXPECT_TRUE(leave(1));
  EXPECT_TRUE(changes_.empty());
  EXPECT_FALSE(leave(1));
  publish();
  publish();
  EXPECT_THAT(assigned(), ElementsAre(Pair(3, 2)));
  EXPECT_TRUE(ack(1, 1));
  EXPECT_FALSE(groups_.group(id_)->members.contains(SessionId(1)));
}

TEST_F(Group, LeavingMemberThatDisconnectsHandsOverItsQos1) {
  join(member(1));
  publish(Qos::exactly_once);
  publish(Qos::at_least_once);
  join(member(2));
  leave(1);
  disconnect(1);
  EXPECT_THAT(assigned(), ElementsAre(Pair(2, 2)));
  connect(1);
  EXPECT_TRUE(ack(1, 1));
  EXPECT_FALSE(groups_.group(id_)->members.contains(SessionId(1)));
}

TEST_F(Group, NothingMovesBetweenMembersThatDisconnectTogether) {
  join(member(1));
  join(member(2));
  join(member(3));
  for (int i = 0; i < 3; ++i) publish();
  changes_.clear();
  groups_.disconnected(std::vector{SessionId(1), SessionId(2)}, changes_);
  const Pairs given = assigned();
  EXPECT_EQ(given.size(), 2u);
  for (const auto& [seq, session] : given) EXPECT_EQ(session, 3u);
  EXPECT_EQ(withdrawn().size(), 2u);
}

TEST_F(Group, LeavingMemberMayComeBack) {
  join(member(1));
  publish();
  join(member(2, 10, false));
  leave(1);
  join(member(1));
  publish();
  EXPECT_THAT(assigned(), ElementsAre(Pair(2, 1)));
}

TEST_F(Group, EndsWithItsLastMemberAndGivesUpWhatNobodyHolds) {
  join(member(1, 1));
  publish();
  publish();
  const GroupId ended = id_;
  EXPECT_TRUE(leave(1));
  EXPECT_THAT(dropped(), ElementsAre(2));
  EXPECT_EQ(changes_.drops[0].reason, GroupDropReason::group_ended);
  EXPECT_EQ(groups_.group(ended), nullptr);
  EXPECT_EQ(groups_.count(), 0u);
  EXPECT_FALSE(ack(1, 1));  // it is the session's own by now
  EXPECT_EQ(groups_.find("", "g", "orders"), GroupId());
  join(member(1));
  EXPECT_NE(id_, ended);
}

TEST_F(Group, DroppedByTheCallerIsWithdrawnAndFreesTheWindow) {
  join(member(1, 1));
  publish();
  publish();
  changes_.clear();
  EXPECT_TRUE(groups_.dropped(id_, 1, changes_));
  EXPECT_THAT(withdrawn(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(assigned(), ElementsAre(Pair(2, 1)));
  EXPECT_FALSE(groups_.dropped(id_, 1, changes_));
}

TEST_F(Group, NothingMovesWhenTheNodeGoesDown) {
  join(member(1));
  join(member(2));
  publish();
  publish();
  groups_.all_disconnected();
  connect(2);
  EXPECT_THAT(withdrawn(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(assigned(), ElementsAre(Pair(1, 2)));
  connect(1);
  EXPECT_TRUE(changes_.empty());
}

TEST_F(Group, SameNameElsewhereIsAnotherGroup) {
  join(member(1));
  const GroupId other = groups_.subscribe("tenant", "g", "orders", member(2), GroupId(77), changes_);
  const GroupId third = groups_.subscribe("", "g", "orders/+", member(2), GroupId(78), changes_);
  EXPECT_EQ(other, GroupId(77));
  EXPECT_EQ(third, GroupId(78));
  EXPECT_EQ(groups_.count(), 3u);
}

TEST_F(Group, DirtyListsWhatMustBeStored) {
  join(member(1, 1));
  const uint64_t first = publish();
  publish();
  auto dirty = groups_.take_dirty();
  ASSERT_EQ(dirty.size(), 1u);
  EXPECT_THAT(dirty[0].members, ElementsAre(SessionId(1)));
  EXPECT_THAT(dirty[0].entries, ElementsAre(1, 2));
  EXPECT_THAT(groups_.take_dirty(), IsEmpty());
  ack(1, first);  // gone; the second is assigned
  dirty = groups_.take_dirty();
  ASSERT_EQ(dirty.size(), 1u);
  EXPECT_THAT(dirty[0].members, IsEmpty());
  EXPECT_THAT(dirty[0].entries, ElementsAre(1, 2));
  ack(1, 2);
  groups_.take_dirty();
  ack(1, publish());  // came and went
  dirty = groups_.take_dirty();
  ASSERT_EQ(dirty.size(), 1u);
  EXPECT_THAT(dirty[0].entries, IsEmpty());
  leave(1);
  dirty = groups_.take_dirty();
  ASSERT_EQ(dirty.size(), 1u);
  EXPECT_EQ(dirty[0].group, nullptr);
}

TEST_F(Group, GroupThatCameAndWentIsNotDirty) {
  join(member(1));
  leave(1);
  EXPECT_THAT(groups_.take_dirty(), IsEmpty());
}

// The rules, told the slow way: after every step, look at everything.
class Naive {
 public:
  struct Entry {
    uint64_t seq;
    Qos published;
    uint64_t holder = 0;
    Qos qos{};
    bool operator==(const Entry&) const = default;
  };
  struct Member {
    Qos granted{};
    uint32_t window = 0;
    bool connected = false, leaving = false;
  };
  std::map<uint64_t, Member> members;
  std::vector<Entry> entries;
  uint64_t last = 0, seq_next = 1;
  std::vector<std::pair<uint64_t, uint64_t>> assigned, withdrawn;
  std::vector<uint64_t> dropped;

  size_t held(uint64_t session) const {
    return static_cast<size_t>(std::ranges::count(entries, session, &Entry::holder));
  }
  bool has_room(uint64_t session) const {
    const Member& m = members.at(session);
    return m.connected && !m.leaving && held(session) < m.window;
  }
  void settle() {
    while (step()) {
    }
    std::erase_if(members, [&](const auto& m) { return m.second.leaving && held(m.first) == 0; });
    if (std::ranges::none_of(members, [](const auto& m) { return !m.second.leaving; })) {
      for (const Entry& entry : entries) {
        if (entry.holder == 0) dropped.push_back(entry.seq);
      }
      *this = Naive{{}, {}, 0, 1, assigned, withdrawn, dropped};
    }
  }

 private:
  bool step() {
    const auto entry = std::ranges::find_if(entries, [&](const Entry& e) {
      return e.holder == 0 || (e.qos == Qos::at_least_once && !members.at(e.holder).connected);
    });
    if (entry == entries.end()) return false;
    std::vector<uint64_t> free;
    for (const auto& [session, m] : members) {
      if (has_room(session)) free.push_back(session);
    }
    if (free.empty()) return false;
    const auto after = std::ranges::upper_bound(free, last);
    last = after == free.end() ? free.front() : *after;
    if (entry->holder) withdrawn.emplace_back(entry->seq, entry->holder);
    assigned.emplace_back(entry->seq, last);
    entry->holder = last;
    entry->qos = mqtt::lower(entry->published, members[last].granted);
    if (entry->qos == Qos::at_most_once) {
      entries.erase(entry);
    }
    return true;
  }
};

// What a store would hold if it did just what take_dirty() says.
struct Store {
  std::map<GroupId, SharedGroup> groups;  // without entries
  std::map<GroupId, std::map<uint64_t, GroupEntry>> entries;

  SharedGroup group(GroupId id) {
    SharedGroup whole = groups.at(id);
    for (const auto& [seq, entry] : entries[id]) whole.entries.emplace(seq, entry);
    return whole;
  }

  void take(SharedGroups& from) {
    for (const SharedGroups::Dirty& dirty : from.take_dirty()) {
      if (!dirty.group) {
        EXPECT_EQ(groups.erase(dirty.id), 1u);
        entries.erase(dirty.id);
        continue;
      }
      SharedGroup& stored = groups[dirty.id];
      stored.id = dirty.id;
      stored.mountpoint = dirty.group->mountpoint;
      stored.name = dirty.group->name;
      stored.filter = dirty.group->filter;
      stored.seq_next = dirty.group->seq_next;
      stored.last_served = dirty.group->last_served;
      for (const SessionId session : dirty.members) {
        stored.members.erase(session);
        if (dirty.group->members.contains(session)) {
          stored.members[session] = dirty.group->members.at(session);
          stored.members[session].held.clear();
        }
      }
      for (const uint64_t seq : dirty.entries) {
        entries[dirty.id].erase(seq);
        if (const auto* item = dirty.group->entries.find(seq)) {
          entries[dirty.id][seq] = {item->entry.position, item->entry.message, item->entry.member,
                                    item->entry.qos};
        }
      }
    }
  }
};

TEST(SharedGroups, AgreeWithTheNaiveModelThroughRandomStepsAndRestarts) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
    auto groups = std::make_unique<SharedGroups>();
    Naive naive;
    Store store;
    GroupChanges changes;
    uint64_t ids = 0, position = 0;
    std::set<uint64_t> living;  // sessions that have not ended: a session id is not used again
    uint64_t sessions = 5;
    for (int step = 0; step < 1'500; ++step) {
      changes.clear();
      naive.assigned.clear();
      naive.withdrawn.clear();
      naive.dropped.clear();
      const GroupId id = groups->find("", "g", "f");
      const uint64_t session = 1 + below(sessions);
      const bool is_member = naive.members.contains(session);
      switch (below(11)) {
        case 0: {
          const SharedGroups::Member joining = member(
              session, static_cast<uint32_t>(below(4)),
              is_member ? naive.members[session].connected : below(3) != 0, static_cast<Qos>(below(3)));
          groups->subscribe("", "g", "f", joining, GroupId(++ids), changes);
          naive.members[session] = {joining.subscriber.options.qos, joining.window, joining.connected, false};
          naive.settle();
          break;
        }
        case 1:
          if (below(3) != 0) break;
          ASSERT_EQ(groups->unsubscribe("", "g", "f", SessionId(session), changes),
                    is_member && !naive.members[session].leaving);
          if (is_member) {
            naive.members[session].leaving = true;
            naive.settle();
          }
          break;
        case 2: {
          const auto window = static_cast<uint32_t>(1 + below(4));
          groups->connected(SessionId(session), window, changes);
          if (is_member) {
            naive.members[session].connected = true;
            naive.members[session].window = window;
            naive.settle();
          }
          break;
        }
        case 3:
          groups->disconnected(std::vector{SessionId(session)}, changes);
          if (is_member) {
            naive.members[session].connected = false;
            naive.settle();
          }
          break;
        case 4:
          if (below(3) != 0) break;
          groups->session_ended(SessionId(session), changes);
          if (is_member) {
            std::erase_if(naive.entries, [&](const Naive::Entry& entry) {
              if (entry.holder != session || entry.qos != Qos::exactly_once) return false;
              naive.dropped.push_back(entry.seq);
              return true;
            });
            for (Naive::Entry& entry : naive.entries) {
              if (entry.holder == session) entry.holder = 0;
            }
            naive.members.erase(session);
            naive.settle();
          }
          break;
        case 5:
        case 6:
        case 7:
          if (id) {
            const auto qos = static_cast<Qos>(1 + below(2));
            const uint64_t seq = groups->publish(id, Position(++position), model::message("f", qos), changes);
            ASSERT_EQ(seq, naive.seq_next++);
            naive.entries.push_back({seq, qos});
            naive.settle();
          }
          break;
        case 8:
        case 9:
          if (!naive.entries.empty()) {
            const Naive::Entry entry = naive.entries[below(naive.entries.size())];
            const uint64_t by = below(4) == 0 ? session : entry.holder;
            ASSERT_EQ(groups->acked(id, SessionId(by), entry.seq, changes), by != 0 && by == entry.holder);
            if (by != 0 && by == entry.holder) {
              std::erase(naive.entries, entry);
              naive.settle();
            }
          }
          break;
        case 10:
          if (!naive.entries.empty() && below(2) == 0) {
            const Naive::Entry entry = naive.entries[below(naive.entries.size())];
            ASSERT_TRUE(groups->dropped(id, entry.seq, changes));
            if (entry.holder) naive.withdrawn.emplace_back(entry.seq, entry.holder);
            std::erase(naive.entries, entry);
            naive.settle();
          } else if (below(10) == 0) {
            groups->all_disconnected();
            for (auto& [other, m] : naive.members) m.connected = false;
          }
          break;
      }
      std::vector<std::pair<uint64_t, uint64_t>> assigned, withdrawn;
      std::vector<uint64_t> dropped;
      for (const Assignment& a : changes.assignments) assigned.emplace_back(a.seq, a.member.value);
      for (const Withdrawal& w : changes.withdrawals) withdrawn.emplace_back(w.seq, w.member.value);
      for (const GroupDrop& drop : changes.drops) dropped.push_back(drop.seq);
      ASSERT_EQ(assigned, naive.assigned) << step;
      ASSERT_EQ(withdrawn, naive.withdrawn) << step;
      std::ranges::sort(dropped);
      std::ranges::sort(naive.dropped);
      ASSERT_EQ(dropped, naive.dropped) << step;

      // The same messages with the same holders: none lost, none twice.
      const SharedGroup* group = groups->group(groups->find("", "g", "f"));
      ASSERT_EQ(group != nullptr, !naive.members.empty());
      if (group) {
        std::vector<Naive::Entry> entries;
        size_t queued = 0, held = 0;
        for (const auto& [seq, entry, gone] : group->entries) {
          entries.push_back({seq, entry.message->qos, entry.member.value, entry.member ? entry.qos : Qos{}});
          queued += !entry.member;
        }
        for (Naive::Entry& entry : naive.entries) {
          if (entry.holder == 0) entry.qos = Qos{};
        }
        ASSERT_EQ(entries, naive.entries) << step;
        ASSERT_EQ(groups->queued_count(group->id), queued);
        ASSERT_EQ(groups->oldest_queued(group->id, 1'000'000).size(), queued);
        ASSERT_EQ(group->members.size(), naive.members.size());
        for (const auto& [of, m] : group->members) {
          ASSERT_EQ(m.outstanding(), naive.held(of.value));
          held += m.outstanding();
        }
        ASSERT_EQ(held + queued, entries.size());
      }

      if (below(20) == 0) store.take(*groups);
      if (below(100) == 0) {
        // A restart from what was stored goes on as if nothing had happened.
        store.take(*groups);
        auto restored = std::make_unique<SharedGroups>();
        for (const auto& [stored, state] : store.groups) restored->restore(store.group(stored));
        ASSERT_EQ(restored->count(), groups->count());
        groups = std::move(restored);
        ASSERT_TRUE(groups->take_dirty().empty());
      }
    }
  }
}

TEST_F(Group, WhatOneOperationAssignsAndTheNextTakesAwayCancelsOut) {
  join(member(1, 1));
  publish();
  publish();
  changes_.clear();
  EXPECT_TRUE(groups_.dropped(id_, 1, changes_));  // frees the window for the second
  EXPECT_TRUE(groups_.dropped(id_, 2, changes_));
  EXPECT_THAT(withdrawn(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(assigned(), IsEmpty());
}

// What the members' inboxes hold after all withdrawals and then all assignments of several operations is what
// the group says that they hold.
TEST(SharedGroups, InboxesFollowTheChangesOfSeveralOperationsAtOnce) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
    SharedGroups groups;
    GroupChanges changes;
    std::map<uint64_t, std::set<uint64_t>> inboxes;
    uint64_t position = 0;
    GroupId id;
    const auto connect = [&](uint64_t session, bool connected) {
      id = groups.subscribe("", "g", "f", member(session, 3, connected), GroupId(1 + position), changes);
    };
    for (int step = 0; step < 500; ++step) {
      connect(9, false);  // the group never ends
      for (uint64_t operations = 1 + below(5); operations > 0; --operations) {
        const uint64_t session = 1 + below(4);
        switch (below(6)) {
          case 0:
            connect(session, true);
            break;
          case 1:
            groups.disconnected(std::vector{SessionId(session)}, changes);
            break;
          case 2:
            groups.session_ended(SessionId(session), changes);
            inboxes.erase(session);
            break;
          case 3:
            groups.publish(id, Position(++position), model::message("f", static_cast<Qos>(1 + below(2))),
                           changes);
            break;
          case 4:
            if (!inboxes[session].empty()) {
              const uint64_t seq = *inboxes[session].begin();
              if (groups.acked(id, SessionId(session), seq, changes)) inboxes[session].erase(seq);
            }
            break;
          case 5:
            if (position > 0) groups.dropped(id, 1 + below(position), changes);
            break;
        }
      }
      for (const Withdrawal& withdrawal : changes.withdrawals)
        inboxes[withdrawal.member.value].erase(withdrawal.seq);
      for (const Assignment& assignment : changes.assignments) {
        ASSERT_TRUE(inboxes[assignment.member.value].insert(assignment.seq).second);
      }
      changes.clear();
      for (uint64_t session = 1; session <= 4; ++session) {
        const auto& members = groups.group(id)->members;
        const auto found = members.find(SessionId(session));
        std::set<uint64_t> held;
        if (found != members.end()) held.insert(found->second.held.begin(), found->second.held.end());
        ASSERT_EQ(inboxes[session], held) << step;
      }
    }
  }
}

}  // namespace
}  // namespace courier::routing
