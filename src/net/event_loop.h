// One thread's epoll: which descriptors are ready, and whom to tell.
//
// Owner: one thread, which calls everything here except wake(); that is for any thread. The loop owns neither
// descriptors nor handlers. It holds no memory per descriptor: what it knows stands in the kernel.
//
// Level-triggered. The way to the fewest system calls, which the handlers of a broker follow:
//   - register with kReadable once; on kReadable read ONCE; if bytes remain, the next run reports it again;
//   - write directly, when there is something to write; only after would_block modify() to
//     kReadable | kWritable, and back when the rest has gone. No epoll_ctl per message;
//   - to stop reading (back-pressure) modify() to 0; kHangup is reported even then.
//
// 1. One descriptor per Handler and one Handler per descriptor.
// 2. During dispatch any handler may be removed, destroyed or added by any other, itself included. A handler
//    that was removed is not called again, also not for what the kernel had already reported.
// 3. A handler is removed (or forgotten) before it is destroyed and before its descriptor is closed.
// 4. A wake() is never lost: one that comes while the loop is busy makes the next run_once() not wait.
// 5. run_once() does not nest.
//
// The owner's loop:  for (;;) { loop.run_once(until the next timer); drain mailboxes; advance timers; write;
// }
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "net/fd.h"
#include "net/limits.h"
#include "net/waker.h"

namespace courier::net {

// What is asked for and what is reported.
inline constexpr uint32_t kReadable = EPOLLIN;
inline constexpr uint32_t kWritable = EPOLLOUT;
// Reported unasked: both directions are shut, or the socket has an error (a failed connect, a reset). It
// comes together with kReadable while unread bytes remain, so read first. It repeats until the descriptor
// goes.
inline constexpr uint32_t kHangup = EPOLLHUP;

class Handler {
 public:
  // `ready` is one or more of kReadable, kWritable, kHangup. May destroy the handler itself, after remove().
  virtual void on_events(uint32_t ready) = 0;

 protected:
  ~Handler() = default;
};

class EventLoop final : public Waker {
 public:
  static constexpr MonoNs kForever = -1;

  // errc::out_of_resources when descriptors are.
  static Result<std::unique_ptr<EventLoop>> open();

  // `interest`: kReadable, kWritable, both or 0. errc::out_of_resources beyond fs.epoll.max_user_watches.
  Result<void> add(int fd, Handler& handler, uint32_t interest);
  // The descriptor is registered with this handler.
  void modify(int fd, Handler& handler, uint32_t interest);
  // Takes the descriptor out; it stays open (to be added to another thread's loop, say).
  void remove(int fd, Handler& handler);
  // As remove(), without the system call: for a descriptor that the caller closes next and that was never
  // duplicated, because closing takes it out of epoll.
  void forget(Handler& handler);

  // Waits until something is ready, a wake(), or `timeout_ns` passed (0: does not wait; kForever), then
  // dispatches. Returns how many handlers were called. Precise to the kernel's timer slack (50 µs).
  size_t run_once(MonoNs timeout_ns);

  // Any thread. One atomic exchange; a system call only when the loop sleeps in run_once().
  void wake() noexcept override;

  // How many wake-ups cost a system call. For metrics and tests; any thread.
  uint64_t wake_calls() const { return wake_calls_.load(std::memory_order_relaxed); }

 private:
  enum State : uint32_t { kAwake, kNotified, kSleeping };

  EventLoop(Fd epoll, Fd event) : epoll_(std::move(epoll)), event_(std::move(event)) {}
  int wait(MonoNs timeout_ns);

  // Owner's.
  Fd epoll_;
  Fd event_;  // an eventfd, edge-triggered: it never has to be read
  bool precise_ = true;
  bool dispatching_ = false;
  size_t next_ = 0;  // events_[next_ .. count_) have not been dispatched yet
  size_t count_ = 0;
  std::array<epoll_event, kEventsPerRunMax> events_;

  // Any thread's; on a line of its own so that waking does not disturb the owner.
  alignas(64) std::atomic<uint32_t> state_{kAwake};
  std::atomic<uint64_t> wake_calls_{0};
};

}  // namespace courier::net
