#include "session/inbox.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace courier::session {
namespace {

mqtt::MessagePtr message(std::string_view payload) {
  return mqtt::MessagePtr(mqtt::Message::make("t", payload));
}

Entry entry(uint64_t number) {
  Entry made;
  made.message = message(std::to_string(number));
  made.position = Position(number + 100);
  made.qos = mqtt::Qos::exactly_once;
  made.sole = number % 2 == 0;
  return made;
}

TEST(Inbox, PacketIdsFollowFromTheSequenceAndAreNeverZero) {
  EXPECT_EQ(packet_id_of(0), PacketId(1));
  EXPECT_EQ(packet_id_of(65'534), PacketId(65'535));
  EXPECT_EQ(packet_id_of(65'535), PacketId(1));
}

// Read from disk again it would be sent, or settled a second time.
TEST(Inbox, WhatIsDecidedStaysInMemoryUntilItIsSettled) {
  Inbox inbox;
  for (uint64_t i = 0; i < 6; ++i) inbox.push(entry(i));
  inbox.find(1)->leaving = true;
  inbox.find(2)->acked = true;
  inbox.flush([](uint64_t, const Entry&) {});
  inbox.release(0);
  ASSERT_TRUE(inbox.find(1));
  ASSERT_TRUE(inbox.find(2));
  EXPECT_TRUE(inbox.find(1)->leaving);
  EXPECT_TRUE(inbox.find(2)->acked);
  EXPECT_EQ(inbox.gap_begin(), 3u);
  EXPECT_EQ(inbox.gap_end(), 6u);
  for (const uint64_t seq : {1, 2}) {
    const Entry made = entry(seq);
    inbox.finish({seq, made.position, static_cast<uint32_t>(made.message->cost()), made.sole});
  }
  inbox.release(0);
  EXPECT_EQ(inbox.memory_entries(), 0u);
  EXPECT_EQ(inbox.count(), 4u);
}

TEST(Inbox, WhatSomebodyElseActsForIsAsIfNothingHadBeenDone) {
  Inbox inbox;
  for (uint64_t i = 0; i < 4; ++i) inbox.push(entry(i));
  inbox.find(0)->transmitted = true;
  inbox.find(1)->acked = true;
  inbox.find(2)->leaving = true;
  inbox.find(3)->step_pending = true;
  inbox.set_step(0, Step::sent);
  inbox.forget_progress();
  for (uint64_t seq = 0; seq < 4; ++seq) {
    const Entry& found = *inbox.find(seq);
    EXPECT_FALSE(found.transmitted || found.acked || found.leaving || found.step_pending) << seq;
  }
  EXPECT_EQ(inbox.find(0)->step, Step::sent) << "that is what the log says";
  EXPECT_EQ(inbox.count(), 4u);
}

// A naive inbox with its rows on a naive disk, and the real one, under the same random operations.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      switch (random_() % 13) {
        case 0:
        case 1:
        case 2:
          push();
          break;
        case 3:
        case 4:
        case 5:
          finish_one(random_() % 2 == 0);
          break;
        case 6:
          step_one();
          break;
        case 7:
          checkpoint();
          break;
        case 8:
          inbox_.release(random_() % 3 == 0 ? random_() % 6 : 0);
          break;
        case 9:
        case 10:
          load();
          break;
        case 11:
          if (random_() % 4 == 0) restart();
          break;
        case 12:
          inbox_.trim();
          break;
      }
      check();
    }
  }

 private:
  struct Live {
    Step step = Step::queued;
    uint32_t bytes = 0;
    bool sole = false;
    Position position;
  };

  void push() {
    const uint64_t expected = next_++;
    Entry made = entry(expected);
    live_[expected] = {Step::queued, static_cast<uint32_t>(made.message->cost()), made.sole, made.position};
    ASSERT_EQ(inbox_.push(std::move(made)), expected);
  }
  void finish_one(bool oldest) {
    if (live_.empty()) return;
    auto it = live_.begin();
    if (!oldest) std::advance(it, static_cast<long>(random_() % live_.size()));
    const Inbox::Settled settled{it->first, it->second.position, it->second.bytes, it->second.sole};
    ASSERT_TRUE(inbox_.finish(settled));
    ASSERT_FALSE(inbox_.finish(settled)) << "settled twice";
    live_.erase(it);
  }
  void step_one() {
    if (live_.empty()) return;
    auto it = live_.begin();
    std::advance(it, static_cast<long>(random_() % live_.size()));
    it->second.step = it->second.step == Step::queued ? Step::sent : Step::received;
    ASSERT_TRUE(inbox_.set_step(it->first, it->second.step));
  }
  void checkpoint() {
    inbox_.flush(
        [&](uint64_t seq, const Entry&) { ASSERT_TRUE(disk_.insert(seq).second) << "written twice"; });
    for (const auto& erased : inbox_.take_erased()) {
      ASSERT_EQ(disk_.erase(erased.seq), 1u) << "erased a row that is not there";
      ASSERT_EQ(erased.position, Position(erased.seq + 100));
    }
    header_ = {inbox_.first(), inbox_.next(), inbox_.count(), inbox_.bytes(), inbox_.steps()};
    live_on_disk_ = live_;
    next_on_disk_ = next_;
  }
  // Reads a part of the gap, as a worker would.
  void load() {
    if (!inbox_.has_gap()) return;
    const uint64_t from = inbox_.gap_begin();
    const uint64_t upto = from + 1 + random_() % (inbox_.gap_end() - from);
    std::vector<Inbox::Loaded> rows;
    for (auto it = disk_.lower_bound(from); it != disk_.end() && *it < upto; ++it)
      rows.push_back({*it, entry(*it)});
    inbox_.absorb(std::move(rows), upto);
  }
  // Back to what the last checkpoint says.
  void restart() {
    checkpoint();
    Inbox fresh;
    fresh.restore(header_.first, header_.next, header_.count, header_.bytes, header_.steps);
    inbox_ = std::move(fresh);
  }

  void check() {
    ASSERT_EQ(inbox_.count(), live_.size());
    ASSERT_EQ(inbox_.next(), next_);
    ASSERT_LE(inbox_.first(), live_.empty() ? next_ : live_.begin()->first);
    ASSERT_LE(inbox_.count(), inbox_.next() - inbox_.first());
    uint64_t bytes = 0;
    for (const auto& [seq, live] : live_) {
      bytes += live.bytes;
      const bool in_gap = seq >= inbox_.gap_begin() && seq < inbox_.gap_end();
      Entry* found = inbox_.find(seq);
      ASSERT_EQ(found == nullptr, in_gap) << seq;
      if (!found) continue;
      ASSERT_EQ(found->step, live.step);
      ASSERT_EQ(found->message->payload, std::to_string(seq));
    }
    ASSERT_EQ(inbox_.bytes(), bytes);
    size_t in_memory = 0;
    for (uint64_t seq = 0; seq < next_; ++seq) in_memory += inbox_.find(seq) != nullptr;
    ASSERT_LE(in_memory, live_.size()) << "something settled is back";
  }

  struct Header {
    uint64_t first, next, count, bytes;
    std::vector<Inbox::StepOf> steps;
  };
  std::mt19937_64 random_;
  Inbox inbox_;
  std::map<uint64_t, Live> live_, live_on_disk_;
  std::set<uint64_t> disk_;
  uint64_t next_ = 0, next_on_disk_ = 0;
  Header header_{};
};

TEST(Inbox, AgreesWithANaiveOneOverMemoryAndDisk) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Model(seed).run(400);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace courier::session
