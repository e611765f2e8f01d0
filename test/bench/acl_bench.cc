// What an access rule's answer costs. Targets: 200 ns remembered, 2 µs with 1,000 rules.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "auth/acl/decision_cache.h"
#include "auth/acl/grants.h"
#include "auth/acl/rule_set.h"

namespace courier::auth::acl {
namespace {

Labels& labels() {
  static Labels one;
  return one;
}

std::shared_ptr<const RuleSet> rules_of(const std::string& text) {
  auto parsed = RuleSet::parse(text, "acl", labels());
  if (!parsed) {
    fmt::print(stderr, "{}\n", spelt("acl", parsed.error()));
    std::exit(1);
  }
  return *parsed;
}

// A thousand rules of all kinds, as a shop might have them: most are literal to the last level.
std::shared_ptr<const RuleSet> thousand() {
  std::string text;
  for (int i = 0; i < 400; ++i) text += fmt::format("topic read catalogue/{}/+/price\n", i);
  for (int i = 0; i < 50; ++i) text += fmt::format("topic deny catalogue/{}/internal/#\n", i * 7);
  for (int i = 0; i < 400; ++i) text += fmt::format("pattern write app-{}/device/%c/up\n", i);
  for (int i = 0; i < 149; ++i) text += fmt::format("token readwrite app-{}/group/%(c, :, 2)/#\n", i);
  text += "topic readwrite news/#\n";
  return rules_of(text);
}

std::shared_ptr<const RuleSet> hundred_thousand_users() {
  std::string text = "topic read news/#\npattern write devices/%c/up\n";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("user user-{0}\ntopic readwrite home/{0}/#\n", i);
  return rules_of(text);
}

// Every way through the trie has to be tried: what such rules cost at worst.
std::shared_ptr<const RuleSet> all_ways() {
  std::string text;
  for (int i = 0; i < 1024; ++i) {
    text += "topic read ";
    for (int bit = 0; bit < 10; ++bit) text += (i >> bit & 1) != 0 ? "a/" : "+/";
    text += "end\n";
  }
  return rules_of(text);
}

void ask(benchmark::State& state, const RuleSet& rules, Action action, const std::string& topic,
         const std::string& username = "alice", const RuleSet* grants = nullptr) {
  const std::string client_id = "phone:4711:1";
  const Subject subject{username, client_id, "", grants};
  bool allowed = false;
  for (auto _ : state) {
    const Answer answer = rules.check(subject, action, topic);
    benchmark::DoNotOptimize(answer);
    allowed = answer.allowed;
  }
  state.SetLabel(allowed ? "allowed" : "refused");
  state.counters["rules"] = static_cast<double>(rules.rules().size());
  state.counters["bytes"] = static_cast<double>(rules.bytes());
}

void remembered(benchmark::State& state, size_t topics) {
  const auto rules = thousand();
  const std::string client_id = "phone:4711:1";
  const Subject subject{"alice", client_id, "", nullptr};
  DecisionCache cache;
  std::vector<std::string> asked;
  for (size_t i = 0; i < topics; ++i) asked.push_back(fmt::format("app-{}/device/phone:4711:1/up", 300 + i));
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.check(*rules, subject, Action::publish, asked[next]));
    if (++next == topics) next = 0;
  }
}

BENCHMARK_CAPTURE(remembered, one_topic, 1);
BENCHMARK_CAPTURE(remembered, eight_topics_in_turn, 8);
BENCHMARK_CAPTURE(remembered, nine_topics_in_turn_so_never, 9);

void publish_1000_rules(benchmark::State& state, const std::string& topic) {
  ask(state, *thousand(), Action::publish, topic);
}
BENCHMARK_CAPTURE(publish_1000_rules, pattern, "app-399/device/phone:4711:1/up");
BENCHMARK_CAPTURE(publish_1000_rules, piece, "app-100/group/4711/a/b");
BENCHMARK_CAPTURE(publish_1000_rules, refused, "app-100/elsewhere/4711/a/b");

void subscribe_1000_rules(benchmark::State& state, const std::string& filter) {
  ask(state, *thousand(), Action::subscribe, filter);
}
BENCHMARK_CAPTURE(subscribe_1000_rules, topic, "catalogue/399/7/price");
BENCHMARK_CAPTURE(subscribe_1000_rules, wildcard, "catalogue/399/+/price");
BENCHMARK_CAPTURE(subscribe_1000_rules, wildcard_over_all_deny_rules, "catalogue/+/elsewhere/price");
BENCHMARK_CAPTURE(subscribe_1000_rules, everything, "#");

void hundred_thousand_users(benchmark::State& state) {
  ask(state, *hundred_thousand_users(), Action::publish, "home/77777/light", "user-77777");
}
BENCHMARK(hundred_thousand_users);

void all_1024_ways(benchmark::State& state) {
  ask(state, *all_ways(), Action::subscribe, "a/a/a/a/a/a/a/a/a/a/nowhere");
}
BENCHMARK(all_1024_ways);

// The two kinds of rules that are looked at one by one.
void plus_over_1000_deny_rules(benchmark::State& state) {
  std::string text = "topic readwrite #\n";
  for (int i = 0; i < 1000; ++i) text += fmt::format("topic deny secret-{}/plans\n", i);
  ask(state, *rules_of(text), Action::subscribe, "+/news");
}
BENCHMARK(plus_over_1000_deny_rules);

void patterns_of_1000_spellings(benchmark::State& state) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += fmt::format("pattern write {}-%c/up\n", i);
  ask(state, *rules_of(text), Action::publish, "999-phone:4711:1/up");
}
BENCHMARK(patterns_of_1000_spellings);

void with_grants(benchmark::State& state) {
  const std::vector<Grant> given = {{.filter = "devices/%c/#", .publish = true, .subscribe = true},
                                    {.filter = "orders/%u/new", .label = "orders", .publish = true},
                                    {.filter = "news/#", .subscribe = true}};
  const auto grants = *RuleSet::of_grants(given, labels());
  ask(state, *rules_of("topic read $SYS/#\n"), Action::publish, "orders/alice/new", "alice", grants.get());
  state.counters["grant_bytes"] = static_cast<double>(grants->bytes());
}
BENCHMARK(with_grants);

void compile_grants_that_are_known(benchmark::State& state) {
  const std::vector<Grant> given = {{.filter = "devices/%c/#", .publish = true, .subscribe = true},
                                    {.filter = "news/#", .subscribe = true}};
  Grants grants(labels());
  const auto held = *grants.compile(given);
  for (auto _ : state) benchmark::DoNotOptimize(grants.compile(given));
}
BENCHMARK(compile_grants_that_are_known);

void compile_grants_that_are_new(benchmark::State& state) {
  const std::vector<Grant> given = {{.filter = "devices/%c/#", .publish = true, .subscribe = true},
                                    {.filter = "news/#", .subscribe = true}};
  for (auto _ : state) benchmark::DoNotOptimize(RuleSet::of_grants(given, labels()));
}
BENCHMARK(compile_grants_that_are_new);

void parse_and_compile_a_line(benchmark::State& state) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += fmt::format("user user-{0}\ntopic readwrite home/{0}/#\n", i);
  for (auto _ : state) benchmark::DoNotOptimize(rules_of(text));
  state.SetItemsProcessed(state.iterations() * 200'000);
}
BENCHMARK(parse_and_compile_a_line);

}  // namespace
}  // namespace courier::auth::acl

BENCHMARK_MAIN();
