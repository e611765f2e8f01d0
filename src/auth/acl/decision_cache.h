// What one connection was answered lately. One word, and memory only once it asks.
//
// Most phones publish to one or two topics, so entries stand in a list, the last used first, each as large as
// its topic. At most kRememberedMax of them; topics longer than kRememberedBytesMax are not remembered.
// Topics are compared in full: a hash that a client can make collide must not let it in. What was answered
// under other rules, or other grants, is forgotten; clear() it when the subject itself changes
// (re-authentication). Not for several threads.
#pragma once

#include <string_view>
#include <utility>

#include "auth/acl/question.h"

namespace courier::auth::acl {

class DecisionCache {
 public:
  DecisionCache() = default;
  DecisionCache(DecisionCache&& other) noexcept : first_(std::exchange(other.first_, nullptr)) {}
  DecisionCache& operator=(DecisionCache&& other) noexcept {
    std::swap(first_, other.first_);
    return *this;
  }
  ~DecisionCache() { clear(); }

  // As rules.check(), for one and the same subject.
  Answer check(const RuleSet& rules, const Subject& subject, Action action, std::string_view topic);
  void clear();

 private:
  struct Entry;

  Entry* first_ = nullptr;
};
static_assert(sizeof(DecisionCache) == sizeof(void*));

}  // namespace courier::auth::acl
