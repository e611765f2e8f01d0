// The properties of one 5.0 packet, owning their texts, for what decides about it elsewhere than on its
// thread. Which of them a packet may have is in mqtt/properties.h; an absent one is absent here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace courier::auth {

struct Properties {
  using UserProperty = std::pair<std::string, std::string>;

  std::optional<uint32_t> session_expiry_seconds, message_expiry_seconds, maximum_packet_size;
  std::optional<uint16_t> receive_maximum, topic_alias_maximum;
  std::optional<bool> request_response_information, request_problem_information;
  std::optional<uint8_t> payload_format;  // 0 bytes, 1 UTF-8
  std::optional<std::string> content_type, response_topic, correlation_data;
  std::optional<std::string> authentication_method, authentication_data;
  std::vector<uint32_t> subscription_identifiers;
  std::optional<std::vector<UserProperty>> user_properties;  // in the order of the wire

  bool operator==(const Properties&) const = default;
};

// From and to a block of forwarded properties (mqtt/properties.h). What such a block may not have is left
// out.
Properties of_forwarded(std::string_view block);
std::string forwarded_block(const Properties& properties);

}  // namespace courier::auth
