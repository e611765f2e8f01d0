// The control packets as values: what a decoder gives and an encoder takes.
//
// Every string_view borrows: from the decoder's input until the next feed(), or from the caller until
// encode() returns. Fields of 5.0 are simply absent in 3.x packets. Source: section 3 of each version.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "mqtt/protocol.h"

namespace courier::mqtt {

struct UserProperty {
  std::string_view name{}, value{};
  bool operator==(const UserProperty&) const = default;
};
using UserProperties = std::vector<UserProperty>;  // in the order of the wire

// Forwarded properties stand together in most packets and are then a view of the input. Where a sender put
// others between them the decoder gathers them into one string, never longer than the packet, and this keeps
// it alive: shared, because a packet may be copied and the view in each copy must stay good.
struct GatheredProperties {
  std::shared_ptr<const std::string> bytes;
  bool operator==(const GatheredProperties&) const { return true; }  // the view is what is compared
};

struct Will {
  std::string_view topic{}, payload{};
  Qos qos{};
  bool retain = false;
  uint32_t delay_seconds = 0;
  std::optional<uint32_t> message_expiry_seconds{};
  // Forwarded properties, as in Message::properties.
  std::string_view forwarded_properties{};
  GatheredProperties gathered{};
  bool operator==(const Will&) const = default;
};

struct Connect {
  Version version = Version::v3_1_1;
  bool clean_start = true;  // "clean session" in 3.x
  uint16_t keep_alive_seconds = 0;
  std::string_view client_id{};
  std::optional<Will> will{};
  std::optional<std::string_view> username{}, password{};
  // 5.0 properties
  std::optional<uint32_t> session_expiry_seconds{};  // 0xFFFFFFFF = never
  std::optional<uint16_t> receive_maximum{};
  std::optional<uint32_t> maximum_packet_size{};
  std::optional<uint16_t> topic_alias_maximum{};
  bool request_response_information = false;
  bool request_problem_information = true;
  UserProperties user_properties{};  // of 3.1.1: only by DecodeLimits::v3_1_1_extensions, never encoded
  std::optional<std::string_view> authentication_method{}, authentication_data{};
  bool operator==(const Connect&) const = default;
};

struct Connack {
  bool session_present = false;
  ReasonCode reason{};  // the encoder maps it to a 3.x return code
  std::optional<uint32_t> session_expiry_seconds{};
  std::optional<uint16_t> receive_maximum{};
  std::optional<Qos> maximum_qos{};
  std::optional<bool> retain_available{};
  std::optional<uint32_t> maximum_packet_size{};
  std::optional<std::string_view> assigned_client_id{};
  std::optional<uint16_t> topic_alias_maximum{};
  std::optional<std::string_view> reason_string{};
  UserProperties user_properties{};
  std::optional<bool> wildcard_subscription_available{}, subscription_identifiers_available{},
      shared_subscription_available{};
  std::optional<uint16_t> server_keep_alive_seconds{};
  std::optional<std::string_view> response_information{}, server_reference{}, authentication_method{},
      authentication_data{};
  bool operator==(const Connack&) const = default;
};

struct Publish {
  bool dup = false, retain = false;
  Qos qos{};
  std::string_view topic{};  // empty only with a topic alias
  PacketId packet_id{};      // 0 when QoS 0
  std::string_view payload{};
  std::optional<uint32_t> message_expiry_seconds{};
  std::optional<uint16_t> topic_alias{};
  std::vector<uint32_t> subscription_identifiers{};  // server to client only
  // As in Message::properties; forwarded_property() in mqtt/properties.h reads single ones.
  std::string_view forwarded_properties{};
  GatheredProperties gathered{};
  bool operator==(const Publish&) const = default;
};

// PUBACK, PUBREC, PUBREL and PUBCOMP have one shape.
struct PublishReply {
  PacketId packet_id{};
  ReasonCode reason{};
  std::optional<std::string_view> reason_string{};
  UserProperties user_properties{};
  bool operator==(const PublishReply&) const = default;
};
struct Puback : PublishReply {};
struct Pubrec : PublishReply {};
struct Pubrel : PublishReply {};
struct Pubcomp : PublishReply {};

enum class RetainHandling : uint8_t { send = 0, send_if_new = 1, do_not_send = 2 };

struct SubscriptionOptions {
  Qos qos{};
  bool no_local = false;
  bool retain_as_published = false;
  RetainHandling retain_handling = RetainHandling::send;
  // Only 3.1.1 with DecodeLimits::v3_1_1_extensions; never encoded.
  bool non_persistent = false;
  bool no_retry = false;
  bool operator==(const SubscriptionOptions&) const = default;
};

struct Subscribe {
  struct Entry {
    std::string_view filter{};
    SubscriptionOptions options{};
    bool operator==(const Entry&) const = default;
  };
  PacketId packet_id{};
  std::vector<Entry> entries{};
  std::optional<uint32_t> subscription_identifier{};
  UserProperties user_properties{};
  bool operator==(const Subscribe&) const = default;
};

struct Suback {
  PacketId packet_id{};
  std::vector<ReasonCode> reasons{};  // one per entry; the encoder maps errors to 0x80 in 3.x
  std::optional<std::string_view> reason_string{};
  UserProperties user_properties{};
  bool operator==(const Suback&) const = default;
};

struct Unsubscribe {
  PacketId packet_id{};
  std::vector<std::string_view> filters{};
  UserProperties user_properties{};
  bool operator==(const Unsubscribe&) const = default;
};

struct Unsuback {
  PacketId packet_id{};
  std::vector<ReasonCode> reasons{};  // not sent in 3.x
  std::optional<std::string_view> reason_string{};
  UserProperties user_properties{};
  bool operator==(const Unsuback&) const = default;
};

struct Pingreq {
  bool operator==(const Pingreq&) const = default;
};
struct Pingresp {
  bool operator==(const Pingresp&) const = default;
};

struct Disconnect {
  ReasonCode reason{};
  std::optional<uint32_t> session_expiry_seconds{};
  std::optional<std::string_view> reason_string{}, server_reference{};
  UserProperties user_properties{};
  bool operator==(const Disconnect&) const = default;
};

struct Auth {
  ReasonCode reason{};
  std::optional<std::string_view> authentication_method{}, authentication_data{}, reason_string{};
  UserProperties user_properties{};
  bool operator==(const Auth&) const = default;
};

using Packet = std::variant<Connect, Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Subscribe, Suback,
                            Unsubscribe, Unsuback, Pingreq, Pingresp, Disconnect, Auth>;

}  // namespace courier::mqtt
