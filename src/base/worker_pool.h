// A few threads for work that would hold up a shard thread: password hashes, files.
//
// The queue is bounded, so that a storm of slow work is refused at the door (post() says no) instead of
// growing until memory ends. Tasks run in the order in which they were posted, on any of the threads; they
// must not throw. What a task needs must live until it ran or the pool was stopped.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace courier {

// Thread-safe, except that one thread only may stop or destroy it, and never one of its own.
class WorkerPool {
 public:
  using Task = std::function<void()>;

  // Threads are named `name` for whoever looks with ps or a debugger (15 characters at most count).
  // `niceness` above 0 leaves the processor to others first: man 7 sched.
  WorkerPool(std::string name, size_t threads, size_t queue_tasks_max, int niceness = 0);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when queue_tasks_max tasks wait already, or after stop(); the task is then dropped, unrun.
  [[nodiscard]] bool post(Task task);

  // Lets running tasks finish and drops those that wait, unrun. Returns when no thread is left.
  void stop();

  size_t threads() const { return threads_.size(); }
  size_t queue_tasks_max() const { return queue_tasks_max_; }
  size_t queued() const;

 private:
  void run(int niceness);

  const size_t queue_tasks_max_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace courier
