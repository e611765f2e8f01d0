// The front door of a node: its shard threads, its listeners, and the post between them.
//
// It comes before the shards (they are given it as their broker::Post) and runs them: open(), make the
// shards, start(), listen(); then stop_listening(), drain() until nobody is left, stop().
//
// Workers. What shards put off (reading inbox rows) may never be lost, or a session would wait for ever. Each
// session has at most one such task at a time, so kWorkerTasksMax waiting tasks take a million sessions that
// all came back at once; beyond that the caller runs the task itself, which slows down one shard instead of
// forgetting somebody.
//
// TLS handshakes have workers of their own, as many as there are threads, at a lower priority (handshake.h).
//
// Threads: post() and run_on_worker() from any; everything else from one owner, which is none of its threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "admission/admission.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "broker/mail.h"
#include "gateway/listener.h"
#include "gateway/shard_thread.h"

namespace courier::gateway {

struct GatewayOptions {
  uint32_t threads = 1;  // and shards
  uint32_t workers = 2;
  ConnectionOptions connections;
  admission::Options admission;
  admission::Bans* bans = nullptr;  // null: nobody is banned; else it outlives the gateway
};

class Gateway final : public broker::Post {
 public:
  // `clock` and `registry` outlive it. net::errc::out_of_resources.
  static Result<std::unique_ptr<Gateway>> open(const GatewayOptions& options, const Clock& clock,
                                               Registry& registry);
  // stop()s.
  ~Gateway() override;

  // --- broker::Post; any thread ---
  void post(uint32_t shard, broker::Mail mail) override;
  void run_on_worker(std::function<void()> task) override;

  // --- the owner ---
  uint32_t threads() const { return static_cast<uint32_t>(threads_.size()); }
  // Runs the shards, which live until stop() returns.
  void start(const std::function<broker::Shard&(uint32_t)>& shard);
  // Opens all of them, or none. net::errc::address_in_use… with a sentence for the operator.
  Result<void> listen(std::vector<ListenerOptions> listeners);
  // Who may come in from now on, and how fast. Any thread.
  admission::Admission& admission() { return admission_; }
  // Where they listen, in the order given, with the ports that the kernel chose.
  const std::vector<net::SocketAddress>& addresses() const { return addresses_; }
  // What may change of them (see ListenerOptions), found by name, for connections that come from now on.
  void use(const std::vector<ListenerOptions>& changed);
  void use(const ConnectionOptions& connections);
  // Returns when no thread accepts any more.
  void stop_listening();
  // Runs `task` on every shard's thread; returns when all have.
  void on_every_thread(const std::function<void(broker::Shard&)>& task);
  // Shard::drain() on every shard; returns how many connections are left.
  size_t drain(size_t count_per_shard);
  // Open on all listeners, whether or not CONNECT has come. Any thread, once listen() has returned.
  size_t connections() const;
  // The same of the one at this place in the order given.
  size_t connections(size_t listener) const { return listeners_[listener]->connections(); }
  // Whether every thread has had a Turn since the last call. The first call says yes.
  bool all_alive();
  // Ends the threads, then the workers.
  void stop();

 private:
  Gateway(Registry& registry, const GatewayOptions& options);

  Registry& registry_;
  WorkerPool workers_, handshakes_;
  admission::Admission admission_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // outlive the threads' connections
  ShardThread::Siblings threads_;
  std::vector<net::SocketAddress> addresses_;
  std::vector<uint64_t> turns_seen_;
  bool running_ = false;
};

}  // namespace courier::gateway
