// How threads talk: many post, the owner drains. Nothing else of another thread's is ever touched.
//
// Threads: post(), post_all() and size() from any; drain() only from the owner. The Waker (usually the
// owner's EventLoop) must outlive the mailbox's last post.
//
// 1. What one thread posts arrives in the order it was posted; a batch arrives unbroken by others.
// 2. The owner is woken once per filling, not once per item: only the post that finds the mailbox empty calls
//    wake(), and that costs a system call only when the owner sleeps.
// 3. An owner that drains after every EventLoop::run_once() misses nothing.
// 4. The mailbox itself refuses nothing. Whoever posts what can be dropped looks at size() before.
//
// A mutex around a vector, on purpose: it is held for one push or one swap, posting allocates nothing once
// warm, and a batch costs one lock. A lock-free list would pay an allocation per item.
#pragma once

#include <atomic>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "net/limits.h"
#include "net/waker.h"

namespace courier::net {

template <typename T>
class Mailbox {
 public:
  explicit Mailbox(Waker& waker) : waker_(waker) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void post(T item) {
    bool first;
    {
      const std::lock_guard lock(mutex_);
      first = items_.empty();
      items_.push_back(std::move(item));
      size_.store(items_.size(), std::memory_order_release);
    }
    if (first) waker_.wake();
  }

  // Takes all of `batch`, which is left empty with its room kept, ready to be filled again.
  void post_all(std::vector<T>& batch) {
    if (batch.empty()) return;
    bool first;
    {
      const std::lock_guard lock(mutex_);
      first = items_.empty();
      if (first && items_.capacity() < batch.capacity()) {
        items_.swap(batch);
      } else {
        items_.insert(items_.end(), std::make_move_iterator(batch.begin()),
                      std::make_move_iterator(batch.end()));
      }
      size_.store(items_.size(), std::memory_order_release);
    }
    batch.clear();
    if (first) waker_.wake();
  }

  // Owner only. Replaces the content of `into` (what it held is destroyed) by everything posted so far;
  // false when that is nothing. The owner keeps one vector for this and hands it in again each time, so that
  // the two vectors just change places. An empty mailbox costs one atomic load.
  bool drain(std::vector<T>& into) {
    into.clear();
    if (size_.load(std::memory_order_acquire) == 0) return false;
    if (into.capacity() > kMailboxRoomKept) into = std::vector<T>();
    const std::lock_guard lock(mutex_);
    items_.swap(into);
    size_.store(0, std::memory_order_release);
    return true;
  }

  // How many items wait, as of a moment ago.
  size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  Waker& waker_;
  std::atomic<size_t> size_{0};
  std::mutex mutex_;
  std::vector<T> items_;  // guarded by mutex_
};

}  // namespace courier::net
