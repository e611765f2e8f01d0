// Properties of 5.0 as members of a JSON object, by the names that VerneMQ has for them:
//
//   p_session_expiry_interval, p_message_expiry_interval, p_receive_max, p_topic_alias_max,
//   p_max_packet_size                                       numbers
//   p_request_response_info, p_request_problem_info         true, false
//   p_payload_format_indicator                              "utf8", "undefined"
//   p_content_type, p_response_topic, p_authentication_method   texts
//   p_correlation_data                                      text, as it stands
//   p_authentication_data                                   base64
//   p_subscription_id                                       a list of numbers
//   p_user_property                                         [{"key": base64, "val": base64}]
//
// Correlation data need not be UTF-8. If it is not, it is p_correlation_data_base64: a name of our own, since
// without it nothing could be asked about such a packet. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "auth/properties.h"
#include "base/result.h"
#include "jose/json_object.h"
#include "mqtt/packet.h"

namespace courier::auth::webhook {

// Error: unsayable, its message the member's name.
Result<jose::Json> json_of(const Properties& properties);

// Of an answer, in which only those `allowed` may stand. Error: bad_modifier.
Result<Properties> read_properties(const jose::Json& json, std::span<const std::string_view> allowed);

std::string_view name_of(mqtt::RetainHandling handling);  // "send_retain"

}  // namespace courier::auth::webhook
