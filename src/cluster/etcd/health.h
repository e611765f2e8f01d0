// Whether new promises can be made: does etcd answer, has it space, is this node still in the cluster?
//
// Asks etcd now and then, on the engine thread. state() from any thread. Owned by EtcdLog.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "base/metrics.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/keys.h"
#include "cluster/etcd/membership.h"
#include "store/ordered_log.h"

namespace courier::cluster::etcd {

class Health {
 public:
  // All outlive it; `metrics` may be null, `quota_bytes` 0 if it is not known.
  Health(Client& client, const Keys& keys, const Membership& membership, uint64_t quota_bytes,
         Registry* metrics);

  // Engine thread.
  void start();
  void stop();
  void on_trouble(const std::string& trouble, bool no_space);

  store::LogState state() const;
  // Of the whole run; the first one counts.
  void end(std::string reason);
  bool space_is_short() const { return no_space_ || over_quota_; }

 private:
  void probe();
  void ask_status();
  void on_status(const api::StatusResponse& status);

  Client& client_;
  const Keys& keys_;
  const Membership& membership_;
  const uint64_t quota_bytes_;
  Gauge *db_bytes_ = nullptr, *db_used_bytes_ = nullptr, *quota_ = nullptr;
  std::shared_ptr<void> alive_;
  Engine::TimerId probe_timer_ = 0, status_timer_ = 0;
  MonoNs started_ns_ = 0;

  std::atomic<bool> running_{false};
  std::atomic<bool> no_space_{false};    // alarm, or a put that was refused for it
  std::atomic<bool> over_quota_{false};  // past the soft limit
  std::atomic<MonoNs> trouble_since_ns_{0};
  mutable std::mutex mutex_;
  std::string trouble_;  // of the last append that failed; guarded by mutex_, like all below
  std::string ended_;
  uint64_t used_bytes_ = 0;
};

}  // namespace courier::cluster::etcd
