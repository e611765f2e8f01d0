#include "auth/acl/decision_cache.h"

#include <cstring>
#include <new>

#include "auth/acl/limits.h"
#include "auth/acl/rule_set.h"

namespace courier::auth::acl {

// The topic's bytes follow.
struct DecisionCache::Entry {
  Entry* next;
  uint32_t rules, grants;  // generations
  Answer answer;
  Action action;
  uint16_t size, capacity;

  char* topic() { return reinterpret_cast<char*>(this + 1); }
};

Answer DecisionCache::check(const RuleSet& rules, const Subject& subject, Action action,
                            std::string_view topic) {
  if (topic.size() > kRememberedBytesMax) return rules.check(subject, action, topic);
  const uint32_t grants = subject.grants != nullptr ? subject.grants->generation() : 0;
  if (first_ != nullptr && (first_->rules != rules.generation() || first_->grants != grants)) clear();

  size_t count = 0;
  Entry** last = nullptr;
  for (Entry** at = &first_; *at != nullptr; at = &(*at)->next) {
    Entry* const entry = *at;
    ++count;
    last = at;
    if (entry->size != topic.size() || entry->action != action) continue;
    if (std::memcmp(entry->topic(), topic.data(), topic.size()) != 0) continue;
    *at = entry->next;
    entry->next = first_;
    first_ = entry;
    return entry->answer;
  }

  const Answer answer = rules.check(subject, action, topic);
  Entry* entry = nullptr;
  if (count == kRememberedMax) {
    entry = *last;
    *last = nullptr;
    if (entry->capacity < topic.size()) {
      ::operator delete(entry);
      entry = nullptr;
    }
  }
  if (entry == nullptr) {
    // What malloc would round up to can as well be used by the next topic.
    const size_t capacity = ((sizeof(Entry) + topic.size() + 8 + 15) & ~size_t{15}) - 8 - sizeof(Entry);
    entry = new (::operator new(sizeof(Entry) + capacity)) Entry;
    entry->capacity = static_cast<uint16_t>(capacity);
  }
  entry->rules = rules.generation();
  entry->grants = grants;
  entry->answer = answer;
  entry->action = action;
  entry->size = static_cast<uint16_t>(topic.size());
  if (!topic.empty()) std::memcpy(entry->topic(), topic.data(), topic.size());
  entry->next = first_;
  first_ = entry;
  return answer;
}

void DecisionCache::clear() {
  while (first_ != nullptr) {
    Entry* const entry = first_;
    first_ = entry->next;
    ::operator delete(entry);
  }
}

}  // namespace courier::auth::acl
