// One shard's thread: its event loop, its mailbox, its timers, its connections, and the Turn.
//
//   wait -> sockets -> mail -> what was left over -> timers -> Shard::on_time, end_turn -> write, once a
//   connection
//
// Threads: post(), hand_over() and turns() from any; start(), stop() from the owner of the Gateway;
// everything else on the thread itself (or while it does not run).
//
// 1. The thread waits in one place, the event loop, and only when nothing is left to do.
// 2. Every Connection on it is known in one of two ways: `apart_` holds those that the shard does not have
//    (before CONNECT, after close()); the others hang on the shard's broker::Connections.
// 3. A Connection that ended is deleted at the end of the Turn, not before.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "admission/admission.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "broker/mail.h"
#include "broker/shard.h"
#include "gateway/connection.h"
#include "gateway/limits.h"
#include "gateway/listener.h"
#include "gateway/thread_metrics.h"
#include "net/event_loop.h"
#include "net/mailbox.h"
#include "net/timer_wheel.h"

namespace courier::gateway {

// The same for all connections of a node.
struct ConnectionOptions {
  MonoNs connect_timeout_ns = 5'000'000'000;  // from accept to CONNECT
  // From CONNECT until it is decided whether the client may come in, with all that it is asked meanwhile.
  MonoNs authenticate_timeout_ns = 15'000'000'000;
  // A CONNECT, and any other packet before it is decided. See admission.md for what a stranger costs.
  uint32_t connect_bytes_max = 3 * 1024;
  // A packet that was begun has kPacketBytesPerSecondMin over so long, again and again until it is whole.
  MonoNs packet_timeout_ns = 60'000'000'000;
  uint32_t packet_bytes_max = 1024 * 1024;  // of a CONNECT; then it is what the shard promised
  // Beyond, who only pings a TLS or WebSocket layer and reads nothing is closed.
  uint64_t output_bytes_max = 1280 * 1024;
};

// What one connection has gathered in this Turn; returned to the thread when it is written.
struct Output {
  std::string bytes;  // packets
  std::string wire;   // what TLS or WebSocket say by themselves; then, sealed, the packets
  Connection* owner = nullptr;
};

// A connection on its way to the thread of its session.
struct HandOver {
  std::unique_ptr<Connection> link;
  std::unique_ptr<broker::Connection> connection;
};

class ShardThread {
 public:
  using Siblings = std::vector<std::unique_ptr<ShardThread>>;

  // `siblings` (this one among them), `handshakes`, `admission`, `clock` and `registry` outlive it.
  // net::errc::out_of_resources.
  static Result<std::unique_ptr<ShardThread>> open(uint32_t index, const ConnectionOptions& options,
                                                   const Siblings& siblings, WorkerPool& handshakes,
                                                   admission::Admission& admission, const Clock& clock,
                                                   Registry& registry);
  ~ShardThread();
  ShardThread(const ShardThread&) = delete;
  ShardThread& operator=(const ShardThread&) = delete;

  // --- any thread ---
  void post(broker::Mail mail) { mailbox_.post(std::move(mail)); }
  void hand_over(HandOver connection) { arrivals_.post(std::move(connection)); }
  // Grows with every Turn.
  uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }

  // --- the owner of the Gateway ---
  void start(broker::Shard& shard);
  // Ends the thread after its Turn. Who is still connected is told so (Shard::drain()).
  void stop();

  // --- its thread ---
  Result<void> listen(Listener& listener, net::Listener socket);
  void stop_listening() { acceptors_.clear(); }
  // For what begins from now on.
  void use(const ConnectionOptions& options) { options_ = options; }

  // --- for its connections and acceptors ---
  net::EventLoop& loop() { return *loop_; }
  admission::Admission& admission() { return admission_; }
  net::TimerWheel<Connection>& wheel() { return wheel_; }
  broker::Shard& shard() { return *shard_; }
  ShardThread& sibling(uint32_t index) { return *siblings_[index]; }
  const ConnectionOptions& options() const { return options_; }
  ThreadMetrics& metrics() { return metrics_; }
  std::span<char> scratch() { return {scratch_.get(), kReadBytesMax}; }
  // What one read becomes behind a transport.
  std::string& plain() { return plain_; }
  std::string& reply() { return reply_; }
  // The time of this Turn: the clock is asked once.
  MonoNs now() {
    if (now_ == 0) now_ = clock_.mono_ns();
    return now_;
  }
  // The packets that an output holds. Valid until the next call.
  std::span<const std::string_view> packets_of(std::string_view bytes);
  WallMs wall() const { return clock_.wall_ms(); }
  // A worker takes the step, then Connection::shook() is called. False: too many wait.
  [[nodiscard]] bool work_off(std::shared_ptr<Handshake> handshake);
  // A buffer for the connection's output, until Connection::write() at the end of this Turn.
  Output* take_output(Connection& connection);
  // go_on() is called in the next Turn, which comes without waiting.
  void remember(Connection& connection);
  // finish() is called at the end of this Turn.
  void finish_later(Connection& connection) { finishing_.push_back(&connection); }
  void keep_apart(Connection& connection) { apart_.insert(&connection); }
  void no_longer_apart(Connection& connection) { apart_.erase(&connection); }
  // Nothing of this thread refers to the connection any more.
  void release(Connection& connection);
  // Takes it, to be deleted at the end of this Turn.
  void bury(Connection& connection);
  bool may_linger() const { return lingering_ < kLingeringMax; }
  void lingering(int change) { lingering_ += static_cast<size_t>(change); }
  void acceptor_stalled() { acceptors_stalled_ = true; }

 private:
  ShardThread(uint32_t index, const ConnectionOptions& options, const Siblings& siblings,
              WorkerPool& handshakes, admission::Admission& admission, const Clock& clock, Registry& registry,
              std::unique_ptr<net::EventLoop> loop);
  void run();
  void turn();
  MonoNs wait_at_most() const;
  void read_mail();
  void go_on_with_remembered();
  void wake_acceptors();
  void write_outputs();
  void finish_connections();

  const uint32_t index_;
  ConnectionOptions options_;
  const Siblings& siblings_;
  WorkerPool& handshakes_;
  admission::Admission& admission_;
  const Clock& clock_;
  ThreadMetrics metrics_;
  broker::Shard* shard_ = nullptr;
  std::unique_ptr<net::EventLoop> loop_;
  net::TimerWheel<Connection> wheel_;
  std::unique_ptr<char[]> scratch_;
  std::string plain_, reply_;
  std::vector<std::string_view> packets_;
  MonoNs now_ = 0;    // 0: not asked in this Turn
  MonoNs ended_ = 0;  // the end of the last Turn
  std::vector<broker::Mail> mail_;
  std::vector<HandOver> arrived_;
  std::vector<std::shared_ptr<Handshake>> shook_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  bool acceptors_stalled_ = false;
  std::vector<std::unique_ptr<Output>> outputs_, spare_outputs_;
  std::vector<Connection*> remembered_, going_on_, finishing_;
  std::unordered_set<Connection*> apart_;
  std::vector<std::unique_ptr<Connection>> buried_;
  size_t lingering_ = 0;
  std::thread thread_;

  // Any thread's.
  net::Mailbox<broker::Mail> mailbox_;
  net::Mailbox<HandOver> arrivals_;
  net::Mailbox<std::shared_ptr<Handshake>> shaken_;
  std::atomic<uint64_t> turns_{0};
  std::atomic<bool> stopping_{false};
};

}  // namespace courier::gateway
