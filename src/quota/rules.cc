#include "quota/rules.h"

#include <algorithm>
#include <set>
#include <utility>

#include "quota/errc.h"
#include "quota/limits.h"

namespace courier::quota {

namespace {

// Names beyond share one tally: a metric has 256 series at most, and each reload may bring new ones.
constexpr size_t kTalliesMax = 256;
constexpr char kOtherTally[] = "other";

}  // namespace

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::delayed:
      return "delayed";
    case Outcome::refused:
      return "refused";
  }
  return "unknown";
}

Tally::Tally(Registry& registry, std::string limit) : registry_(registry), limit_(std::move(limit)) {
  registry_.counter_callback(
      "courier_limit_delay_seconds_total",
      "For how long connections were not read because of a limit, all together.", {{"limit", limit_}},
      [ns = delayed_ns_] { return static_cast<double>(ns->load(std::memory_order_relaxed)) * 1e-9; });
}

void Tally::add(What what, Outcome outcome) {
  std::atomic<Counter*>& place = counters_[static_cast<size_t>(what) * 2 + static_cast<size_t>(outcome)];
  Counter* counter = place.load(std::memory_order_acquire);
  if (!counter) {
    const std::lock_guard lock(mutex_);
    counter = place.load(std::memory_order_relaxed);
    if (!counter) {
      counter = &registry_.counter(
          "courier_limited_total", "Times that a limit delayed or refused, by its name and its key.",
          {{"limit", limit_}, {"what", std::string(name(what))}, {"outcome", std::string(name(outcome))}});
      place.store(counter, std::memory_order_release);
    }
  }
  counter->add();
}

Rules::Rules(Registry& registry, auth::acl::Labels& labels)
    : registry_(registry), labels_(labels), current_(std::make_shared<const RuleSet>()) {}

Result<void> Rules::check(const std::vector<Rule>& rules) {
  if (rules.size() > kRulesMax) {
    return fail(errc::invalid, "there are more than " + std::to_string(kRulesMax) + " limits");
  }
  std::set<std::string_view> names;
  for (const Rule& rule : rules) {
    const std::string which = "limit \"" + rule.name + "\": ";
    if (const auto wrong = problem(rule)) return fail(errc::invalid, which + *wrong);
    if (rule.name == kPersonal) {
      return fail(errc::invalid, which + "that is what limits from credentials are called; take another");
    }
    if (!rule.label.empty() && !auth::acl::is_label(rule.label)) {
      return fail(errc::invalid, which + "label has 1 to 64 letters, digits, '_', '.' and '-'");
    }
    if (!names.insert(rule.name).second) {
      return fail(errc::invalid, which + "there are two of that name");
    }
  }
  return {};
}

Result<void> Rules::exchange(std::vector<Rule> rules) {
  if (auto checked = check(rules); !checked) return checked;
  const std::lock_guard one_at_a_time(changing_);
  const std::shared_ptr<const RuleSet> before = current();
  auto after = std::make_shared<RuleSet>();
  for (Rule& rule : rules) {
    const auto same =
        std::ranges::find_if(*before, [&](const LimitPtr& limit) { return limit->rule == rule; });
    if (same != before->end()) {
      after->push_back(*same);
      continue;
    }
    const auth::acl::LabelId label = rule.label.empty() ? auth::acl::kNoLabel : labels_.id(rule.label);
    Tally& counts = tally(rule.name);
    after->push_back(std::make_shared<Limit>(std::move(rule), label, counts));
  }
  if (*after == *before) return {};
  {
    const std::lock_guard lock(mutex_);
    current_ = std::move(after);
  }
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

std::shared_ptr<const RuleSet> Rules::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

LimitPtr Rules::personal(Rule rule) {
  rule.name = kPersonal;
  Tally& counts = tally(rule.name);
  return std::make_shared<Limit>(std::move(rule), auth::acl::kNoLabel, counts);
}

Tally& Rules::tally(const std::string& limit) {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(limit);
  if (found != tallies_.end()) return *found->second;
  const std::string& key = tallies_.size() < kTalliesMax ? limit : kOtherTally;
  auto& made = tallies_[key];
  if (!made) made = std::make_unique<Tally>(registry_, key);
  return *made;
}

void Rules::tidy(MonoNs now) const {
  for (const LimitPtr& limit : *current()) limit->budgets.tidy(now);
}

}  // namespace courier::quota
