// The limits in force, and their exchange for others while clients are connected.
//
// A RuleSet is immutable but for what its budgets count; connections hold the rules that match them, so a
// rule that is gone from the settings lives until the last of them was matched anew. A rule that the new
// settings repeat word for word stays the same one, with its counts and debts. One that changed begins with
// full buckets, and counts the connections that are there as they are matched anew.
//
// Thread-safe. Shards look at generation() and take current() when it changed.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "auth/acl/labels.h"
#include "base/metrics.h"
#include "base/result.h"
#include "quota/budget.h"
#include "quota/rule.h"

namespace courier::quota {

enum class Outcome : uint8_t { delayed, refused };
std::string_view name(Outcome outcome);

// What limits of one name did. Lives as long as its Rules.
class Tally {
 public:
  Tally(Registry& registry, std::string limit);

  void add(What what, Outcome outcome);
  void add_delay(MonoNs ns) { delayed_ns_->fetch_add(static_cast<uint64_t>(ns), std::memory_order_relaxed); }

 private:
  Registry& registry_;
  const std::string limit_;
  std::mutex mutex_;  // over the making of a counter
  std::array<std::atomic<Counter*>, kWhatCount * 2> counters_{};
  // Shared with the registry, which may outlive this.
  const std::shared_ptr<std::atomic<uint64_t>> delayed_ns_ = std::make_shared<std::atomic<uint64_t>>(0);
};

// A rule in force.
struct Limit {
  Limit(Rule r, auth::acl::LabelId id, Tally& t) : rule(std::move(r)), label(id), tally(t), budgets(rule) {}
  bool about(auth::acl::LabelId of_message) const {
    return label == auth::acl::kNoLabel || label == of_message;
  }
  std::shared_ptr<Budget> budget(const Subject& subject, MonoNs now) {
    return budgets.of(rule, subject, now);
  }

  const Rule rule;
  const auth::acl::LabelId label;
  Tally& tally;
  Budgets budgets;
};
using LimitPtr = std::shared_ptr<Limit>;  // shared with the connections that it matches
using RuleSet = std::vector<LimitPtr>;    // in the settings' order

class Rules {
 public:
  // The name of what a client's credentials bring; no rule has it.
  static constexpr std::string_view kPersonal = "credentials";

  // Both outlive it. Nothing is limited.
  Rules(Registry& registry, auth::acl::Labels& labels);

  // errc::invalid: a rule that cannot be, two of one name, too many. Then what is in force stays.
  static Result<void> check(const std::vector<Rule>& rules);
  Result<void> exchange(std::vector<Rule> rules);

  std::shared_ptr<const RuleSet> current() const;
  // Grows with each exchange that changed something; one load.
  uint32_t generation() const { return generation_.load(std::memory_order_acquire); }
  // In force for one connection only.
  LimitPtr personal(Rule rule);
  // For housekeeping: forgets budgets that are as good as new.
  void tidy(MonoNs now) const;

 private:
  Tally& tally(const std::string& limit);

  Registry& registry_;
  auth::acl::Labels& labels_;
  std::mutex changing_;  // one exchange at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::shared_ptr<const RuleSet> current_;                 // guarded by mutex_
  std::map<std::string, std::unique_ptr<Tally>> tallies_;  // guarded by mutex_
  std::atomic<uint32_t> generation_{1};
};

// A shard's way to the rules: no lock while they stay the same. Owned by its shard; `rules` outlive it.
class View {
 public:
  explicit View(Rules& rules) : rules_(rules) {}

  const RuleSet& current() {
    if (const uint32_t now = rules_.generation(); now != generation_) {
      generation_ = now;
      current_ = rules_.current();
    }
    return *current_;
  }
  Rules& rules() { return rules_; }

 private:
  Rules& rules_;
  uint32_t generation_ = 0;
  std::shared_ptr<const RuleSet> current_;
};

}  // namespace courier::quota
