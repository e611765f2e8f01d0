// The one thread on which everything between this node and etcd happens: answers of gRPC, timers, tasks.
//
// Owned by Client. What an object of this folder says is "of the engine thread" is touched there only, so
// that none of it needs a lock. Whatever runs there is short: a lease's keep-alive may be due.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/boot_clock.h"

namespace courier::cluster::etcd {

// A step of a call, as gRPC gives it back.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void done(bool ok) = 0;
};

class Engine {
 public:
  Engine() = default;
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void start();
  // Runs what has been posted, then `cancel_all`, and waits until `all_over` says so: only then no call needs
  // the queue any more. No call may be begun meanwhile; no timer runs. From any other thread.
  void stop(std::function<void()> cancel_all, std::function<bool()> all_over);

  // Any thread. Tasks of one thread run in their order. False, and it never runs, once stop() has begun.
  bool post(std::function<void()> task);
  // Posts and waits until it has run. Not from the engine thread. False when the engine has stopped.
  bool run(const std::function<void()>& task);
  bool here() const { return std::this_thread::get_id() == id_.load(std::memory_order_relaxed); }

  using TimerId = uint64_t;  // 0: none
  // Engine thread only. A timer runs once, not before that time has passed.
  TimerId after(int64_t ms, std::function<void()> task) { return after_ns(ms * kNsPerMs, std::move(task)); }
  TimerId after_ns(MonoNs ns, std::function<void()> task);
  void cancel(TimerId timer);

  grpc::CompletionQueue& queue() { return queue_; }

 private:
  struct Wake : Operation {
    explicit Wake(Engine& e) : engine(e) {}
    void done(bool ok) override;
    Engine& engine;
    grpc::Alarm alarm;
  };

  void loop();
  void run_posted();
  void run_timers();

  grpc::CompletionQueue queue_;
  std::thread thread_;
  std::atomic<std::thread::id> id_{};

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_, like all below
  bool woken_ = false;                         // wake_ is on its way through the queue
  bool stopping_ = false;
  Wake wake_{*this};

  // Engine thread.
  std::function<bool()> all_over_;  // set: it is stopping
  struct Timer {
    TimerId id = 0;
    std::function<void()> task;
  };
  std::multimap<MonoNs, Timer> timers_;
  TimerId next_timer_ = 1;
};

}  // namespace courier::cluster::etcd
