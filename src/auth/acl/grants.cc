#include "auth/acl/grants.h"

#include <algorithm>

#include <fmt/format.h>

namespace courier::auth::acl {
namespace {

// The same text for the same grants only: every part says how long it is.
std::string key_of(std::span<const Grant> grants) {
  std::string key;
  for (const Grant& grant : grants) {
    key +=
        static_cast<char>('0' + (grant.publish ? 1 : 0) + (grant.subscribe ? 2 : 0) + (grant.deny ? 4 : 0));
    fmt::format_to(std::back_inserter(key), "{}:{}{}:{}", grant.filter.size(), grant.filter,
                   grant.label.size(), grant.label);
  }
  return key;
}

}  // namespace

Result<std::shared_ptr<const RuleSet>> Grants::compile(std::span<const Grant> grants) {
  if (grants.empty()) return std::shared_ptr<const RuleSet>();
  std::string key = key_of(grants);
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(key);
    if (found != known_.end()) {
      if (auto alive = found->second.lock()) return alive;
    }
  }
  auto compiled = RuleSet::of_grants(grants, labels_);
  if (!compiled) return compiled;
  const std::lock_guard lock(mutex_);
  auto& entry = known_[std::move(key)];
  if (auto alive = entry.lock()) return alive;  // somebody was quicker
  entry = *compiled;
  if (known_.size() > sweep_at_) {
    std::erase_if(known_, [](const auto& one) { return one.second.expired(); });
    sweep_at_ = std::max<size_t>(64, 2 * known_.size());
  }
  return compiled;
}

size_t Grants::size() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

}  // namespace courier::auth::acl
