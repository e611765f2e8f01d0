// The retained messages: (mountpoint, topic) to message and the position of its record.
//
// Owned by the feed thread, which alone reads and writes it; no locks. Topics are kept in byte order, so
// that everything below "a/" is one range: a filter such as "a/+/b" seeks from one candidate to the next
// instead of looking at what lies between, and a walk over a million topics can stop anywhere and go on
// from a topic's name, even if that topic is gone by then. A hash table beside them finds a topic by its
// name, so that replacing a message, which is what happens all day, does not search among a million.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "mqtt/message.h"
#include "routing/handle_table.h"

namespace courier::routing {

struct Retained {
  mqtt::MessagePtr message;
  Position position;  // of the PUBLISH that set it
};
struct RetainedTopic;

class RetainedIndex {
 public:
  // The seed keeps clients from choosing topics that collide.
  explicit RetainedIndex(uint64_t hash_seed = 0);
  ~RetainedIndex();
  RetainedIndex(const RetainedIndex&) = delete;
  RetainedIndex& operator=(const RetainedIndex&) = delete;

  // Replaces the topic's message [MQTT-3.3.1-5]; an empty payload removes it [MQTT-3.3.1-6] and is not
  // stored [MQTT-3.3.1-7]. The topic is the message's.
  void set(std::string_view mountpoint, mqtt::MessagePtr message, Position position);
  // False if there was none.
  bool remove(std::string_view mountpoint, std::string_view topic);

  // Null if there is none. Valid until the next change.
  const Retained* find(std::string_view mountpoint, std::string_view topic) const;

  // Visits, in order of topic, what a filter (not $share) matches, beginning after the topic `after`; a
  // leading wildcard matches no topic that begins with $ [MQTT-4.7.2-1]. Ends early when visit returns
  // false. Returns the last topic visited if it ended early, to go on from; nullopt when all were visited.
  // `visit` must not change the index.
  using Visit = std::function<bool(const Retained&)>;
  std::optional<std::string> match(std::string_view mountpoint, std::string_view filter, const Visit& visit,
                                   std::string_view after = {}) const;
  // The same, but it also ends early when it has looked at `steps` topics, whether they matched or not; takes
  // those that it looked at off `steps`. A filter that matches nothing may have to look at every topic.
  std::optional<std::string> match(std::string_view mountpoint, std::string_view filter, const Visit& visit,
                                   std::string_view after, size_t& steps) const;

  // Topics whose message expiry ended at `now` or before; earliest first, at most `limit`. They stay until
  // removed.
  struct Topic {
    std::string mountpoint, topic;
    Position position;
  };
  std::vector<Topic> expired(WallMs now, size_t limit) const;
  // When the next one expires.
  std::optional<WallMs> next_expiry() const;

  size_t count() const { return count_; }
  // Messages by Message::cost(), and what the index itself holds.
  size_t bytes() const;

  // Checkpoint. In order of mountpoint and topic.
  void for_each(const std::function<void(std::string_view mountpoint, const Retained&)>& visit) const;
  struct Dirty {
    std::string mountpoint, topic;  // find() says what it is now; null: removed
  };
  // What changed since the last call, in order.
  std::vector<Dirty> take_dirty();
  // Puts a stored message back; not dirty.
  void restore(std::string_view mountpoint, mqtt::MessagePtr message, Position position);

 private:
  struct ByTopic {
    using is_transparent = void;
    bool operator()(const RetainedTopic& a, const RetainedTopic& b) const;
    bool operator()(const RetainedTopic& a, std::string_view b) const;
    bool operator()(std::string_view a, const RetainedTopic& b) const;
  };
  using Topics = std::set<RetainedTopic, ByTopic>;
  struct Mountpoint;
  using Mountpoints = std::map<std::string, Mountpoint, std::less<>>;
  struct Due {
    WallMs at;
    std::string_view mountpoint, topic;  // the map's key; the message's topic
    auto operator<=>(const Due&) const = default;
  };

  Mountpoint& mountpoint(std::string_view name);
  uint64_t hash(const Mountpoint& mountpoint, std::string_view topic) const;
  const RetainedTopic* find(const Mountpoint& mountpoint, std::string_view topic) const;
  const RetainedTopic& put(Mountpoint& mountpoint, mqtt::MessagePtr message, Position position);
  void enter(const Mountpoint& mountpoint, const mqtt::Message& message);
  void leave(const Mountpoint& mountpoint, const mqtt::Message& message);

  const uint64_t hash_seed_;
  Mountpoints mountpoints_;
  HandleTable<const RetainedTopic*> by_name_;
  uint64_t mountpoints_made_ = 0;
  std::set<Due> due_;
  size_t count_ = 0;
  size_t message_bytes_ = 0;
};

}  // namespace courier::routing
