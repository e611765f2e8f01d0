// One client's socket: from accept to the last byte, the wire end of a broker::Connection.
//
// Owned by the ShardThread that it is on, used on that thread only; Link::move_to() takes it to another one.
// It decides nothing about MQTT but what comes before a session can: the PROXY header, TLS and WebSocket,
// whether the first packet is a CONNECT, the sizes, and the times (connect timeout, packet timeout,
// keep-alive).
//
// What it costs while idle: this object and nothing else. A thread reads into one buffer for all; only the
// bytes of a packet that has not come whole are kept here. Output is gathered in a buffer of the thread and
// written at the end of the Turn; only what the socket did not take is kept here.
//
// 1. A call into the shard may end this connection or any other (Link::close()), so `state_` is looked at
// after
//    each. The object itself stays until the end of the Turn.
// 2. One read and at most kPacketsPerTurn packets in a Turn. What is left waits in `input_`, and the thread
//    remembers the connection (ShardThread::remember()).
// 3. At most one write in a Turn; kWritable is asked for only after the socket was full.
// 4. While paused nothing is read or decoded. epoll is told only if something comes meanwhile.
// 5. The keep-alive counts from the last whole packet: half a packet is none [MQTT-3.1.2-22]. It does not run
//    while we do not read.
// 6. A packet that was begun goes on at kPacketBytesPerSecondMin or more, or the connection ends: what it
//    holds grows with what has come, whatever its length says, and stands for a bounded time. That runs also
//    while it is not read because memory is past its ceiling, or it might never fall.
// 7. Of a stranger (nobody has let it in yet) no more is held than a CONNECT may have, and no longer than
//    connect_timeout until its CONNECT and authenticate_timeout from there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "admission/admission.h"
#include "broker/connection.h"
#include "broker/link.h"
#include "gateway/connection_state.h"
#include "gateway/handshake.h"
#include "gateway/listener.h"
#include "mqtt/decoder.h"
#include "net/event_loop.h"
#include "net/fd.h"
#include "net/output_queue.h"
#include "net/socket_address.h"
#include "net/timer_wheel.h"
#include "net/transport.h"

namespace courier::gateway {

class ShardThread;
struct Output;

class Connection final : public net::Handler, public broker::Link, public net::TimerNode {
 public:
  // Takes an accepted socket into `thread`, which owns the connection from then on. Closes it if it cannot be
  // watched.
  // `arrival`: whether it may come in, if that could be asked already.
  static void open(ShardThread& thread, Listener& listener, net::Fd fd, net::SocketAddress peer,
                   std::shared_ptr<const net::ProxyPolicy> proxy,
                   const std::optional<admission::Arrival>& arrival = {});
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // --- net::Handler ---
  void on_events(uint32_t ready) override;

  // --- broker::Link ---
  std::string& output() override;
  size_t unsent_bytes() const override;
  void pause(Pause reason) override;
  void resume(Pause reason) override;
  void set_keep_alive(uint32_t seconds) override;
  void move_to(uint32_t shard, std::unique_ptr<broker::Connection> connection) override;
  void close() override;

  // --- for its thread ---
  ConnectionState state() const { return state_; }
  void on_timer();
  // It was remembered: goes on with what is buffered, or tells the shard that there is room again, or that
  // its socket died.
  void go_on();
  // The end of the Turn: writes what was gathered, in one call.
  void write(Output& output);
  // The end of the Turn, all is written that can be: on to lingering, or to closed.
  void finish();
  // A step of the handshake is done.
  void shook();
  // Came from another thread; from now on it belongs to `thread`.
  void arrive(ShardThread& thread, std::unique_ptr<broker::Connection> connection);
  // At once, without a word.
  void destroy();

 private:
  friend class ShardThread;

  // What is needed until CONNECT has come, and nobody pays for afterwards.
  struct Opening {
    // As it was when the connection came; shared with the listener, which may get another.
    std::shared_ptr<const net::ProxyPolicy> proxy;
    net::SocketAddress peer;                                // the socket's
    net::SocketAddress client;                              // what a PROXY header said; else the socket's
    bool probe = false;                                     // a balancer that speaks for itself
    bool arrived = false;                                   // admission was asked
    bool header_due = false;                                // a PROXY header may still come
    MonoNs deadline = 0;                                    // of its CONNECT
    admission::Limit refused_for = admission::Limit::none;  // its CONNECT is to be
    uint64_t bytes_in = 0;
    std::shared_ptr<Handshake> handshake;  // in that state
    std::shared_ptr<net::TlsSession> tls;  // what came of it
  };

