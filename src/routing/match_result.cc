#include "routing/match_result.h"

#include <algorithm>
#include <bit>

#include "base/striped_lock.h"
#include "routing/indexed_groups.h"
#include "routing/subscriber_set.h"

namespace courier::routing {

MatchResult::MatchResult() : stripe_(StripedLock::next_stripe()) {}

void MatchResult::clear() {
  receivers_.clear();
  groups_.clear();
  identifiers_.clear();
  extra_identifiers_.clear();
  sets_.clear();
}

// A session can repeat only across sets, so only the sets before the last need be remembered; and the last is
// the largest, so that a broadcast to a million costs no table of a million.
void MatchResult::collapse(const IndexedGroups& groups, Shared shared) {
  if (sets_.empty()) return;
  size_t members = 0;
  if (sets_.size() > 1) {
    const auto size = [](const SubscriberSet* set) { return set->size(); };
    std::iter_swap(std::ranges::max_element(sets_, {}, size), sets_.end() - 1);
    for (size_t i = 0; i + 1 < sets_.size(); ++i) members += sets_[i]->size();
    seen_.assign(std::bit_ceil(2 * members), 0);
  }
  for (const SubscriberSet* set : sets_) {
    const bool remember = set != sets_.back();
    set->for_each([&](const PackedSubscriber& member) {
      if (member.is_group()) {
        groups_.push_back(groups.match(member.group_slot(), shared));
      } else if (!member.no_local() || member.session() != publisher_) {
        take(member.subscriber(), members > 0, remember);
      }
    });
  }
  sets_.clear();
  settle_identifiers();
}

void MatchResult::take(const Subscriber& subscriber, bool look, bool remember) {
  if (look) {
    const size_t mask = seen_.size() - 1;
    size_t i = std::hash<SessionId>()(subscriber.session) >> 32 & mask;
    for (; seen_[i] != 0; i = (i + 1) & mask) {
      const uint32_t at = seen_[i] - 1;
      if (receivers_[at].session == subscriber.session) {
        merge(at, subscriber);
        return;
      }
    }
    if (remember) seen_[i] = static_cast<uint32_t>(receivers_.size()) + 1;
  }
  Receiver receiver;
  receiver.session = subscriber.session;
  receiver.identifier = subscriber.subscription_identifier;
  receiver.identifier_count = receiver.identifier != 0 ? 1 : 0;
  receiver.qos = subscriber.options.qos;
  receiver.retain_as_published = subscriber.options.retain_as_published;
  receivers_.push_back(receiver);
}

void MatchResult::merge(uint32_t at, const Subscriber& subscriber) {
  Receiver& receiver = receivers_[at];
  receiver.qos = std::max(receiver.qos, subscriber.options.qos);
  receiver.retain_as_published |= subscriber.options.retain_as_published;
  if (subscriber.subscription_identifier == 0) return;
  if (receiver.identifier_count++ == 0) {
    receiver.identifier = subscriber.subscription_identifier;
  } else {
    extra_identifiers_.push_back({at, subscriber.subscription_identifier});
  }
}

// Lays the identifiers of each receiver that has several side by side.
void MatchResult::settle_identifiers() {
  std::ranges::sort(extra_identifiers_, {}, &ExtraIdentifier::receiver);
  for (size_t i = 0; i < extra_identifiers_.size();) {
    const uint32_t at = extra_identifiers_[i].receiver;
    const auto begin = static_cast<uint32_t>(identifiers_.size());
    identifiers_.push_back(receivers_[at].identifier);
    for (; i < extra_identifiers_.size() && extra_identifiers_[i].receiver == at; ++i) {
      identifiers_.push_back(extra_identifiers_[i].identifier);
    }
    receivers_[at].identifier = begin;
  }
}

}  // namespace courier::routing
