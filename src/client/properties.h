// The properties of an application message, between the application's values and the bytes that travel
// unaltered through a broker (mqtt::Publish::forwarded_properties).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "client/options.h"
#include "mqtt/packet.h"

namespace courier::client {

// Strings fit their length field and are UTF-8; the response topic has no wildcard. [MQTT-3.3.2-14]
Result<void> check(const MessageProperties& properties);

// As the encoder takes them. Shares the list's memory.
mqtt::UserProperties views_of(const UserPropertyList& list);

// Payload Format Indicator, Content Type, Response Topic, Correlation Data and User Property, without a
// length in front. The message expiry is not among them. The caller has checked them.
std::string encode_forwarded(const MessageProperties& properties);

// All properties of a received message. `publish` is what a handler was given.
MessageProperties properties_of(const mqtt::Publish& publish);

}  // namespace courier::client
