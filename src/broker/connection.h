// One live connection: what MQTT asks a server to remember of it beyond the session.
//
// Owned by the shard that has it (on its way between two shards, by the mail). Everything here ends with the
// connection; what outlives it is in session::Session.
//
// There are as many of these as clients, most of them idle: what only some ever need is in Extra, and a
// test holds the size.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/acl/decision_cache.h"
#include "auth/acl/rule_set.h"
#include "auth/authenticator.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/lazy.h"
#include "base/name.h"
#include "base/text.h"
#include "broker/end_cause.h"
#include "broker/link.h"
#include "broker/undecided.h"
#include "mqtt/packet.h"
#include "quota/allowance.h"
#include "session/session.h"

namespace courier::broker {

struct Client;

// Where a connection came from and by which door; fixed before CONNECT.
struct Peer {
  BasicText<24> address;  // "192.0.2.7:51234"; what a PROXY header said, else the socket's
  Name listener;          // its name
  Name mountpoint;        // of the listener
};

// What a CONNECT asked for, kept (owned) until its CONNACK is out.
struct ConnectRequest {
  MonoNs came_at = 0;
  mqtt::Version version{};
  bool clean_start = true;
  bool again = false;  // its ATTACH was void, see Shard::attached()
  uint16_t keep_alive_seconds = 0;
  uint32_t expiry_seconds = 0;
  bool expiry_lowered = false;  // or made another: not what was asked for, and the CONNACK says so
  std::unique_ptr<session::Will> will;
  uint16_t receive_maximum = 65'535;
  uint32_t maximum_packet_size = 0xFFFFFFFF;
  uint16_t topic_alias_maximum = 0;
  bool request_response_information = false;
  std::string authentication_data;  // of the exchange's last step, for the CONNACK
  std::vector<auth::Properties::UserProperty> user_properties;  // for the CONNACK
  std::shared_ptr<auth::Hangup> hangup;                         // null: nobody wants to know

  ConnectRequest() = default;
  ConnectRequest(const ConnectRequest&) = delete;
  ConnectRequest& operator=(const ConnectRequest&) = delete;
  ~ConnectRequest() {
    if (hangup) hangup->gone();
  }
};

// Topic aliases that we gave: the topics sent most recently keep theirs. [MQTT-3.3.2-12 and around]
class AliasesOut {
 public:
  struct Use {
    uint16_t alias = 0;  // 0: send the topic, no alias
    bool known = false;  // the client has it already
  };
  Use use(std::string_view topic, uint16_t maximum);

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view topic) const { return std::hash<std::string_view>()(topic); }
  };
  std::unordered_map<std::string, uint16_t, Hash, std::equal_to<>> by_topic_;
  std::vector<std::string> topics_;  // index: alias - 1
  uint16_t next_victim_ = 0;
};

// Watches one client's packets. Called on the shard's thread; must not block.
using Tracer = std::function<void(bool inbound, std::string_view line)>;

class Connection {
 public:
  enum class State : uint8_t {
    authenticating,  // CONNECT seen; the authenticator decides
    waiting,         // for an ATTACH or the end of the session's previous life to come back
    attaching,       // its ATTACH is on the way
    active,          // CONNACK sent
  };

  ConnectionId id;
  Link* link = nullptr;
  Client* client = nullptr;  // from attaching on
  Position attach;           // of its ATTACH; 0 for ephemeral sessions
  Peer peer;
  auth::Identity identity;
  Text client_id;
  std::unique_ptr<ConnectRequest> request;  // until CONNACK

  State state = State::authenticating;
  mqtt::Version version{};
  bool client_id_assigned : 1 = false;
  bool problem_information : 1 = true;
  bool blocked : 1 = false;  // output full; on_writable() goes on
  bool limited : 1 = false;  // there is an Extra::allowance
  // What its packets have in their way besides rules: nothing, for most.
  enum Hurdle : uint8_t {
    ask_publish = 1,  // a hook is to be asked about each
    ask_subscribe = 2,
    ask_unsubscribe = 4,
    ask_deliver = 8,
    undecided = 16,   // Extra::undecided has requests: what comes waits behind them
    no_publish = 32,  // its authenticator does not let it
    no_subscribe = 64,
    no_unsubscribe = 128,
  };
  uint8_t hurdles = 0;
  uint8_t promise = 0;  // of the shard's promises, from CONNACK on

  // --- what the client allows ---
  uint16_t window = 0;  // most QoS ≥ 1 messages in flight to it: min(its Receive Maximum, inflight_max)
  uint16_t topic_alias_maximum = 0;
  uint16_t keep_alive_seconds = 0;
  uint32_t maximum_packet_size = 0xFFFFFFFF;
  uint32_t expiry_seconds = 0;  // session expiry, as last stated

  // --- to the client ---
  uint32_t in_flight = 0;  // transmitted, not answered
  uint64_t cursor = 0;     // next inbox sequence to look at
  uint16_t subacks_pending = 0;
  uint16_t unanswered = 0;       // QoS ≥ 1 PUBLISHes that of 5.0 count against our Receive Maximum
  uint32_t filters_pending = 0;  // new ones, in SUBSCRIBEs that are not back
  // QoS 0 messages that came while a SUBACK is pending: they follow it.
  struct Held {
    mqtt::MessagePtr message;
    bool retain = false;
    std::unique_ptr<session::Entry::Extras> extras;
  };

  // --- from the client ---
  uint32_t authorized_until = 0;   // its token, or time, ends then, in seconds of the wall clock; 0: never
  uint32_t logged[3] = {0, 0, 0};  // PUBLISHes by QoS on their way through the log
  uint64_t order_after = 0;        // the batch that may hold the last of its earlier connection
  uint64_t order_burst = 0;        // the burst in which the last of all these came back

  // --- the log line at its end ---
  WallMs connected_at = 0;  // 0: not yet
  uint64_t messages_in = 0, messages_out = 0, bytes_in = 0, bytes_out = 0, dropped = 0;

  // What most connections never have. Once made it stays.
  struct Extra {
    AliasesOut aliases_out;
    std::vector<std::string> aliases_in;  // index: alias - 1
    std::vector<uint16_t> taking;         // QoS 2 ids whose QOS2_IN is not back
    std::vector<Held> held;
    size_t held_bytes = 0;
    std::vector<std::vector<mqtt::ReasonCode>> unsubscribed;  // for the UNSUBACKs, in order
    // Of a client that named a method in its CONNECT: that, and the exchange that goes on.
    std::string authentication_method;
    std::shared_ptr<auth::Exchange> exchange;
    bool stepping = false;                             // its answer is on the way
    bool rules_decide = false;                         // hooks are not asked what it publishes and subscribes
    std::unique_ptr<Undecided> undecided;              // null: no hook was ever asked
    uint64_t suspects_end = 0;                         // Shard::suspect_inbox(): below this; 0: none
    std::shared_ptr<const auth::acl::RuleSet> grants;  // shared with all that brought the same; null: none
    auth::SessionTerms terms;                          // as it was let in with
    uint32_t connected_until = 0;                      // by them, in seconds of the wall clock; 0: for ever
    std::unique_ptr<quota::Allowance> allowance;       // null: no limit matches
    std::shared_ptr<Tracer> tracer;                    // shared with whoever watches; it may stop at any time
  };
  Lazy<Extra> extra;
  auth::acl::DecisionCache decisions;

  // Null: nobody watches.
  Tracer* tracer() { return extra ? extra->tracer.get() : nullptr; }
  bool v5() const { return version == mqtt::Version::v5; }
};

}  // namespace courier::broker
