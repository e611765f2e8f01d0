// Who is subscribed to what: (mountpoint, filter) to subscribers, shared by all threads of a node.
//
// One thread writes (the feed thread, as records come back from the log); any number of threads match.
// Scheme: a big-reader lock (stripe_lock.h). Each MatchResult owns a stripe, so that readers touch no
// common cache line and never wait for one another; the writer takes all stripes, for the time of one
// change. Tables that must grow are built beside the old ones before the lock is taken.
//
// Filters without a wildcard are found by one hash lookup of the topic, the others by a trie of levels.
// Filters are kept as packed blocks of one arena: about 55 bytes for an exact filter of 25 bytes.
//
// Invariants:
//  1. A session stands at most once under one filter; add() replaces.
//  2. Only the writer's thread calls anything but match().
//  3. match() is as of one instant: it sees each change whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/ids.h"
#include "routing/group_id.h"
#include "routing/match_result.h"

namespace courier::routing {

// What a "$share/{name}/{filter}" subscription needs besides its Subscriber.
struct SharedMember {
  // Taken when this subscription creates the group; the group keeps the id that it has.
  GroupId group;
  // Whether its session is connected now; later by set_connected().
  bool connected = true;
};

// What match() does about shared subscriptions.
enum class Shared : uint8_t {
  name_group,     // logged publishes: SharedGroups chooses the member
  choose_member,  // publishes that skip the log: the next connected member, round robin
};

// Names a filter without wildcard for as long as anybody is subscribed to it; 0 is none.
using FilterRef = uint32_t;

class SubscriptionIndex {
 public:
  // The seed keeps clients from choosing filters that collide.
  explicit SubscriptionIndex(uint64_t hash_seed);
  ~SubscriptionIndex();
  SubscriptionIndex(const SubscriptionIndex&) = delete;
  SubscriptionIndex& operator=(const SubscriptionIndex&) = delete;

  // True if new, false if it replaced this session's subscription to the same filter [MQTT-3.8.4-3].
  // The filter is legal (mqtt::is_topic_filter, or mqtt::parse_shared).
  bool add(std::string_view mountpoint, std::string_view filter, const Subscriber& subscriber,
           SharedMember shared = {});
  // False if there was none.
  bool remove(std::string_view mountpoint, std::string_view filter, SessionId session);
  // For every shared subscription of this session; free for sessions that have none.
  void set_connected(SessionId session, bool connected);

  // Replaces what stood in `out`. A subscription with No Local whose session is the publisher is left out
  // [MQTT-3.8.3-3]; publisher 0 is nobody. Any thread, each with a MatchResult of its own.
  void match(std::string_view mountpoint, std::string_view topic, SessionId publisher, Shared shared,
             MatchResult& out) const;

  // A filter without wildcard by its name, so that nobody else need keep its text. 0: it has a wildcard, is
  // shared, or nobody is subscribed to it.
  FilterRef exact_filter(std::string_view mountpoint, std::string_view filter) const;
  bool has_subscriber(FilterRef filter, SessionId session) const;
  struct Subscription {
    std::string_view mountpoint, filter;
    Subscriber subscriber;  // retain_handling is not remembered: `send`
  };
  // One that is there.
  Subscription subscription(FilterRef filter, SessionId session) const;

  // Subscriptions; a shared one counts for each member.
  size_t count() const;
  // Memory held, close to what the allocator was asked for.
  size_t bytes() const;
  // Every subscription, in no particular order; shared ones with their whole "$share/…" filter.
  void for_each(const std::function<void(std::string_view mountpoint, std::string_view filter,
                                         const Subscriber& subscriber)>& visit) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace courier::routing
