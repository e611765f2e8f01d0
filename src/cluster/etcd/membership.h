// This node's place in the cluster: a key with a lease, kept alive; and the list of everybody's.
//
//   joining ──join()──▶ member ──leave()──▶ gone
//                         │ lease ran out, or its key is not ours any more
//                         ▼
//                       lost: on_lost(), once; never a member again in this run
//
// Owned by main(). join() and leave() wait for etcd and may be called on any thread but the
// engine's; holds(), epoch() and members() on any thread. The listener is called on the engine thread, from
// within join() on; it outlives leave().
//
// 1. The revision that created the key is the node's epoch: it stays while the value changes (a state), and
//    every later run gets a greater one.
// 2. While holds(), etcd cannot have given the lease up: its end is counted from before the last answered
//    keep-alive was sent, on a clock that goes on while the machine is suspended.
// 3. One living process a node id. A second one is refused; one that comes after a crash waits until the
// lease
//    of the first has run out.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cluster/etcd/keys.h"
#include "cluster/etcd/watcher.h"
#include "cluster/members.h"

namespace courier::cluster::etcd {

class Membership {
 public:
  struct Self {
    std::string id;
    std::string mesh, admin, clients;    // host:port
    std::string instance = random_id();  // of this process
  };
  // Gets a lease of `lease_ms` (rounded up to seconds; etcd may make it longer) and puts the node's key.
  // While the key of another process is there, waits up to `patience_ms` for its lease to end. Errors:
  // errc::bad_options, node_id_taken, no_space, refused, unavailable.
  static Result<std::unique_ptr<Membership>> join(Client& client, const Keys& keys, Self self,
                                                  int64_t lease_ms, int64_t patience_ms,
                                                  MembershipListener& listener);
  // Without leave() the lease runs out by itself, as after a crash.
  ~Membership();

  const Self& self() const { return self_; }
  NodeEpoch epoch() const { return epoch_; }
  int64_t lease_ms() const { return lease_ns_ / kNsPerMs; }
  // Whether this node certainly still has its lease.
  bool holds() const { return boot_ns() < deadline_ns_.load(std::memory_order_acquire); }
  // As last told to the listener.
  std::vector<Member> members() const;

  // Told to the others as soon as etcd takes it. Does not wait.
  void set_state(MemberState state);
  // Gives the lease back, so that others see it at once. The listener hears nothing any more.
  void leave();

  // For tests: as if what it sends got lost, or came through again.
  void lose_keep_alives(bool lose);

 private:
  Membership(Client& client, Keys keys, Self self, MembershipListener& listener);
  Result<void> wait_for_absence(int64_t patience_ms);
  Result<bool> put_key(int64_t lease_ms);
  void start();
  void stop();

  // --- Engine thread ---
  void tick();
  void assert_state();
  void keep_alive();
  void on_kept(const api::LeaseKeepAliveResponse& response);
  void reopen_stream();
  void read_members();
  void on_range(const api::RangeResponse& response);
  void on_events(const api::WatchResponse& response);
  void put_member(const api::KeyValue& kv);
  void tell_members(uint64_t revision);
  void lost(const std::string& reason);

  Client& client_;
  const Keys keys_;
  const Self self_;
  MembershipListener& listener_;
  int64_t lease_ = 0;
  MonoNs lease_ns_ = 0;
  NodeEpoch epoch_;
  std::atomic<MonoNs> deadline_ns_{0};

  // Engine thread.
  bool running_ = false;
  bool losing_ = false;
  MemberState wanted_ = MemberState::active;
  bool putting_ = false;  // our state
  std::shared_ptr<KeepAliveStream> stream_;
  std::deque<MonoNs> sent_;  // when each keep-alive of this stream was, that has no answer yet
  Engine::TimerId tick_timer_ = 0, read_timer_ = 0;
  std::unique_ptr<Watcher> watcher_;
  std::map<std::string, Member> by_id_;
  uint64_t reading_ = 0;  // number of the latest range read
  // Gone with this object: what an answer that comes later looks at first.
  std::shared_ptr<void> alive_ = std::make_shared<int>();

  mutable std::mutex mutex_;
  std::vector<Member> members_;  // guarded by mutex_
};

}  // namespace courier::cluster::etcd
