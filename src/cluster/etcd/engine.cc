#include "cluster/etcd/engine.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "base/check.h"

namespace courier::cluster::etcd {
namespace {

gpr_timespec from_now(MonoNs ns) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(ns, GPR_TIMESPAN));
}

}  // namespace

Engine::~Engine() {
  if (thread_.joinable()) stop([] {}, [] { return true; });
}

void Engine::start() {
  CHECK(!thread_.joinable());
  thread_ = std::thread([this] {
    id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    loop();
  });
  pthread_setname_np(thread_.native_handle(), "etcd");
}

void Engine::stop(std::function<void()> cancel_all, std::function<bool()> all_over) {
  CHECK(!here());
  if (!thread_.joinable()) return;
  post([this, cancel_all = std::move(cancel_all), all_over = std::move(all_over)] {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    cancel_all();
    all_over_ = all_over;
  });
  thread_.join();
}

bool Engine::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  posted_.push_back(std::move(task));
  if (std::exchange(woken_, true)) return true;
  wake_.alarm.Set(&queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC), static_cast<Operation*>(&wake_));
  return true;
}

void Engine::Wake::done(bool) {
  const std::lock_guard lock(engine.mutex_);
  engine.woken_ = false;
}

bool Engine::run(const std::function<void()>& task) {
  CHECK(!here());
  std::mutex mutex;
  std::condition_variable changed;
  bool ran = false;
  const bool posted = post([&] {
    task();
    const std::lock_guard lock(mutex);
    ran = true;
    changed.notify_one();
  });
  if (!posted) return false;
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ran; });
  return true;
}

Engine::TimerId Engine::after_ns(MonoNs ns, std::function<void()> task) {
  const TimerId id = next_timer_++;
  timers_.emplace(system_clock().mono_ns() + ns, Timer{id, std::move(task)});
  return id;
}

void Engine::cancel(TimerId timer) {
  if (timer == 0) return;
  for (auto at = timers_.begin(); at != timers_.end(); ++at) {
    if (at->second.id != timer) continue;
    timers_.erase(at);
    return;
  }
}

void Engine::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (std::function<void()>& task : tasks) task();
}

void Engine::run_timers() {
  const MonoNs now = system_clock().mono_ns();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const std::function<void()> task = std::move(timers_.begin()->second.task);
    timers_.erase(timers_.begin());
    task();
  }
}

void Engine::loop() {
  bool shut = false;
  while (true) {
    MonoNs wait = kNsPerSecond;
    if (!timers_.empty() && !all_over_) {
      wait = std::max<MonoNs>(0, std::min(wait, timers_.begin()->first - system_clock().mono_ns()));
    }
    void* tag = nullptr;
    bool ok = false;
    const auto next = queue_.AsyncNext(&tag, &ok, from_now(wait));
    if (next == grpc::CompletionQueue::SHUTDOWN) return run_posted();  // what came just before
    if (next == grpc::CompletionQueue::GOT_EVENT) static_cast<Operation*>(tag)->done(ok);
    run_posted();
    if (!all_over_) {
      run_timers();
    } else if (!shut && all_over_()) {
      queue_.Shutdown();
      shut = true;
    }
  }
}

}  // namespace courier::cluster::etcd
