// The client's side of MQTT 3.1, 3.1.1 and 5.0, without a socket, a thread or a clock.
//
// An Engine is one client: its connection of the moment and its session, which outlives connections. The
// owner brings up a transport, calls start(), passes received bytes to receive(), sends and clears output(),
// and calls tick() when next_deadline() has passed. When the engine wants the connection to end (on_ended),
// the owner sends what is left in output(), closes the transport and calls transport_closed(); start() may
// follow with a new transport, and the session goes on.
//
//             start()             CONNACK
//    idle ─────────────► connecting ─────► connected
//     ▲                      │                 │
//     │ transport_closed()   │ refusal, violation, time-out, DISCONNECT, disconnect()
//     ├──────────────────────┴──────┬──────────┤
//     └────── ended ◄───────────────┴──────────┘
//
// Owned by one thread. A handler may call anything but the destructor.
//
// 1. A QoS > 0 publish is completed exactly once: acknowledged, refused, or failed with an error code.
// 2. Unfinished publishes are sent again in their order on the next connection of the same session
// [MQTT-4.4.0-1].
// 3. A QoS 2 message is never sent as a new one once it may have arrived: if the server lost the session, it
//    fails with session_lost. QoS 1 messages are published anew.
// 4. What the server said in CONNACK (Receive Maximum, Maximum Packet Size, Maximum QoS, …) is kept to.
// 5. Everything that grows is bounded by limits.h and ConnectOptions.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/ring.h"
#include "client/options.h"
#include "client/slots.h"
#include "mqtt/packet.h"

namespace courier::client {

inline constexpr MonoNs kNever = std::numeric_limits<MonoNs>::max();

// How a publish, subscribe or unsubscribe went. The views hold for the call only.
struct Completion {
  RequestId request;
  std::error_code
      error;  // it failed without the server's word on it: session_lost, message_too_large, closed…
  ReasonCode reason{};                  // a publish: of PUBACK, PUBREC or PUBCOMP
  std::span<const ReasonCode> reasons;  // a (un)subscribe: one for each filter; 3.x has none for UNSUBACK
  std::string_view reason_string;
  mqtt::UserProperties user_properties;
  bool ok() const {
    if (error || mqtt::is_error(reason)) return false;
    for (ReasonCode each : reasons) {
      if (mqtt::is_error(each)) return false;
    }
    return true;
  }
};

// Why a connection ended, or never became one.
struct Ending {
  std::error_code code;
  std::string message;               // a sentence for a person
  std::error_code cause;             // what the system said, if it did: a net::errc, or the transport's own
  std::optional<ReasonCode> reason;  // when the server gave one, in CONNACK or DISCONNECT
  std::string reason_string;         // the server's own words
  std::string server_reference;      // "use another server"
  bool refused_at_connect = false;   // by CONNACK
};

// The limits of the connection, by the server's CONNACK.
struct ServerLimits {
  uint16_t receive_maximum = 65'535;
  uint16_t topic_alias_maximum = 0;
  uint16_t keep_alive_seconds = 0;
  std::optional<uint32_t> session_expiry_seconds;  // when it is not what we asked for
  Qos maximum_qos = Qos::exactly_once;
  bool retain_available = true;
  bool wildcards_available = true;
  bool shared_available = true;
  bool identifiers_available = true;
  uint32_t maximum_packet_size = 0xFFFFFFFF;
};

class EngineHandler {
 public:
  // Every publish kept from before has been sent again when this is called.
  virtual void on_connected(const mqtt::Connack& connack, bool session_present) = 0;
  // A topic alias has been resolved. QoS 2 messages arrive once. Unless acknowledge_manually, the
  // acknowledgement is sent after this returns, or before a DISCONNECT that is asked for in it.
  virtual void on_message(const mqtt::Publish& publish) = 0;
  virtual void on_published(const Completion& completion) = 0;
  virtual void on_subscribed(const Completion& completion) = 0;
  virtual void on_unsubscribed(const Completion& completion) = 0;
  virtual void on_authentication(const mqtt::Auth& auth) = 0;
  virtual void on_ended(const Ending& ending) = 0;

 protected:
  ~EngineHandler() = default;
};

class Engine {
 public:
  enum class State : uint8_t { idle, connecting, connected, ended };

  // `options` may be shared with other engines. The handler outlives the engine.
  Engine(std::string client_id, std::shared_ptr<const ConnectOptions> options, EngineHandler& handler);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  // What no server would take: checked once, before the first start().
  static Result<void> check(std::string_view client_id, const ConnectOptions& options);

  void start(MonoNs now);
  // Returns the bytes consumed; the owner keeps the rest and passes it again with more behind it.
  size_t receive(std::string_view bytes, MonoNs now);
  void transport_closed();
  MonoNs next_deadline() const;
  void tick(MonoNs now);
  std::string& output() { return output_; }

