// An MQTT client: an Engine on a TCP connection, which it makes again when it breaks; between the two, if the
// application wants it, TLS, WebSocket or both.
//
// Thousands of clients share one ClientLoop and its thread; nothing here blocks. A Client never moves and is
// destroyed on the loop's thread, but not from within its own handler (ClientLoop::post() is the way out).
//
//            open()          connected          CONNACK
//   closed ─────────► opening ──────────► greeting ─────► online
//     ▲                ▲ │  │ with a         ▲ │ refused    │ lost
//     │                │ │  ▼ transport open │ │            │
//     │                │ │ handshaking ──────┘ │            │
//     │                │ ▼ fails  ▼ fails      ▼            │
//     │     retry time └ waiting ◄┴────────────┴────────────┘
//     │ cut()                │                              │ close()
//     ├──────────────────────┘                              ▼
//     └──────────────── everything sent, server closed ── closing
//
// 1. The session (unfinished publishes, QoS 2 ids, subscriptions) outlives connections, also across close()
// and
//    open(). abandon() gives it up.
// 2. A connection attempt tries each address of the server's before it counts as failed. One where TCP stands
//    and the handshake of the transport fails is the last: a certificate is as bad elsewhere. The next
//    attempt begins at the first address; after one that took the connection and gave no CONNACK, or a
//    refusal, at the address behind it.
// 3. What is published in one turn of the loop leaves in one system call.
// 4. Without a transport it costs a pointer that is null, and a look at it for each read and each write.
//
//   auto loop = ClientLoop::open();
//   auto server = Endpoint::resolve("localhost", 1883);
//   Callbacks on;
//   on.connected = [](Client& client, const mqtt::Connack&, bool) {
//     client.subscribe({{.filter = "orders/#", .options = {.qos = Qos::at_least_once}}});
//   };
//   on.message = [](Client&, const mqtt::Publish& m) { handle(m.topic, m.payload); };
//   Client phone(**loop, {.server = *server, .client_id = "phone-1"}, on);
//   if (auto opened = phone.open(); !opened) return report(opened.error());
//   (*loop)->run();
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "client/backoff.h"
#include "client/client_loop.h"
#include "client/engine.h"
#include "client/options.h"
#include "net/event_loop.h"
#include "net/fd.h"
#include "net/output_queue.h"
#include "net/socket_address.h"
#include "net/transport.h"

namespace courier::client {

// Where a server is, or several that have the same sessions: the nodes of a cluster, the one to prefer first.
// Shared by all clients that connect there.
struct Endpoint {
  std::string name;                           // for sentences: "localhost:1883"
  std::vector<net::SocketAddress> addresses;  // at least one

  // Asks the resolver and BLOCKS: before the loop runs, or on a thread of its own.
  static Result<std::shared_ptr<const Endpoint>> resolve(const std::string& host, uint16_t port);
  static std::shared_ptr<const Endpoint> of(net::SocketAddress address);
  // Of at least one. Named "10.0.0.1:1883 or 10.0.0.2:1883".
  static std::shared_ptr<const Endpoint> any_of(std::vector<net::SocketAddress> addresses);
};

// Makes the client's end of what stands between the socket and MQTT, anew for each connection; never null. On
// the loop's thread; one function may be shared by clients on many.
using TransportMaker = std::function<std::unique_ptr<net::Transport>()>;

struct ClientSetup {
  std::shared_ptr<const Endpoint> server;
  std::shared_ptr<const ConnectOptions> connect = std::make_shared<const ConnectOptions>();
  std::string client_id;  // empty: the server assigns one, which reconnects then use
  bool reconnect = true;
  Backoff backoff;
  std::optional<net::SocketAddress> source;  // connect from here; port 0: any
  // Sent first on every connection, before the transport and CONNECT: a PROXY header, for one. See
  // proxy_preamble().
  std::string preamble;
  TransportMaker transport;  // empty: plain MQTT
};

// The PROXY header of a client at `source` that came to `destination`; `version` is 1 or 2.
std::string proxy_preamble(int version, const net::SocketAddress& source,
                           const net::SocketAddress& destination);

// How a connection goes that is cut.
enum class Cut : uint8_t {
  close,   // FIN, as when a process ends
  reset,   // RST
  silent,  // nothing at all is sent: the server may think that the client is there until its keep-alive is
           // over, or the client is back. The socket stays open until then, or until the Client goes
};

// What an application hears. Views hold for the call. One handler may serve any number of clients.
class ClientHandler {
 public:
  // The connection stands, its transport is open, and CONNECT leaves now. Not the place to end it.
  virtual void on_transport(Client&) {}
  virtual void on_connected(Client&, const mqtt::Connack&, bool /*session_present*/) {}
  // A connection ended or could not be made. Unless close(), cut() or open() is called here, the next attempt
  // follows in `retry_in_ms`, which is empty when ClientSetup::reconnect is off.
  virtual void on_disconnected(Client&, const Ending&, std::optional<int64_t> /*retry_in_ms*/) {}
  virtual void on_message(Client&, const mqtt::Publish&) {}
  virtual void on_published(Client&, const Completion&) {}
  virtual void on_subscribed(Client&, const Completion&) {}
  virtual void on_unsubscribed(Client&, const Completion&) {}
  virtual void on_authentication(Client&, const mqtt::Auth&) {}
  // close() is complete: the server has had the chance to read everything.
  virtual void on_closed(Client&) {}

