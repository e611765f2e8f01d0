// The write side of the log: gathers what the shards append into values, and puts them, one transaction at a
// time.
//
//   idle ──append()──▶ lingering ──▶ in flight ──answer──▶ idle, or lingering if more has come
//                                      │ ▲  no answer: the very same transaction again
//                                      │ └──────┘
//                                      └─ refused: is our own value there? then it was an answer that got
//                                      lost.
//                                         Else ──▶ dead: another run took over, or the lease is gone
//
// append() from any thread; Own by the feed thread; the rest is of the engine thread. Owned by EtcdLog.
//
// 1. A transaction puts values only if the node's key is this run's, the first of them is not there and the
//    one before it is. So values of one epoch are without gap, and none comes after the epoch's end.
// 2. A value that was built is never built anew: what is tried again are the same bytes.
// 3. Two transactions are as far apart as the linger, which grows with the rate of records: none when idle,
// so
//    that one lone record goes at once; kLingerUsMax from kLingerRateFull on. A full value does not linger.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/keys.h"
#include "store/ordered_log.h"

namespace courier::cluster::etcd {

class Appender {
 public:
  struct Callbacks {
    // Engine thread. Whether the last try failed, and why; empty: it did not.
    std::function<void(const std::string& trouble, bool no_space)> on_trouble;
    // Engine thread, once.
    std::function<void(Error)> on_dead;
  };
  // All outlive it. `epoch` is the node's.
  Appender(Client& client, const Keys& keys, std::string node_id, NodeEpoch epoch, const Clock& clock,
           Histogram* seconds, Callbacks callbacks);

  void append(store::Batch batch);
  // Engine thread. Nothing is sent before; nothing more after. A transaction in flight may still be done.
  void start();
  void stop();

  // What stands behind a value of ours that came back from etcd: the batches in it. Feed thread; in order.
  // Nullopt: this is not the next one.
  struct Own {
    uint64_t last_seq = 0;  // of the value's last piece
    WallMs clock = 0;
    std::vector<store::Batch> batches;
  };
  uint64_t writer() const { return writer_; }
  std::optional<Own> take_own(uint64_t last_seq);

  // Any thread. Whether nothing waits to be put, or to come back.
  bool idle() const;
  // The newest revision that a transaction of ours made.
  uint64_t revision() const { return revision_.load(std::memory_order_relaxed); }

 private:
  struct Value {
    uint64_t seq = 0;
    std::string bytes;
  };

  void pump();
  MonoNs linger_ns(MonoNs now);
  void build();
  void send();
  void on_answer(Result<api::TxnResponse> answer);
  void retry_later();
  void die(Error error);

  Client& client_;
  const Keys& keys_;
  const std::string node_id_;
  const NodeEpoch epoch_;
  const Clock& clock_;
  Histogram* const seconds_;
  const Callbacks callbacks_;
  const uint64_t writer_;

  mutable std::mutex mutex_;
  std::deque<store::Batch> waiting_;  // guarded by mutex_, like all below
  size_t waiting_bytes_ = 0;
  uint64_t records_ = 0;  // appended in all
  bool nudged_ = false;   // pump() is on its way
  bool dead_ = false;
  std::deque<Own> own_;  // built, and not come back yet
  std::atomic<uint64_t> revision_{0};

  // Engine thread.
  bool running_ = false, in_flight_ = false;
  std::shared_ptr<void> alive_;  // gone with stop(): what an answer looks at first
  std::deque<Value> values_;     // built, and not put yet
  size_t sent_ = 0;              // how many of them are in the transaction
  uint64_t next_seq_ = 0;
  MonoNs first_sent_ns_ = 0;  // of the transaction in flight, its first try
  MonoNs last_start_ns_ = 0;
  MonoNs rate_at_ns_ = 0;
  uint64_t rate_records_ = 0;
  double rate_ = 0;  // records a second
  Engine::TimerId timer_ = 0;
};

}  // namespace courier::cluster::etcd
