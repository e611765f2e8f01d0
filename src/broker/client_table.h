// The sessions of one shard: by id, by (mountpoint, client id), and one after another.
//
// Made for millions that sleep: a stored session that nothing is done about is a Sleeper, some forty bytes,
// until somebody looks for it. Then it is a Client again, and stays where it is until it is erased or falls
// asleep. Owned by the shard's thread.
//
// Invariants
// 1. Each session is in both tables once, as a Client or as a block of sleepers_; a Client belongs to by_id_.
//    (Not in by_name_: a session whose name has gone to a later one.)
// 2. To fall asleep and to wake changes nothing that a session is or says.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/lazy.h"
#include "base/name.h"
#include "broker/dense_blocks.h"
#include "record/record.h"
#include "routing/handle_table.h"
#include "routing/keyed_hash.h"
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
  uint64_t one() const { return one_; }
  const std::vector<uint64_t>& many() const { return *many_; }

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
    std::vector<record::Event> told;  // about those, to stand behind them
  };
  Lazy<Work> work;

  // Gives back what only a busy client needs. For the shard, now and then.
  void trim();
};

class ClientTable {
 public:
  explicit ClientTable(uint64_t hash_key) : hash_key_(hash_key) {}
  ~ClientTable();
  ClientTable(const ClientTable&) = delete;
  ClientTable& operator=(const ClientTable&) = delete;

  // A session of the same name that is still here can from now on only be found by its id.
  Client& add(session::Session session);
  // Asleep, if it may and fits.
  void restore(Client client);
  // Its filters, none of which it had.
  void restore(SessionId id, std::span<const uint64_t> filter_hashes);
  void erase(Client& client);

  // Wakes it if it sleeps.
  Client* find(SessionId id);
  // The same for somebody who changes it, so that it will not be forgotten: take_woken() does not have it.
  Client* find_to_change(SessionId id);
  Client* find(std::string_view mountpoint, std::string_view client_id);
  // Null also if it sleeps.
  Client* find_awake(SessionId id) const;
  Client* find_awake(std::string_view mountpoint, std::string_view client_id) const;
  bool sleeps(SessionId id) const;
  // Of a cluster: the node to which it is connected, without waking it; 0: to none, or it is not here.
  NodeEpoch node_of(SessionId id) const;
  // Client::deadline, without waking it; kNever if it is not here.
  WallMs deadline(SessionId id) const;

  // For those that are looked for one after another, a million perhaps, each somewhere else in memory:
  // fetches into the cache what the next ones need, while ids[at] is worked on.
  template <typename IdAt>
  void look_ahead(size_t at, size_t count, const IdAt& id_at) const {
    if (count < kManyMin) return;  // likely there already
    if (at + kNamesAhead < count) fetch_name(id_at(at + kNamesAhead));
    if (at + kSessionsAhead < count) fetch_session(id_at(at + kSessionsAhead));
    if (at + kPlacesAhead < count) by_id_.prefetch(id_hash(id_at(at + kPlacesAhead)));
  }

  // False: it may not, or it is too large. Otherwise the Client is gone.
  bool fall_asleep(Client& client);
  // Those that were woken since the last call. They may have gone meanwhile.
  std::vector<SessionId> take_woken() { return std::exchange(woken_, {}); }

  size_t size() const { return size_; }
  size_t asleep() const { return asleep_; }
  // Of the sleepers and the tables.
  size_t bytes() const { return sleepers_.bytes() + by_id_.bytes() + by_name_.bytes(); }

  // Those that are awake; `visit` adds and erases none.
  template <typename Visit>
  void for_awake(Visit&& visit) {
    by_id_.for_each([&](Place place) {
      if (!place.marked()) visit(*awake(place));
    });
  }
  // In pieces, so that a million clients hold nobody up: visits at least `count` clients from `walk` on, and
  // not many more. False: it is over. Who comes meanwhile may be missed; who sleeps is shown and sleeps on.
  struct Walk {
    size_t part = 0;
  };
  template <typename Visit>
  bool for_some(Walk& walk, size_t count, Visit&& visit) const {
    for (size_t visited = 0; visited < count && walk.part < Table::kParts; ++walk.part) {
      by_id_.for_each_in(walk.part, [&](Place place) {
        ++visited;
        if (!place.marked()) return visit(std::as_const(*awake(place)));
        Client client;
        show(asleep(place), client);
        visit(std::as_const(client));
      });
    }
    return walk.part < Table::kParts;
  }

 private:
  // A Client; marked: a block of sleepers_.
  using Place = routing::MarkedPointer;
  using Table = routing::HandleTable<Place>;
  static Client* awake(Place place) { return static_cast<Client*>(place.get()); }
  static std::byte* asleep(Place place) { return static_cast<std::byte*>(place.get()); }

  static constexpr size_t kManyMin = 4096;
  static constexpr size_t kNamesAhead = 8, kSessionsAhead = 16, kPlacesAhead = 24;
  void fetch_session(SessionId id) const;
  void fetch_name(SessionId id) const;

  uint64_t id_hash(SessionId id) const { return routing::keyed_hash(hash_key_, id.value); }
  uint64_t name_hash(std::string_view mountpoint, std::string_view client_id) const;
  uint64_t name_hash(const Client& client) const;
  uint64_t name_hash(const std::byte* block) const;
  static SessionId id_of(Place place);
  Place find_place(SessionId id) const;
  Place find_place(std::string_view mountpoint, std::string_view client_id) const;
  uint32_t number_of(const Name& mountpoint);
  void show(const std::byte* block, Client& into) const;
  Client& wake(std::byte* block);
  // Packs it into a block, if it may and fits.
  std::byte* put_to_bed(const Client& client);
  void insert(Place place, uint64_t id_hash, uint64_t name_hash);

  const uint64_t hash_key_;
  Table by_id_, by_name_;
  DenseBlocks sleepers_;
  size_t size_ = 0, asleep_ = 0;
  std::vector<SessionId> woken_;
  // Mountpoints by their number in a Sleeper, and back. As many as there ever were in this run.
  std::vector<Name> mountpoints_{Name()};
  std::unordered_map<std::string, uint32_t> mountpoint_numbers_;
  std::string packed_;  // scratch
};

}  // namespace courier::broker
