// What routing costs: time per match, per change, and bytes per filter, at a million subscriptions of which a
// tenth has wildcards. Targets: match p50 at most 1 µs, at most 150 bytes per filter.
//
// Percentiles come from a clock around each call and so contain its two readings (the counter `clock_ns`).
#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "mqtt/message.h"
#include "routing/retained_index.h"
#include "routing/shared_groups.h"
#include "routing/subscription_index.h"

namespace courier::routing {
namespace {

constexpr uint64_t kSubscriptions = 1'000'000;

std::string number(uint64_t n) {
  return std::to_string(100'000'000 + n * 7);
}

std::string filter(uint64_t i) {
  switch (i % 20) {
    case 0:
      return "fleet/" + number(i) + "/+/position";
    case 1:
      return i % 40 == 1 ? "tenant-" + number(i) + "/#" : "+/device/" + number(i);
    default:
      return "merchant/" + number(i) + "/orders";
  }
}

Subscriber subscriber(uint64_t i) {
  Subscriber made;
  made.session = SessionId(i << 16 | (i & 0xFFFF));
  made.options.qos = mqtt::Qos::at_least_once;
  return made;
}

SubscriptionIndex& full_index() {
  static const auto index = [] {
    auto made = std::make_unique<SubscriptionIndex>(42);
    for (uint64_t i = 1; i <= kSubscriptions; ++i) made->add("", filter(i), subscriber(i));
    made->add("", "merchant/+/acks", subscriber(kSubscriptions + 1));
    return made;
  }();
  return *index;
}

int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class Percentiles {
 public:
  template <typename Call>
  void time(Call call) {
    const int64_t begin = nanoseconds();
    call();
    samples_.push_back(nanoseconds() - begin);
  }
  void report(benchmark::State& state) {
    std::ranges::sort(samples_);
    const auto at = [&](double part) {
      return static_cast<double>(
          samples_[static_cast<size_t>(part * static_cast<double>(samples_.size() - 1))]);
    };
    state.counters["p50_ns"] = at(0.5);
    state.counters["p99_ns"] = at(0.99);
    const int64_t begin = nanoseconds();
    for (int i = 0; i < 1'000; ++i) benchmark::DoNotOptimize(nanoseconds());
    state.counters["clock_ns"] = static_cast<double>(nanoseconds() - begin) / 1'000;
  }

 private:
  std::vector<int64_t> samples_;
};

void match_topics(benchmark::State& state, const std::vector<std::string>& topics) {
  SubscriptionIndex& index = full_index();
  MatchResult result;
  Percentiles percentiles;
  size_t i = 0;
  size_t receivers = 0;
  for (auto _ : state) {
    percentiles.time([&] { index.match("", topics[i], {}, Shared::name_group, result); });
    receivers += result.receivers().size();
    i = i + 1 == topics.size() ? 0 : i + 1;
  }
  percentiles.report(state);
  state.counters["receivers"] =
      benchmark::Counter(static_cast<double>(receivers), benchmark::Counter::kAvgIterations);
}

// Topics all over the million, so that nearly every step is a cache miss.
template <typename Make>
std::vector<std::string> scattered(Make make) {
  std::mt19937_64 random(1);
  std::vector<std::string> topics;
  for (int i = 0; i < 200'000; ++i) topics.push_back(make(random() % kSubscriptions + 1));
  return topics;
}

void MatchExactAmongAMillion(benchmark::State& state) {
  match_topics(state, scattered([](uint64_t i) { return "merchant/" + number(i - i % 20 + 7) + "/orders"; }));
}
BENCHMARK(MatchExactAmongAMillion);

void MatchWildcardAmongAMillion(benchmark::State& state) {
  match_topics(state,
               scattered([](uint64_t i) { return "fleet/" + number(i - i % 20) + "/van-3/position"; }));
}
BENCHMARK(MatchWildcardAmongAMillion);

void MatchNobodyAmongAMillion(benchmark::State& state) {
  match_topics(state, scattered([](uint64_t i) { return "weather/" + number(i) + "/wind/gusts"; }));
}
BENCHMARK(MatchNobodyAmongAMillion);

void MatchOneTopicAgainAndAgain(benchmark::State& state) {
  match_topics(state, {"merchant/100000049/orders"});
}
BENCHMARK(MatchOneTopicAgainAndAgain);

// Two threads, to see what the lock costs.
void MatchExactByManyThreads(benchmark::State& state) {
  const auto topics = scattered([](uint64_t i) { return "merchant/" + number(i - i % 20 + 7) + "/orders"; });
  SubscriptionIndex& index = full_index();
  MatchResult result;
  size_t i = 0;
  for (auto _ : state) {
    index.match("", topics[i], {}, Shared::name_group, result);
    i = i + 1 == topics.size() ? 0 : i + 1;
  }
}
BENCHMARK(MatchExactByManyThreads)->Threads(1)->Threads(2);

void MatchBroadcast(benchmark::State& state) {
  SubscriptionIndex index(42);
  const auto sessions = static_cast<uint64_t>(state.range(0));
  for (uint64_t i = 1; i <= sessions; ++i) {
    index.add("", "news/all", subscriber(i));
    if (i % 100 == 0) index.add("", "news/#", subscriber(i));
  }
  MatchResult result;
  for (auto _ : state) index.match("", "news/all", {}, Shared::name_group, result);
  state.counters["per_receiver"] =
      benchmark::Counter(static_cast<double>(sessions) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(MatchBroadcast)->Arg(1'000)->Arg(1'000'000);

void AddAndRemoveAmongAMillion(benchmark::State& state) {
  SubscriptionIndex& index = full_index();
  std::mt19937_64 random(2);
  Percentiles percentiles;
  for (auto _ : state) {
    const std::string topic = "visitor/" + number(random() % 1'000'000) + "/in";
    percentiles.time([&] {
      index.add("", topic, subscriber(1));
      index.remove("", topic, SessionId(1 << 16 | 1));
    });
  }
  percentiles.report(state);
}
BENCHMARK(AddAndRemoveAmongAMillion);

void Memory(benchmark::State& state, uint64_t residue_begin, uint64_t residue_end) {
  for (auto _ : state) {
    SubscriptionIndex index(42);
    uint64_t text = 0;
    for (uint64_t i = 1; index.count() < kSubscriptions; ++i) {
      if (i % 20 < residue_begin || i % 20 >= residue_end) continue;
      const std::string each = filter(i);
      text += each.size();
      index.add("", each, subscriber(i));
    }
    state.counters["bytes_per_filter"] =
        static_cast<double>(index.bytes()) / static_cast<double>(index.count());
    state.counters["text_per_filter"] = static_cast<double>(text) / static_cast<double>(index.count());
  }
}
BENCHMARK_CAPTURE(Memory, mixed, 0, 20)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Memory, exact, 2, 20)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Memory, wildcard, 0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);

mqtt::MessagePtr message(std::string_view topic) {
  auto* made = mqtt::Message::make(topic, std::string(100, 'x'));
  made->qos = mqtt::Qos::at_least_once;
  return mqtt::MessagePtr(made);
}

void SharedPublishAndAck(benchmark::State& state) {
  SharedGroups groups;
  GroupChanges changes;
  GroupId id;
  for (uint64_t i = 1; i <= 10; ++i) {
    id = groups.subscribe("", "workers", "jobs", {subscriber(i), 100, true}, GroupId(1), changes);
  }
  const mqtt::MessagePtr job = message("jobs");
  uint64_t position = 0;
  for (auto _ : state) {
    changes.clear();
    const uint64_t seq = groups.publish(id, Position(++position), job, changes);
    groups.acked(id, changes.assignments[0].member, seq, changes);
  }
}
BENCHMARK(SharedPublishAndAck);

RetainedIndex& full_retained() {
  static const auto index = [] {
    auto made = std::make_unique<RetainedIndex>();
    for (uint64_t i = 1; i <= kSubscriptions; ++i) {
      made->set("", message("site/" + number(i % 1'000) + "/sensor/" + number(i) + "/state"), Position(i));
    }
    made->take_dirty();
    return made;
  }();
  return *index;
}

void RetainedReplaceAmongAMillion(benchmark::State& state) {
  RetainedIndex& index = full_retained();
  std::vector<mqtt::MessagePtr> messages;
  std::mt19937_64 random(3);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t n = random() % kSubscriptions + 1;
    messages.push_back(message("site/" + number(n % 1'000) + "/sensor/" + number(n) + "/state"));
  }
  uint64_t i = 0;
  for (auto _ : state) {
    ++i;
    index.set("", messages[i % messages.size()], Position(i));
  }
  index.take_dirty();
}
BENCHMARK(RetainedReplaceAmongAMillion);

void RetainedWildcardAmongAMillion(benchmark::State& state) {
  RetainedIndex& index = full_retained();
  std::mt19937_64 random(4);
  size_t found = 0;
  for (auto _ : state) {
    index.match("", "site/" + number(random() % 1'000) + "/sensor/+/state", [&](const Retained&) {
      ++found;
      return true;
    });
  }
  state.counters["per_topic"] = benchmark::Counter(static_cast<double>(found),
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(RetainedWildcardAmongAMillion);

// One topic under each of a thousand sites of a thousand sensors: found by seeking.
void RetainedSeekAmongAMillion(benchmark::State& state) {
  RetainedIndex& index = full_retained();
  size_t found = 0;
  for (auto _ : state) {
    index.match("", "site/+/sensor/" + number(1'000) + "/state", [&](const Retained&) {
      ++found;
      return true;
    });
  }
  benchmark::DoNotOptimize(found);
}
BENCHMARK(RetainedSeekAmongAMillion);

}  // namespace
}  // namespace courier::routing

BENCHMARK_MAIN();