 protected:
  ~ClientHandler() = default;
};

class Client final : private EngineHandler, private net::Handler {
 public:
  enum class State : uint8_t { closed, opening, handshaking, greeting, online, waiting, closing };

  // The handler outlives the client.
  Client(ClientLoop& loop, ClientSetup setup, ClientHandler& handler);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  // Begins to connect, at once also when a retry was due later. errc::invalid_argument for options that no
  // server takes. Nothing happens when it is connecting or connected.
  Result<void> open();
  // In good order: what was written is sent, then DISCONNECT; on_closed() follows within a few seconds.
  void close(const Farewell& farewell = {});
  // As if the network had gone: no DISCONNECT, bytes not yet sent are lost. No hook is called.
  void cut(Cut how = Cut::close);
  // Off: the server's bytes wait in the kernel, and then at the server, as with an application that is slow.
  // Keep-alive goes on. Every connection begins with reading on.
  void set_reading(bool on);
  // Completes everything that is unfinished with errc::closed. The session is not continued by this client.
  void abandon();

  // As the Engine's, see there; queue_full also for a QoS 0 publish that finds kOutputBytesMax waiting for
  // the socket.
  Result<RequestId> publish(const OutgoingMessage& message);
  Result<RequestId> subscribe(std::vector<Subscription> subscriptions,
                              std::optional<uint32_t> subscription_identifier = {},
                              UserPropertyList user_properties = {});
  Result<RequestId> unsubscribe(std::vector<std::string> filters, UserPropertyList user_properties = {});
  void acknowledge(PacketId id);
  // For the next connection, a fresh token for example; the protocol version stays. Not while connected:
  // errc::invalid_argument.
  Result<void> set_connect_options(std::shared_ptr<const ConnectOptions> options);
  Result<void> authenticate(const mqtt::Auth& auth);

  State state() const { return state_; }
  bool online() const { return state_ == State::online; }
  const std::string& client_id() const { return engine_.client_id(); }
  const ServerLimits& server_limits() const { return engine_.server(); }
  size_t unfinished() const { return engine_.unfinished(); }
  size_t output_bytes() const { return output_.bytes(); }  // written, and not yet taken by the socket
  ClientLoop& loop() { return loop_; }
  // The local address of the connection; Family::none without one.
  net::SocketAddress local_address() const;
  // Of the endpoint's addresses the one that the client is connected to, or tried last.
  const net::SocketAddress& server_address() const { return server_->addresses[address_]; }
  // What was agreed on with the server; nothing without TLS, and while handshaking.
  std::optional<net::TlsSession> tls() const;
  // A word of the application's own, for handlers that serve many clients.
  void* context = nullptr;

 private:
  friend class ClientLoop;
  struct Origin {
    std::optional<net::SocketAddress> source;
    std::string preamble;
    TransportMaker transport;
  };