  // QoS 0 needs a connection and returns id 0, since nothing completes it. QoS > 0 is sent, or waits for a
  // slot or a connection, and is completed by on_published().
  Result<RequestId> publish(const OutgoingMessage& message, MonoNs now);
  // Waits for a connection if there is none. Completed by on_subscribed() / on_unsubscribed().
  Result<RequestId> subscribe(std::vector<Subscription> subscriptions, MonoNs now,
                              std::optional<uint32_t> subscription_identifier = {},
                              UserPropertyList user_properties = {});
  Result<RequestId> unsubscribe(std::vector<std::string> filters, MonoNs now,
                                UserPropertyList user_properties = {});
  // With acknowledge_manually: the application is done with this message. Acknowledgements leave in the order
  // of the messages [MQTT-4.6.0-2]. Ids of an earlier connection are ignored: the server sends those again.
  void acknowledge(PacketId id, MonoNs now);
  Result<void> authenticate(const mqtt::Auth& auth, MonoNs now);
  // Sends DISCONNECT; the engine is `ended` then, and on_ended() is not called. In 3.x a reason other than
  // success sends none, and the will is published as with such a reason in 5.0.
  void disconnect(MonoNs now, const Farewell& farewell = {});
  // Completes everything that is unfinished with `code`: the session will not go on.
  void fail_all(std::error_code code);

  // Takes effect with the next start(); the version stays. The engine is idle.
  void set_options(std::shared_ptr<const ConnectOptions> options);

  State state() const { return state_; }
  const std::string& client_id() const { return client_id_; }  // the server's assignment, once it made one
  const ConnectOptions& options() const { return *options_; }
  const ServerLimits& server() const { return server_; }
  size_t inflight() const { return inflight_; }    // PUBLISHes not yet acknowledged
  size_t queued() const { return queue_.size(); }  // behind the Receive Maximum or a connection
  size_t unfinished() const { return slots_.size() + queue_.size(); }

 private:
  // What most clients never need.
  struct Rare {
    std::vector<std::unique_ptr<HeldRequest>> requests;     // waiting for a connection
    std::vector<std::string> aliases_in;                    // [alias - 1] = topic, by the server
    std::unordered_map<uint16_t, std::string> aliases_out;  // alias = topic, told to the server
    std::unordered_map<std::string, uint16_t> assigned;     // topic = alias, chosen by us
    struct Due {
      PacketId id;
      Qos qos{};
      bool ready = false;
    };
    Ring<Due> due;  // acknowledge_manually: in order of arrival
  };
  struct Queued {
    RequestId request;
    std::unique_ptr<HeldPublish> publish;
  };

  // engine.cc
  Rare& rare();
  void handle(const mqtt::Packet& packet, MonoNs now);
  void handle_connack(const mqtt::Connack& connack, MonoNs now);
  void handle_auth(const mqtt::Auth& auth);
  void handle_disconnect(const mqtt::Disconnect& disconnect);
  void take_limits(const mqtt::Connack& connack);
  void send(const mqtt::Packet& packet, MonoNs now);
  void violate(ReasonCode reason, std::string what);
  void end(Ending ending);

  // engine_inbound.cc
  void handle_publish(mqtt::Publish publish, MonoNs now);
  void handle_pubrel(const mqtt::Pubrel& pubrel, MonoNs now);
  bool resolve_alias(mqtt::Publish& publish);
  void send_acknowledgement(PacketId id, Qos qos, MonoNs now);
  void acknowledge_delivering(MonoNs now);
  void forget_unacknowledged();

  // engine_outbound.cc
  Result<void> check_publish(const OutgoingMessage& message) const;
  std::error_code send_publish(PacketId id, MonoNs now);
  bool encode_publish(const mqtt::Publish& publish, MonoNs now);
  std::optional<uint16_t> choose_alias(std::string_view topic, std::optional<uint16_t> wanted);
  std::error_code start_publish(RequestId request, std::unique_ptr<HeldPublish> publish, MonoNs now);
  bool may_send() const;
  void pump(MonoNs now);
  void resume_session(bool present, MonoNs now);
  void suspend_session();
  void complete_publish(Slot& slot, const mqtt::PublishReply& reply);
  void handle_puback(const mqtt::Puback& puback, MonoNs now);
  void handle_pubrec(const mqtt::Pubrec& pubrec, MonoNs now);
  void handle_pubcomp(const mqtt::Pubcomp& pubcomp, MonoNs now);
  Result<void> check_subscription(const Subscription& subscription) const;
  void ask(std::unique_ptr<HeldRequest> request, MonoNs now);
  void ask_waiting(MonoNs now);
  void handle_suback(const mqtt::Suback& suback, MonoNs now);
  void handle_unsuback(const mqtt::Unsuback& unsuback, MonoNs now);
  void remember(std::unique_ptr<HeldRequest> request, std::span<const ReasonCode> reasons);
  void forget(const std::vector<Subscription>& entries);

  EngineHandler& handler_;
  std::shared_ptr<const ConnectOptions> options_;  // shared: thousands of clients may have the same
  std::string client_id_;
  std::string output_;

  // The connection.
  State state_ = State::idle;
  bool connected_before_ = false;
  bool clean_start_ = false;  // as sent on this connection
  bool resending_ = false;    // slots of an earlier connection wait for room in the server's Receive Maximum
  ServerLimits server_;
  uint16_t inflight_ = 0;
  Qos delivering_qos_{};
  PacketId delivering_;  // being delivered, to be acknowledged afterwards
  MonoNs last_sent_ = 0, last_received_ = 0;
  MonoNs answer_deadline_ = 0;  // of CONNACK or PINGRESP; 0 when none is awaited

  // The session.
  uint64_t last_request_ = 0;
  Slots slots_;
  Ring<Queued> queue_;
  size_t queue_bytes_ = 0;
  std::vector<PacketId> received_;                           // QoS 2 ids that await PUBREL, sorted
  std::vector<std::unique_ptr<HeldRequest>> subscriptions_;  // to restore
  std::unique_ptr<Rare> rare_;
};

}  // namespace courier::client
