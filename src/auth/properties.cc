#include "auth/properties.h"

#include "mqtt/properties.h"

namespace courier::auth {

Properties of_forwarded(std::string_view block) {
  Properties out;
  const auto own = [](std::optional<std::string_view> text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
  };
  out.payload_format = mqtt::payload_format(block);
  out.content_type = own(mqtt::content_type(block));
  out.response_topic = own(mqtt::response_topic(block));
  out.correlation_data = own(mqtt::correlation_data(block));
  for (const mqtt::UserProperty& each : mqtt::user_properties(block)) {
    if (!out.user_properties) out.user_properties.emplace();
    out.user_properties->emplace_back(each.name, each.value);
  }
  return out;
}

std::string forwarded_block(const Properties& properties) {
  mqtt::ForwardedPropertiesBuilder builder;
  if (properties.payload_format) builder.payload_format(*properties.payload_format);
  if (properties.content_type) builder.content_type(*properties.content_type);
  if (properties.response_topic) builder.response_topic(*properties.response_topic);
  if (properties.correlation_data) builder.correlation_data(*properties.correlation_data);
  if (properties.user_properties) {
    for (const auto& [name, value] : *properties.user_properties) builder.user_property(name, value);
  }
  return builder.take();
}

}  // namespace courier::auth