  // What came and was not decoded: the beginning of a packet, or all that came while it was not to be
  // decoded.
  struct Input {
    std::string bytes;
    MonoNs since = 0;      // from when on its progress counts
    size_t before = 0;     // bytes that were here then
    bool starved = false;  // it is not read on for lack of memory
  };

  Connection(ShardThread& thread, Listener& listener, net::Fd fd);
  void move(ConnectionState to);
  void leave();
  void settle();

  // --- reading (connection.cc) ---
  void read();
  size_t room() const;
  size_t held_bytes_max() const;
  void discard();
  void unwrap(std::string_view wire);
  void take(std::string_view fresh);
  size_t decode(std::string_view bytes);
  void keep(std::string_view rest);
  void await_rest();
  bool packet_is_late();
  bool rest_is_due() const { return input_ && (input_->starved || reading()); }
  bool shaking_hands() const { return state_ == ConnectionState::handshake && opening_->handshake->away; }
  bool reading() const { return paused_ == 0 && !remembered_ && !shaking_hands(); }
  void peer_gone();
  void broke(const Error& error);
  void peer_ended();
  size_t unread_bytes_max() const;
  void goodbye();
  Output& gathered();
  std::string_view seal(Output& output);
  void want(uint32_t interest);
  void write_waiting();
  MonoNs keep_alive_deadline() const;
  MonoNs authentication_due() const;
  void set_timer();

  // --- before there is a session (connection_opening.cc) ---
  // How many bytes the PROXY header takes; nothing while it is incomplete, or when the connection has ended.
  std::optional<size_t> take_proxy_header(std::string_view bytes);
  void refuse_proxy(std::string_view why);
  // Whether it may go on now. If not, it waits or is gone.
  bool enter(const admission::Arrival& arrival);
  void wait_is_over();
  void begin();
  void shake_hands(std::string_view wire);
  void on_connect(const mqtt::Connect& packet);
  void refuse(const mqtt::Violation& violation);
  void turn_away(const mqtt::Connect& packet);
  void connect_timed_out();

  // Moments are kept in units of 2^26 ns (67 ms): four bytes instead of eight. They wrap after nine years.
  static constexpr int kMomentShift = 26;
  static uint32_t moment(MonoNs time) { return static_cast<uint32_t>(time >> kMomentShift); }

  ShardThread* thread_;
  Listener* listener_;
  broker::Connection* connection_ = nullptr;  // while serving; the shard's, or travelling with this
  Output* output_ = nullptr;                  // the thread's, when something was gathered in this Turn
  net::OutputQueue unsent_;
  std::unique_ptr<Input> input_;
  std::unique_ptr<Opening> opening_;           // until CONNECT
  std::unique_ptr<net::Transport> transport_;  // once it is open; null where there is none
  net::Fd fd_;
  uint32_t last_packet_ = 0;  // moment()
  uint16_t keep_alive_seconds_ = 0;
  uint16_t source_ = 0;  // its place in Admission
  uint8_t paused_ = 0;   // Link::Pause bits
  ConnectionState state_ = ConnectionState::proxy_header;
  uint8_t interest_ : 4 = 0;  // as epoll has it
  bool stranger_ : 1 = true;  // nobody has let it in yet
  bool counted_ : 1 = false;  // in that place
  bool remembered_ : 1 = false;
  bool plain_ : 1 = false;       // nothing is to stand between
  bool left_ : 1 = false;        // the listener does not count it any more
  bool watched_ : 1 = false;     // the timer fires before a packet begun now is late
  bool dead_ : 1 = false;        // writing failed; go_on() says so to the shard
  bool peer_ended_ : 1 = false;  // it said goodbye before all that it sent was worked off
  bool broken_ : 1 = false;      // the transport is: nothing can be said through it any more
  bool says_why_ : 1 = false;    // closing: the peer is to read something before the socket goes
};

}  // namespace courier::gateway