  // EngineHandler
  void on_connected(const mqtt::Connack& connack, bool session_present) override;
  void on_message(const mqtt::Publish& publish) override { handler_.on_message(*this, publish); }
  void on_published(const Completion& c) override { handler_.on_published(*this, c); }
  void on_subscribed(const Completion& c) override { handler_.on_subscribed(*this, c); }
  void on_unsubscribed(const Completion& c) override { handler_.on_unsubscribed(*this, c); }
  void on_authentication(const mqtt::Auth& auth) override { handler_.on_authentication(*this, auth); }
  void on_ended(const Ending& ending) override { ending_ = std::make_unique<Ending>(ending); }
  // net::Handler
  void on_events(uint32_t ready) override;

  void begin_attempt();
  void connect_next();
  void address_is_no_good();
  uint16_t address_behind() const;
  void address_failed(std::error_code cause, std::string message);
  void connected();
  void transport_up();
  void read();
  void peer_closed(int error);
  void unwrap(std::string_view wire);
  void take(std::string_view bytes);
  void read_to_end();
  void on_timer();
  void arm_for_engine();
  void touch();
  void flush();
  Result<void> wrap(std::string_view bytes);
  void want(uint32_t interest);
  void borrow_buffer();
  void settle();
  void lost(Ending ending);
  void transport_failed(Error error);
  void finish_closing();
  void drop_transport();

  ClientLoop& loop_;
  ClientHandler& handler_;
  std::shared_ptr<const Endpoint> server_;
  std::unique_ptr<const Origin> origin_;  // null for most
  Backoff backoff_;
  Engine engine_;
  Timer timer_;
  net::Fd fd_;
  net::Fd ghost_;                              // of a silent cut
  std::unique_ptr<net::Transport> transport_;  // null: plain MQTT
  State state_ = State::closed;
  bool reconnect_;
  bool in_engine_ = false;  // the engine is calling us: the transport must stay until it returns
  bool cut_asked_ = false;  // by a handler meanwhile
  Cut cut_how_ = Cut::close;
  bool reading_ = true;
  uint8_t interest_ = 0;
  uint16_t attempts_ = 0;            // failures in a row
  uint16_t address_ = 0;             // of the endpoint's: connected to, or tried last
  uint16_t addresses_left_ = 0;      // to try in this attempt
  uint16_t first_address_ = 0;       // of the next attempt
  uint32_t flush_place_ = kNoPlace;  // in the loop's list of those that have something to send
  MonoNs online_since_ = 0;
  std::unique_ptr<Ending> ending_;
  net::OutputQueue output_;
  std::string partial_;  // the front of a packet that has not arrived whole

  static constexpr uint32_t kNoPlace = 0xFFFFFFFF;
};

// Hooks as functions, for applications that would rather not derive.
struct Callbacks final : ClientHandler {
  std::function<void(Client&, const mqtt::Connack&, bool session_present)> connected;
  std::function<void(Client&, const Ending&, std::optional<int64_t> retry_in_ms)> disconnected;
  std::function<void(Client&, const mqtt::Publish&)> message;
  std::function<void(Client&, const Completion&)> published, subscribed, unsubscribed;
  std::function<void(Client&, const mqtt::Auth&)> authentication;
  std::function<void(Client&)> closed;

  void on_connected(Client& c, const mqtt::Connack& connack, bool present) override {
    if (connected) connected(c, connack, present);
  }
  void on_disconnected(Client& c, const Ending& ending, std::optional<int64_t> retry_in_ms) override {
    if (disconnected) disconnected(c, ending, retry_in_ms);
  }
  void on_message(Client& c, const mqtt::Publish& publish) override {
    if (message) message(c, publish);
  }
  void on_published(Client& c, const Completion& completion) override {
    if (published) published(c, completion);
  }
  void on_subscribed(Client& c, const Completion& completion) override {
    if (subscribed) subscribed(c, completion);
  }
  void on_unsubscribed(Client& c, const Completion& completion) override {
    if (unsubscribed) unsubscribed(c, completion);
  }
  void on_authentication(Client& c, const mqtt::Auth& auth) override {
    if (authentication) authentication(c, auth);
  }
  void on_closed(Client& c) override {
    if (closed) closed(c);
  }
};

}  // namespace courier::client
