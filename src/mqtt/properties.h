// Properties of 5.0 (section 2.2.2): one table of what each is and where it may stand, the reader that holds
// every packet to it, and access to the forwarded ones.
//
// Forwarded properties travel from publisher to subscriber as they are. A *block* of them is their bytes on
// the wire without the length in front: Message::properties, Publish::forwarded_properties. Blocks that come
// from the decoder or from ForwardedPropertiesBuilder are well formed; the functions here also stand any
// other bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mqtt/packet.h"
#include "mqtt/protocol.h"

namespace courier::mqtt {

class Reader;

// Table 2-4.
enum class PropertyId : uint8_t {
  payload_format_indicator = 0x01,
  message_expiry_interval = 0x02,
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  subscription_identifier = 0x0B,
  session_expiry_interval = 0x11,
  assigned_client_identifier = 0x12,
  server_keep_alive = 0x13,
  authentication_method = 0x15,
  authentication_data = 0x16,
  request_problem_information = 0x17,
  will_delay_interval = 0x18,
  request_response_information = 0x19,
  response_information = 0x1A,
  server_reference = 0x1C,
  reason_string = 0x1F,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  retain_available = 0x25,
  user_property = 0x26,
  maximum_packet_size = 0x27,
  wildcard_subscription_available = 0x28,
  subscription_identifier_available = 0x29,
  shared_subscription_available = 0x2A,
};
std::string_view name(PropertyId id);  // "topic_alias"
bool is_forwarded(PropertyId id);

// Where a block of properties stands: in a packet, by PacketType's numbers, or with the will in a CONNECT.
enum class PropertyHost : uint8_t {
  will = 0,
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  subscribe = 8,
  suback = 9,
  unsubscribe = 10,
  unsuback = 11,
  disconnect = 14,
  auth = 15,
};

// One property, borrowed from the input.
struct Property {
  PropertyId id{};
  uint32_t number = 0;     // when it is one
  std::string_view text;   // string, binary data, name of a user property
  std::string_view value;  // value of a user property
  std::string_view bytes;  // all of it, identifier included
};

// Walks the properties of one packet and refuses what may not stand there: unknown or foreign properties,
// repeated ones, values out of range. The Reader given is left behind the block; it takes the failure.
class PropertyWalk {
 public:
  PropertyWalk(Reader& in, PropertyHost host);
  // False at the end and after a failure.
  bool next(Property& property);

 private:
  Reader& in_;
  PropertyHost host_;
  std::string_view left_;
  uint64_t seen_ = 0;  // a bit per identifier; the largest is 0x2A
};

// The value of a string or binary property in a block of forwarded ones.
std::optional<std::string_view> forwarded_property(std::string_view block, PropertyId id);
inline std::optional<std::string_view> content_type(std::string_view block) {
  return forwarded_property(block, PropertyId::content_type);
}
inline std::optional<std::string_view> response_topic(std::string_view block) {
  return forwarded_property(block, PropertyId::response_topic);
}
inline std::optional<std::string_view> correlation_data(std::string_view block) {
  return forwarded_property(block, PropertyId::correlation_data);
}
// Payload Format Indicator; nullopt when absent.
std::optional<uint8_t> payload_format(std::string_view block);
UserProperties user_properties(std::string_view block);

// False when the block says that the payload is UTF-8 and it is not: to be answered with
// payload_format_invalid. Section 3.3.2.3.2.
bool payload_format_valid(std::string_view block, std::string_view payload);

// Whether these bytes are a block that a PUBLISH may carry.
bool is_forwarded_block(std::string_view bytes);

// Builds a block. Setting the same one twice, or a string longer than 65,535 bytes, is a bug of the caller.
class ForwardedPropertiesBuilder {
 public:
  ForwardedPropertiesBuilder& payload_format(uint8_t indicator);  // 0 bytes, 1 UTF-8
  ForwardedPropertiesBuilder& content_type(std::string_view text);
  ForwardedPropertiesBuilder& response_topic(std::string_view topic);
  ForwardedPropertiesBuilder& correlation_data(std::string_view bytes);
  ForwardedPropertiesBuilder& user_property(std::string_view name, std::string_view value);
  std::string take() { return std::move(block_); }

 private:
  void begin(PropertyId id);

  std::string block_;
  uint64_t set_ = 0;
};

}  // namespace courier::mqtt
