// Properties into the fields of packets and back; what they are and where they may stand is in properties.cc.
#include "mqtt/codec.h"

namespace courier::mqtt {
namespace {

// Exhaustive: a property without a place in PropertySet is one that the hosts read here cannot carry.
void store(PropertySet& set, const Property& property, ForwardedView* forwarded) {
  switch (property.id) {
    case PropertyId::payload_format_indicator:
    case PropertyId::content_type:
    case PropertyId::response_topic:
    case PropertyId::correlation_data:
      forwarded->add(property.bytes);
      break;
    case PropertyId::user_property:
      if (forwarded != nullptr) {
        forwarded->add(property.bytes);
      } else {
        set.user_properties.push_back({property.text, property.value});
      }
      break;
    case PropertyId::message_expiry_interval:
      set.message_expiry_interval = property.number;
      break;
    case PropertyId::subscription_identifier:
      set.subscription_identifier = property.number;
      break;
    case PropertyId::session_expiry_interval:
      set.session_expiry_interval = property.number;
      break;
    case PropertyId::assigned_client_identifier:
      set.assigned_client_identifier = property.text;
      break;
    case PropertyId::server_keep_alive:
      set.server_keep_alive = static_cast<uint16_t>(property.number);
      break;
    case PropertyId::authentication_method:
      set.authentication_method = property.text;
      break;
    case PropertyId::authentication_data:
      set.authentication_data = property.text;
      break;
    case PropertyId::request_problem_information:
      set.request_problem_information = property.number != 0;
      break;
    case PropertyId::will_delay_interval:
      set.will_delay_interval = property.number;
      break;
    case PropertyId::request_response_information:
      set.request_response_information = property.number != 0;
      break;
    case PropertyId::response_information:
      set.response_information = property.text;
      break;
    case PropertyId::server_reference:
      set.server_reference = property.text;
      break;
    case PropertyId::reason_string:
      set.reason_string = property.text;
      break;
    case PropertyId::receive_maximum:
      set.receive_maximum = static_cast<uint16_t>(property.number);
      break;
    case PropertyId::topic_alias_maximum:
      set.topic_alias_maximum = static_cast<uint16_t>(property.number);
      break;
    case PropertyId::topic_alias:
      break;  // PUBLISH reads its own
    case PropertyId::maximum_qos:
      set.maximum_qos = static_cast<Qos>(property.number);
      break;
    case PropertyId::retain_available:
      set.retain_available = property.number != 0;
      break;
    case PropertyId::maximum_packet_size:
      set.maximum_packet_size = property.number;
      break;
    case PropertyId::wildcard_subscription_available:
      set.wildcard_subscription_available = property.number != 0;
      break;
    case PropertyId::subscription_identifier_available:
      set.subscription_identifier_available = property.number != 0;
      break;
    case PropertyId::shared_subscription_available:
      set.shared_subscription_available = property.number != 0;
      break;
  }
}

}  // namespace

PropertySet read_properties(Reader& in, PropertyHost host) {
  PropertySet set;
  PropertyWalk walk(in, host);
  for (Property property; walk.next(property);) store(set, property, nullptr);
  return set;
}

PropertySet read_will_properties(Reader& in, ForwardedView& forwarded) {
  PropertySet set;
  PropertyWalk walk(in, PropertyHost::will);
  for (Property property; walk.next(property);) store(set, property, &forwarded);
  return set;
}

void read_diagnostics(Reader& in, PropertyHost host, std::optional<std::string_view>& reason_string,
                      UserProperties& user_properties) {
  PropertySet set = read_properties(in, host);
  reason_string = set.reason_string;
  user_properties = std::move(set.user_properties);
}

void ForwardedView::add(std::string_view property) {
  if (gathered_) {
    gathered_->append(property);
  } else if (together_.empty()) {
    together_ = property;
  } else if (together_.data() + together_.size() == property.data()) {
    together_ = {together_.data(), together_.size() + property.size()};
  } else {
    gathered_ = std::make_shared<std::string>(together_);
    gathered_->append(property);
  }
}

void ForwardedView::finish(std::string_view& block, GatheredProperties& gathered) {
  block = gathered_ ? std::string_view(*gathered_) : together_;
  gathered.bytes = std::move(gathered_);
}

void PropertyWriter::put(PropertyId id, std::optional<bool> value) {
  if (!value) return;
  identifier(id);
  out_.byte(*value ? 1 : 0);
}

void PropertyWriter::put(PropertyId id, std::optional<Qos> value) {
  if (!value) return;
  identifier(id);
  out_.byte(static_cast<uint8_t>(*value));
}

void PropertyWriter::put(PropertyId id, std::optional<uint16_t> value) {
  if (!value) return;
  identifier(id);
  out_.two_bytes(*value);
}

void PropertyWriter::put(PropertyId id, std::optional<uint32_t> value) {
  if (!value) return;
  identifier(id);
  out_.four_bytes(*value);
}

void PropertyWriter::put(PropertyId id, std::optional<std::string_view> value) {
  if (!value) return;
  identifier(id);
  out_.string(*value);
}

void PropertyWriter::put_variable_byte_integer(PropertyId id, std::optional<uint32_t> value) {
  if (!value) return;
  identifier(id);
  out_.variable_byte_integer(*value);
}

void PropertyWriter::put(const UserProperties& properties) {
  for (const UserProperty& property : properties) {
    identifier(PropertyId::user_property);
    out_.string(property.name);
    out_.string(property.value);
  }
}

void put_diagnostics(PropertyWriter& properties, const EncodeContext& context,
                     std::optional<std::string_view> reason_string, const UserProperties& user_properties) {
  if (context.with_reason_string) properties.put(PropertyId::reason_string, reason_string);
  if (context.with_user_properties) properties.put(user_properties);
}

}  // namespace courier::mqtt
