// Which subscriptions each session has: millions have one, whose filter's text the index holds already.
//
// So a stored session with one plain filter is four bytes that name the filter there; any other has its
// subscriptions packed (packed_subscriptions.h). Belongs to the Directory, which changes the index too: what
// is kept here as a name must stand in the index for as long.
#pragma once

#include <optional>
#include <set>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/ids.h"
#include "record/packed_subscriptions.h"
#include "record/rows.h"
#include "routing/handle_table.h"
#include "routing/subscription_index.h"

namespace courier::record {

class KeptSubscriptions {
 public:
  KeptSubscriptions(const routing::SubscriptionIndex& index, uint64_t hash_key)
      : index_(index), hash_key_(hash_key) {}

  std::optional<Subscriptions> get(SessionId session) const;
  bool has(SessionId session, std::string_view filter) const;

  // Takes them out to be changed, before any of them leaves the index; none if there are none.
  Subscriptions take(SessionId session);
  // Those of a session that has none here, which the index knows by now.
  void set(SessionId session, Subscriptions subscriptions);

  // Of sessions with subscriptions. A crash ends them, and may not have to look for them among all others.
  std::set<SessionId> ephemeral() const;

 private:
  using Packed = boost::unordered_flat_map<SessionId, PackedSubscriptions, std::hash<SessionId>>;
  Packed& packed_of(SessionId session) { return session.ephemeral() ? ephemeral_ : stored_; }
  const Packed& packed_of(SessionId session) const { return session.ephemeral() ? ephemeral_ : stored_; }
  uint64_t hash(SessionId session) const;
  routing::FilterRef only_filter(SessionId session) const;
  Subscriptions only(routing::FilterRef filter, SessionId session) const;

  const routing::SubscriptionIndex& index_;
  const uint64_t hash_key_;
  // Looked at after the others: an entry is a session's if the filter that it names has this subscriber.
  routing::HandleTable<routing::FilterRef> named_;
  Packed stored_, ephemeral_;
};

}  // namespace courier::record
