// The thread that clients live on: readiness, timers, work posted by other threads, one write per client and
// turn.
//
// Owned and run by one thread; only post() and stop() are for any. Clients and Timers must be gone before it.
//
// A turn: write what clients have to send; wait; let clients read and their handlers run; run what was
// posted; fire timers; write. So everything that a handler publishes in one turn leaves in one system call
// per client.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/backoff.h"
#include "net/event_loop.h"
#include "net/mailbox.h"
#include "net/timer_wheel.h"

namespace courier::client {

class Client;

// A timer of the application's: it stands in the application's object and is armed on a loop.
class Timer : public net::TimerNode {
 public:
  explicit Timer(std::function<void()> fire) : fire_(std::move(fire)) {}

 private:
  friend class ClientLoop;
  std::function<void()> fire_;
};

class ClientLoop {
 public:
  // `seed` drives the jitter of reconnects. The clock outlives the loop.
  static Result<std::unique_ptr<ClientLoop>> open(uint64_t seed = std::random_device{}(),
                                                  const Clock& clock = system_clock());

  // One turn; waits for `timeout_ns` at most (0: not at all; net::EventLoop::kForever).
  void run_once(MonoNs timeout_ns = net::EventLoop::kForever);
  // Turns until stop().
  void run();
  void stop();
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // Any thread: `work` runs on this loop's thread in its next turn. Also the way to destroy a client from
  // within one of its handlers.
  void post(std::function<void()> work) { posted_.post(std::move(work)); }

  // After `delay_ms`, or from now on anew when it is armed already. Up to a millisecond late, so that many
  // timers share a turn.
  void arm(Timer& timer, int64_t delay_ms);
  // The same, at that time; as precise as the machine, and a turn of its own.
  void arm_at(Timer& timer, MonoNs due) { timers_.arm(timer, due); }
  void cancel(Timer& timer) { timers_.cancel(timer); }

  // For the application's own descriptors; their handlers run in the turn as clients' do.
  net::EventLoop& events() { return *events_; }
  // The time as of this turn.
  MonoNs now() const { return now_; }
  Random& random() { return random_; }

 private:
  friend class Client;

  ClientLoop(std::unique_ptr<net::EventLoop> events, uint64_t seed, const Clock& clock);
  // Up to 64 ms late: for what each of many clients has, and moves all the time.
  void arm_coarse(Timer& timer, MonoNs due);
  void flush();
  void clear_wire();

  // 64 of them are a millisecond, and 64 of those what arm_coarse() rounds to: levels of the wheel.
  static constexpr MonoNs kTickNs = kNsPerMs / 64;
  static constexpr size_t kReadSize = 64 * 1024;
  static constexpr size_t kWriteBuffersMax = 64;
  static constexpr size_t kWriteBufferSizeMax = 256 * 1024;

  const Clock& clock_;
  MonoNs now_;
  std::unique_ptr<net::EventLoop> events_;
  net::TimerWheel<Timer> timers_;
  net::Mailbox<std::function<void()>> posted_;
  std::vector<std::function<void()>> work_;
  std::vector<Client*> to_flush_;
  // For all clients: an idle one has no buffer.
  std::vector<char> read_buffer_;
  std::vector<std::string> write_buffers_;
  // Of clients with a transport: what came out of it in this read, and what is to go on the wire. Empty but
  // during a call.
  std::string plain_, wire_;
  Random random_;
  std::atomic<bool> stopped_{false};
};

}  // namespace courier::client
