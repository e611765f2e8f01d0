#include "record/kept_subscriptions.h"

#include "base/check.h"
#include "mqtt/topic.h"
#include "routing/keyed_hash.h"

namespace courier::record {

uint64_t KeptSubscriptions::hash(SessionId session) const {
  return routing::keyed_hash(hash_key_, session.value);
}

// Of two sessions whose hashes agree either may find the other's entry: if it is subscribed to that filter
// and to no other, that entry says of it what its own does.
routing::FilterRef KeptSubscriptions::only_filter(SessionId session) const {
  if (session.ephemeral()) return 0;
  return named_.find(hash(session),
                     [&](routing::FilterRef filter) { return index_.has_subscriber(filter, session); });
}

Subscriptions KeptSubscriptions::only(routing::FilterRef filter, SessionId session) const {
  const auto known = index_.subscription(filter, session);
  return {std::string(known.mountpoint),
          {{std::string(known.filter), known.subscriber.options, known.subscriber.subscription_identifier}}};
}

std::optional<Subscriptions> KeptSubscriptions::get(SessionId session) const {
  const Packed& packed = packed_of(session);
  if (const auto it = packed.find(session); it != packed.end()) return it->second.get();
  if (const routing::FilterRef filter = only_filter(session)) return only(filter, session);
  return std::nullopt;
}

bool KeptSubscriptions::has(SessionId session, std::string_view filter) const {
  const Packed& packed = packed_of(session);
  if (const auto it = packed.find(session); it != packed.end()) return it->second.has(filter);
  const routing::FilterRef one = only_filter(session);
  return one != 0 && index_.subscription(one, session).filter == filter;
}

Subscriptions KeptSubscriptions::take(SessionId session) {
  Packed& packed = packed_of(session);
  if (const auto it = packed.find(session); it != packed.end()) {
    Subscriptions taken = it->second.take();
    packed.erase(it);
    return taken;
  }
  const routing::FilterRef filter = only_filter(session);
  if (filter == 0) return {};
  named_.erase(hash(session), filter);
  return only(filter, session);
}

void KeptSubscriptions::set(SessionId session, Subscriptions subscriptions) {
  if (subscriptions.filters.empty()) return;
  if (!session.ephemeral() && subscriptions.filters.size() == 1) {
    const Subscription& one = subscriptions.filters.front();
    // What the index does not remember: how retained messages were asked for.
    const bool plain = one.options.retain_handling == mqtt::RetainHandling::send;
    if (const routing::FilterRef filter =
            plain ? index_.exact_filter(subscriptions.mountpoint, one.filter) : 0) {
      CHECK(index_.has_subscriber(filter, session));
      named_.insert(hash(session), filter);
      return;
    }
  }
  packed_of(session)[session].set(std::move(subscriptions));
}

std::set<SessionId> KeptSubscriptions::ephemeral() const {
  std::set<SessionId> ids;
  for (const auto& [id, packed] : ephemeral_) ids.insert(id);
  return ids;
}

}  // namespace courier::record
