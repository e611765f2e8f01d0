// The sessions of one shard: by id, by (mountpoint, client id), and one after another.
//
// Made for a million sleeping sessions: tables without nodes, names that stand once. Owned by the
// shard's thread. A Client stays where it is until it is erased.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/ids.h"
#include "base/lazy.h"
#include "record/record.h"
#include "session/session.h"

namespace courier::broker {

class Connection;

// The hashes of a session's filters. Most sessions have one, which needs no memory.
class FilterHashes {
 public:
  void insert(uint64_t hash);
  void erase(uint64_t hash);
  bool contains(uint64_t hash) const;
  void assign(std::vector<uint64_t> hashes);

 private:
  uint64_t one_ = 0;                  // 0: there is none, or they are in many_
  Lazy<std::vector<uint64_t>> many_;  // sorted
};

// One session of this shard, and what is being done about it now.
struct Client {
  session::Session session;
  Connection* connection = nullptr;
  WallMs deadline = session::Session::kNever;  // when the shard looks at it next
  FilterHashes filters;                        // what it is subscribed to
  uint32_t place = 0;                          // ClientTable's
  bool loading : 1 = false;                    // a worker reads inbox rows
  bool limits_wanted : 1 = false;              // in the list of this Turn
  bool pump_wanted : 1 = false;                // likewise
  bool walk_pending : 1 = false;               // its RETAINED_NEXT is on the way
  bool subscribed : 1 = false;                 // appended a SUBSCRIBE in this run, which may not be back
  bool gap_damaged : 1 = false;                // its rows could not be read when last tried
  bool stirred : 1 = false;                    // ephemeral: in the list of those that trim() is for
  bool moved : 1 = false;                      // since that list was looked through

  // What a client needs while something is under way.
  struct Work {
    uint64_t evict_cursor = 0;  // no entry below can make room
    Position will_settled;  // the attach position whose will was published or dropped; that may not be back
    // Entries that were answered, dropped or expired; the record that says so is not back.
    uint64_t leaving = 0, leaving_bytes = 0;
    // Answers that wait for company in the next batch.
    std::vector<record::InboxRef> acked, completed;
  };
  Lazy<Work> work;

  // Gives back what only a busy client needs. For the shard, now and then.
  void trim();
};

class ClientTable {
 public:
  // A session of the same name that is still here can from now on only be found by its id.
  Client& add(session::Session session);
  void erase(Client& client);

  Client* find(SessionId id) const;
  Client* find(std::string_view mountpoint, std::string_view client_id) const;
  size_t size() const { return all_.size(); }
  const std::vector<std::unique_ptr<Client>>& all() const { return all_; }

  // In pieces, so that a million clients hold nobody up: visits up to `count` clients from `walk` on. False:
  // it is over. Who comes meanwhile may be missed; whoever else comes to be seen twice.
  struct Walk {
    size_t left = SIZE_MAX;
  };
  template <typename Visit>
  bool for_some(Walk& walk, size_t count, Visit&& visit) const {
    // Downwards: what erase() moves was seen already.
    walk.left = std::min(walk.left, all_.size());
    for (; count > 0 && walk.left > 0; --count) visit(static_cast<const Client&>(*all_[--walk.left]));
    return walk.left > 0;
  }

 private:
  struct Name {
    std::string_view mountpoint, client_id;
  };
  struct Named {
    size_t hash = 0;
    Client* client = nullptr;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Named& named) const { return named.hash; }
    size_t operator()(const Name& name) const;
  };
  struct Equal {
    using is_transparent = void;
    static Name name_of(const Named& named);
    static const Name& name_of(const Name& name) { return name; }
    bool operator()(const auto& left, const auto& right) const {
      const Name l = name_of(left), r = name_of(right);
      return l.client_id == r.client_id && l.mountpoint == r.mountpoint;
    }
  };

  boost::unordered_flat_map<SessionId, Client*, std::hash<SessionId>> by_id_;
  boost::unordered_flat_set<Named, Hash, Equal> by_name_;
  std::vector<std::unique_ptr<Client>> all_;
};

}  // namespace courier::broker
