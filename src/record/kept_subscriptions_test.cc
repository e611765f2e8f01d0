#include "record/kept_subscriptions.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace courier::record {
namespace {

// As the Directory does it: taken out before the index forgets, put back after it has learned.
class Kept : public ::testing::Test {
 protected:
  void subscribe(SessionId session, const Subscription& one) {
    Subscriptions mine = kept.take(session);
    mine.mountpoint = mountpoint_of(session);
    index.add(mine.mountpoint, one.filter, {session, one.options, one.subscription_identifier});
    std::erase_if(mine.filters, [&](const Subscription& s) { return s.filter == one.filter; });
    mine.filters.push_back(one);
    kept.set(session, std::move(mine));
  }
  void unsubscribe(SessionId session, const std::string& filter) {
    Subscriptions mine = kept.take(session);
    index.remove(mountpoint_of(session), filter, session);
    std::erase_if(mine.filters, [&](const Subscription& s) { return s.filter == filter; });
    kept.set(session, std::move(mine));
  }
  static std::string mountpoint_of(SessionId session) { return session.value % 2 == 0 ? "" : "tenant"; }

  routing::SubscriptionIndex index{1};
  KeptSubscriptions kept{index, 1};
};

TEST_F(Kept, EverySessionHasItsOwnWhateverTheOthersDo) {
  std::mt19937_64 random(1);
  std::map<SessionId, std::vector<Subscription>> model;
  const std::string filters[] = {"a", "a/b", "a/b/c", "d", "+/b", "a/#"};
  const auto below = [&](uint64_t n) { return random() % n; };
  for (int step = 0; step < 30'000; ++step) {
    const SessionId session(1 + below(200) + (below(4) == 0 ? SessionId::kEphemeralBit : 0));
    const std::string& filter = filters[below(std::size(filters))];
    std::vector<Subscription>& known = model[session];
    std::erase_if(known, [&](const Subscription& s) { return s.filter == filter; });
    if (below(5) < 2) {
      Subscription one{filter, {.qos = static_cast<mqtt::Qos>(below(3)), .no_local = below(2) == 0}, 0};
      if (below(3) == 0) one.options.retain_handling = mqtt::RetainHandling::do_not_send;
      if (below(3) == 0) one.subscription_identifier = static_cast<uint32_t>(below(1u << 28));
      subscribe(session, one);
      known.push_back(one);
    } else {
      unsubscribe(session, filter);
    }
    EXPECT_EQ(kept.has(session, filter), std::ranges::count(known, filter, &Subscription::filter) > 0);
    if (known.empty()) model.erase(session);
    if (step % 50 != 0) continue;
    size_t ephemeral = 0;
    for (uint64_t number = 1; number <= 200; ++number) {
      for (const SessionId each : {SessionId(number), SessionId(number | SessionId::kEphemeralBit)}) {
        const auto got = kept.get(each);
        ASSERT_EQ(got.has_value(), model.contains(each));
        if (!got) continue;
        ASSERT_EQ(got->mountpoint, mountpoint_of(each));
        ASSERT_EQ(got->filters, model[each]);
        ephemeral += each.ephemeral();
      }
    }
    ASSERT_EQ(kept.ephemeral().size(), ephemeral);
  }
}

}  // namespace
}  // namespace courier::record
