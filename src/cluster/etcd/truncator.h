// Keeps the log short: what every node has in its store goes.
//
// Every node looks every few seconds; one of them, the living one with the lowest id, deletes. (Two that both
// take themselves for it do no harm: deleting twice is deleting once.) What may go are the pieces up to a
// revision R: the least that any node has said to be done. A node that is away holds the log back, until it
// has been away for too long or the log has grown too much; then it will need another node's copy.
//
// 1. Of every epoch the newest piece up to R stays: a run's next transaction compares with it, and readers
//    tell by it whether they have missed something (log_reading.h).
// 2. Pieces of epochs that are over and wholly behind R go too, with `trimmed` = R in the same transaction.
// 3. Rule 1 deletes without putting anything, which etcd allows when its space is used up.
// 4. etcd is told to compact to R, never further: a reader that is not behind R can go on by its watch.
//
// Engine thread. Owned by EtcdLog.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/etcd/client.h"
#include "cluster/etcd/keys.h"
#include "cluster/etcd/log_reading.h"
#include "cluster/etcd/tail.h"

namespace courier::cluster::etcd {

class Truncator {
 public:
  struct Options {
    int64_t every_ms = kTruncateMs;
    int64_t absent_ms = 10 * 60 * 1000;    // that a node may be away and find the log as it left it
    uint64_t bytes = uint64_t{512} << 20;  // that the log may hold for the sake of those that are away
  };
  // What is known elsewhere. All may be asked on the engine thread.
  struct Surroundings {
    Client& client;
    const Keys& keys;
    const std::string node_id;
    const NodeEpoch epoch;
    Tail& tail;
    std::function<bool()> space_is_short;
  };
  Truncator(Surroundings surroundings, Options options)
      : around_(std::move(surroundings)), options_(options) {}

  void start();
  void stop();

  // What this node has in its store, published a little later, unless it is published already.
  void done(uint64_t revision);
  // Up to where the log was last found not to be needed.
  uint64_t truncatable() const { return truncatable_; }

 private:
  struct View {
    std::map<std::string, NodeEpoch> nodes;                    // that live
    std::map<std::string, std::pair<uint64_t, int64_t>> done;  // revision, and the key's own mod_revision
    int64_t trimmed_mod = 0;                                   // mod_revision of `trimmed`; 0: not there
    uint64_t trimmed = 0;
  };
  template <typename Response>
  Client::Then<Response> while_alive(std::function<void(Result<Response>)> then);

  void publish();
  void look();
  void plan(const api::TxnResponse& response);
  std::optional<View> view_of(const api::TxnResponse& response) const;
  uint64_t needed_from(const View& view);
  void forget_long_gone(const View& view);
  void list(std::shared_ptr<View> view, std::shared_ptr<Listing> listing, std::string from);
  void truncate(const View& view, const Listing& listing);
  void next_deletion();
  void delete_ended(const View& view, std::vector<LogKey> ended);
  void compact();

  const Surroundings around_;
  const Options options_;
  std::shared_ptr<void> alive_;
  Engine::TimerId look_timer_ = 0, publish_timer_ = 0;
  bool busy_ = false;  // deleting
  std::optional<uint64_t> done_, published_;
  MonoNs published_at_ns_ = 0;
  std::map<std::string, MonoNs> absent_since_;  // of nodes that are needed for truncation, and do not say
  uint64_t truncatable_ = 0, truncated_ = 0;
  std::deque<api::DeleteRangeRequest> deletions_;
};

}  // namespace courier::cluster::etcd
