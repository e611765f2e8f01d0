// What the mesh's thread shares with those who send: the peers there are, what is handed over, what is asked.
//
// Shared by the mesh, its senders and, weakly, by whoever holds a Reply or an Answer: those may outlive it.
// Inside src/mesh only.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "net/event_loop.h"
#include "net/mailbox.h"

namespace courier::mesh {

class Hub;

// Another run of a node, as long as it is a member. Any thread.
struct Peer {
  Peer(std::string node_id, NodeEpoch node_epoch) : id(std::move(node_id)), epoch(node_epoch) {}

  const std::string id;
  const NodeEpoch epoch;
  std::atomic<bool> up{false};  // written by the mesh's thread
  // Bytes of messages that wait for it, and what shards have reserved for more: at most
  // Limits::queue_bytes_max. Raised by shards, lowered by the mesh's thread.
  alignas(64) std::atomic<size_t> queued{0};
};
using PeerPtr = std::shared_ptr<Peer>;  // shared: the mesh's thread forgets it while shards still have bytes

// Frames with messages, whole, from one shard to one peer.
struct Outgoing {
  PeerPtr peer;
  std::string bytes;
  uint32_t messages = 0;
};

// The peers of the moment. The mesh's thread sets them; who has seen version() need not look again.
class Peers {
 public:
  using List = std::vector<PeerPtr>;

  void set(List peers) {
    auto list = std::make_shared<const List>(std::move(peers));
    const std::lock_guard lock(mutex_);
    list_ = std::move(list);
    version_.fetch_add(1, std::memory_order_release);
  }
  // Shared: readers keep the list that they have seen.
  std::shared_ptr<const List> get() const {
    const std::lock_guard lock(mutex_);
    return list_;
  }
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  std::atomic<uint64_t> version_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_ = std::make_shared<const List>();  // guarded by mutex_
};

// What the mesh's thread is to do. Unlike a mailbox it can be closed: whoever comes later is told.
class Tasks {
 public:
  using Task = std::function<void(Hub&)>;

  explicit Tasks(net::Waker& waker) : waker_(waker) {}

  // False once it is closed; nothing was taken then.
  bool post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      tasks_.push_back(std::move(task));
    }
    waker_.wake();
    return true;
  }
  void drain(std::vector<Task>& into) {
    into.clear();
    const std::lock_guard lock(mutex_);
    tasks_.swap(into);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  net::Waker& waker_;
  std::mutex mutex_;
  bool closed_ = false;      // guarded by mutex_
  std::vector<Task> tasks_;  // guarded by mutex_
};

struct Core {
  explicit Core(std::unique_ptr<net::EventLoop> event_loop)
      : loop(std::move(event_loop)), outgoing(*loop), tasks(*loop) {}

  std::unique_ptr<net::EventLoop> loop;
  net::Mailbox<Outgoing> outgoing;
  Tasks tasks;
  Peers peers;
};

}  // namespace courier::mesh
