// What an application says to the client: how to connect, what to publish, what to subscribe to.
//
// Plain values that own their strings. ConnectOptions is immutable once given to a client and may be shared
// by thousands of them; only the client id is each one's own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "client/limits.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"

namespace courier::client {

using mqtt::Qos;
using mqtt::ReasonCode;
using mqtt::RetainHandling;
using mqtt::Version;

using UserPropertyList = std::vector<std::pair<std::string, std::string>>;

// Names one publish(), subscribe() or unsubscribe() of one client until its completion; never reused.
using RequestId = StrongId<struct RequestIdTag, uint64_t>;

// The 5.0 properties of a message. Left out of 3.x packets.
struct MessageProperties {
  std::optional<uint32_t> message_expiry_seconds;
  bool payload_is_utf8 = false;  // Payload Format Indicator
  std::optional<std::string> content_type;
  std::optional<std::string> response_topic;
  std::optional<std::string> correlation_data;
  UserPropertyList user_properties;  // their order is kept
  bool operator==(const MessageProperties&) const = default;
};

struct OutgoingMessage {
  std::string topic;
  std::string payload;
  Qos qos = Qos::at_most_once;
  bool retain = false;
  MessageProperties properties;
  // A topic alias of the caller's own choice; the first publish on a connection carries the topic along,
  // later ones the alias alone. Must be within the server's Topic Alias Maximum.
  std::optional<uint16_t> topic_alias;
};

struct Subscription {
  std::string filter;
  mqtt::SubscriptionOptions options;
};

struct WillMessage {
  std::string topic;
  std::string payload;
  Qos qos = Qos::at_most_once;
  bool retain = false;
  uint32_t delay_seconds = 0;  // 5.0
  MessageProperties properties;
};

inline constexpr uint32_t kSessionNeverExpires = 0xFFFFFFFF;

// What DISCONNECT says; all but the reason is 5.0 only.
struct Farewell {
  ReasonCode reason =
      ReasonCode::success;  // another one, such as disconnect_with_will, lets the will be published
  std::optional<uint32_t> session_expiry_seconds;
  UserPropertyList user_properties;
};

struct ConnectOptions {
  Version version = Version::v5;
  // Start without the state of an earlier session. In 5.0 it holds for the client's first connection only
  // when session_expiry_seconds > 0: a reconnect then resumes. In 3.x the session also ends with the
  // connection.
  bool clean_start = true;
  uint16_t keep_alive_seconds = 60;  // 0: none
  std::optional<std::string> username;
  std::optional<std::string> password;
  std::optional<WillMessage> will;

  // 5.0 only.
  std::optional<uint32_t> session_expiry_seconds;
  std::optional<uint16_t> receive_maximum;  // how many QoS > 0 messages the server may have in flight to us
  std::optional<uint32_t> maximum_packet_size;  // the largest packet we take; enforced in every version
  uint16_t topic_alias_maximum = 0;             // aliases the server may use towards us
  bool request_response_information = false;
  bool request_problem_information = true;
  UserPropertyList user_properties;
  std::optional<std::string> authentication_method;
  std::optional<std::string> authentication_data;

  // The client's own behaviour.
  uint16_t inflight_maximum =
      65'534;  // our QoS > 0 messages in flight; the server's Receive Maximum may be less
  bool assign_topic_aliases = false;    // use the server's aliases for the first topics that we publish to
  bool restore_subscriptions = true;    // after a reconnect to a server that has no session of ours
  bool acknowledge_manually = false;    // PUBACK / PUBREC wait for acknowledge()
  int64_t connect_timeout_ms = 10'000;  // each: for TCP, for the transport's handshake, and until CONNACK
  int64_t ping_timeout_ms = 20'000;     // from PINGREQ to any byte of the server's; at most the keep-alive
  size_t queue_messages_max = kQueueMessagesMax;
  size_t queue_bytes_max = kQueueBytesMax;
};

}  // namespace courier::client
