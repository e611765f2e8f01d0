// The ordered log of a cluster, in etcd: every node appends to it, and reads all of it.
//
//   append() ─▶ Appender ─▶ transaction ─▶ etcd ─▶ Watcher ─▶ feed thread ─▶ reader
//               engine thread                     engine thread  puts pieces together, counts positions
//
// Owned by main(), one a membership: opened after Membership::join(), stopped before leave(). Order of a
// start: open(), replay(), start(); of an end: stop(), Membership::leave(), Client::stop().
//
// Threads: append(), post(), state(), checkpointed() and tail_bytes() from any thread. open(), replay() and
// stop() wait for etcd: not on the engine thread, nor on the feed thread. The reader, posted tasks and on_end
// run on the feed thread.
//
// 1. What a node appended comes back to it by the watch only, like what others did. Its own batches have
// their
//    origin and ticket; others' and those of earlier runs have kNoOrigin. `node` tells whose each is.
// 2. Positions are the count of records since the cluster was created; order is that of etcd's revisions, and
//    of the keys within one. So they are the same for every node.
// 3. Each call of on_committed() brings whole revisions. `cursor` of a batch is its revision: where it is the
//    last batch of a call, everything up to that revision has been read, and a node may go on behind it.
// 4. The clock of a batch is its appender's, or that of the batch in front if that was later.
// 5. What append() took is tried again for as long as this run may write. Once etcd has refused it, the run
// is
//    over: on_end, and nothing that was not written is ever acknowledged.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "cluster/etcd/appender.h"
#include "cluster/etcd/health.h"
#include "cluster/etcd/membership.h"
#include "cluster/etcd/tail.h"
#include "cluster/etcd/truncator.h"
#include "store/ordered_log.h"

namespace courier::cluster::etcd {

class EtcdLog : public store::OrderedLog {
 public:
  struct Options {
    std::string log_id;        // Meta::id: what the state store belongs to
    Position position;         // what the state store reflects …
    uint64_t cursor = 0;       // … which is all up to this revision, and nothing after it
    WallMs last_clock = 0;     // of the last batch then
    uint64_t quota_bytes = 0;  // etcd's --quota-backend-bytes; 0: not known, no soft limit
    Truncator::Options truncation;
    int64_t patience_ms = 15'000;          // of open() and replay(), with an etcd that does not answer
    const Clock* clock = &system_clock();  // outlives the log
    Registry* metrics = nullptr;           // outlives the log; null: nothing is counted
    // Once at most: the log has ended for this run. errc::fenced: this node may not write any more;
    // errc::snapshot_needed: it has missed something; errc::damaged, newer_format: it cannot read on.
    std::function<void(const Error&)> on_end;
  };
  // Looks whether the log goes on where the state store stands. All outlive the log. Errors:
  // errc::snapshot_needed, behind, other_cluster, unavailable, refused.
  static Result<std::unique_ptr<EtcdLog>> open(Client& client, const Keys& keys, Membership& membership,
                                               Options options);
  ~EtcdLog() override;

  // Reads up to what is there now. May begin behind options.position, within what was read from there on.
  // errc::behind: there is nothing as far as `after`.
  Result<void> replay(Position after,
                      const std::function<Result<void>(store::CommittedBatch&&)>& fold) override;
  void start(store::LogReader& reader) override;
  // While the log does not accept it gives up what waits: it was never acknowledged.
  void stop() override;
  void append(store::Batch batch) override;
  void post(std::function<void()> task) override;
  store::LogState state() const override;
  // Told to the other nodes, at most once a second.
  void checkpointed(Position position) override;
  uint64_t tail_bytes() const override;

 private:
  struct Chunk {
    std::vector<Arrival> arrivals;  // whole revisions
    size_t bytes = 0;
  };
  // Where reading stands.
  struct Reading {
    Position position;  // of the last record
    uint64_t cursor = 0;
    WallMs clock = 0;
    Assembly assembly;
  };

  EtcdLog(Client& client, const Keys& keys, Membership& membership, Options options);

  // --- Engine thread ---
  void on_events(api::WatchResponse& response);
  void watch_from(uint64_t revision);

  // --- Feed thread (or replay's) ---
  void run();
  // Reads one piece; gives what it completes to `out`. Records up to `after` are left out.
  Result<void> read(Reading& reading, Arrival&& arrival, Position after,
                    std::vector<store::CommittedBatch>& out);
  void note(const Reading& reading, uint64_t bytes);
  void feed(Chunk chunk);
  void refill();
  void end(Error error);
  void tell_state();
  void tell_done();

  Client& client_;
  const Keys keys_;
  Membership& membership_;
  const Options options_;
  Tail tail_;
  Appender appender_;
  Truncator truncator_;
  Health health_;
  std::unique_ptr<Watcher> watcher_;  // engine thread
  Gauge* lag_ = nullptr;

  // Feed thread, after start().
  Reading reading_;
  std::atomic<bool> replayed_{false};           // all up to reading_ was read by ranges once
  std::vector<Assembly::Open> open_at_cursor_;  // batches that the state store's cursor stands within
  store::LogReader* reader_ = nullptr;
  std::string told_;  // reason of the state that the reader knows; empty: accepting
  bool ended_ = false;

  mutable std::mutex mutex_;
  std::condition_variable wake_;  // the feed thread
  std::condition_variable fed_;   // stop()
  std::deque<Chunk> chunks_;      // guarded by mutex_, like all below
  size_t chunk_bytes_ = 0;
  std::vector<std::function<void()>> posted_;
  bool refill_ = false;  // the watch cannot go on
  bool stopping_ = false;
  bool feeding_ = false;       // a chunk was taken, and is with the reader
  std::optional<Error> dead_;  // the appender's end, to be told

  std::atomic<uint64_t> newest_{0};  // revision of the log that is known of
  std::thread thread_;
};

}  // namespace courier::cluster::etcd
