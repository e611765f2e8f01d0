#include "quota/budget.h"

#include <functional>
#include <utility>

namespace courier::quota {

Budget::Budget(const Rule& rule) {
  if (rule.connects.per_second != 0) connects.emplace(rule.connects);
  if (rule.messages.per_second != 0) messages.emplace(rule.messages);
  if (rule.bytes.per_second != 0) bytes.emplace(rule.bytes);
}

bool Budget::enter(uint32_t max) {
  uint32_t count = connections.load(std::memory_order_relaxed);
  do {
    if (count >= max) return false;
  } while (!connections.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
  return true;
}

bool Budget::full(MonoNs now) const {
  const auto is_full = [now](const std::optional<Meter>& meter) { return !meter || meter->full(now); };
  return connections.load(std::memory_order_relaxed) == 0 && is_full(connects) && is_full(messages) &&
         is_full(bytes);
}

Budgets::Budgets(const Rule& rule) {
  if (!rule.shares()) return;
  switch (rule.per) {
    case Per::connection:
      break;
    case Per::all:
      all_ = std::make_shared<Budget>(rule);
      break;
    case Per::identity:
    case Per::listener:
      parts_ = std::make_unique<std::array<Part, kParts>>();
      break;
  }
}

std::shared_ptr<Budget> Budgets::of(const Rule& rule, const Subject& subject, MonoNs now) {
  if (!rule.shares()) return nullptr;
  switch (rule.per) {
    case Per::connection:
      return std::make_shared<Budget>(rule);
    case Per::all:
      return all_;
    case Per::listener:
      return find(rule, std::string(subject.listener), now);
    case Per::identity: {
      std::string key(subject.mountpoint);
      key.push_back('\0');
      key.append(subject.username);
      return find(rule, std::move(key), now);
    }
  }
  return nullptr;
}

std::shared_ptr<Budget> Budgets::find(const Rule& rule, std::string key, MonoNs now) {
  Part& part = (*parts_)[std::hash<std::string>{}(key) % kParts];
  const std::lock_guard lock(part.mutex);
  const auto [at, made] = part.budgets.try_emplace(std::move(key));
  if (!made) return at->second;
  at->second = std::make_shared<Budget>(rule);
  std::shared_ptr<Budget> budget = at->second;
  // Twice as many as would be its share of those left behind: then there may be too many of these.
  if (part.budgets.size() % (2 * kLeftBehindMax / kParts) == 0) tidy(part, now);
  return budget;
}

// Nobody can get hold of a budget while its part is locked: what is held by the table alone stays so.
void Budgets::tidy(Part& part, MonoNs now) {
  size_t left_behind = 0;
  std::erase_if(part.budgets, [&](const auto& each) {
    const auto& budget = each.second;
    if (budget.use_count() > 1) return false;
    return budget->full(now) || ++left_behind > kLeftBehindMax / kParts;
  });
}

void Budgets::tidy(MonoNs now) {
  if (!parts_) return;
  Part& part = (*parts_)[next_part_.fetch_add(1, std::memory_order_relaxed) % kParts];
  const std::lock_guard lock(part.mutex);
  tidy(part, now);
}

size_t Budgets::size() const {
  size_t size = 0;
  if (!parts_) return size;
  for (const Part& part : *parts_) {
    const std::lock_guard lock(part.mutex);
    size += part.budgets.size();
  }
  return size;
}

}  // namespace courier::quota
