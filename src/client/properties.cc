#include "client/properties.h"

#include "client/errc.h"
#include "mqtt/topic.h"

namespace courier::client {
namespace {

// Section 2.2.2.2 of 5.0.
enum PropertyIdentifier : uint8_t {
  kPayloadFormat = 0x01,
  kContentType = 0x03,
  kResponseTopic = 0x08,
  kCorrelationData = 0x09,
  kUserProperty = 0x26,
};

void put_string(std::string& out, std::string_view text) {
  out.push_back(static_cast<char>(text.size() >> 8));
  out.push_back(static_cast<char>(text.size() & 0xFF));
  out.append(text);
}

// Takes a string off the front; empty when the bytes end early, which the decoder has ruled out.
std::string take_string(std::string_view& bytes) {
  if (bytes.size() < 2) {
    bytes = {};
    return {};
  }
  const size_t size = static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]);
  std::string text(bytes.substr(2, size));
  bytes.remove_prefix(std::min(bytes.size(), 2 + size));
  return text;
}

Result<void> check_text(const std::string& text, const char* what) {
  if (text.size() > kStringBytesMax) {
    return fail(errc::invalid_argument, std::string(what) + " is longer than 65,535 bytes");
  }
  if (!mqtt::is_utf8(text)) return fail(errc::invalid_argument, std::string(what) + " is not UTF-8");
  return {};
}

}  // namespace

mqtt::UserProperties views_of(const UserPropertyList& list) {
  mqtt::UserProperties views;
  views.reserve(list.size());
  for (const auto& [name, value] : list) views.push_back({name, value});
  return views;
}

Result<void> check(const MessageProperties& properties) {
  if (properties.content_type) {
    if (auto ok = check_text(*properties.content_type, "content type"); !ok) return ok;
  }
  if (properties.response_topic) {
    if (auto ok = check_text(*properties.response_topic, "response topic"); !ok) return ok;
    if (!mqtt::is_topic_name(*properties.response_topic)) {
      return fail(errc::invalid_argument,
                  "response topic \"" + *properties.response_topic + "\" is empty or has a wildcard");
    }
  }
  if (properties.correlation_data && properties.correlation_data->size() > kStringBytesMax) {
    return fail(errc::invalid_argument, "correlation data is longer than 65,535 bytes");
  }
  for (const auto& [name, value] : properties.user_properties) {
    if (auto ok = check_text(name, "name of a user property"); !ok) return ok;
    if (auto ok = check_text(value, "value of a user property"); !ok) return ok;
  }
  return {};
}

std::string encode_forwarded(const MessageProperties& properties) {
  std::string out;
  if (properties.payload_is_utf8) {
    out.push_back(kPayloadFormat);
    out.push_back(1);
  }
  if (properties.content_type) {
    out.push_back(kContentType);
    put_string(out, *properties.content_type);
  }
  if (properties.response_topic) {
    out.push_back(kResponseTopic);
    put_string(out, *properties.response_topic);
  }
  if (properties.correlation_data) {
    out.push_back(kCorrelationData);
    put_string(out, *properties.correlation_data);
  }
  for (const auto& [name, value] : properties.user_properties) {
    out.push_back(kUserProperty);
    put_string(out, name);
    put_string(out, value);
  }
  return out;
}

MessageProperties properties_of(const mqtt::Publish& publish) {
  MessageProperties properties;
  properties.message_expiry_seconds = publish.message_expiry_seconds;
  std::string_view bytes = publish.forwarded_properties;
  while (!bytes.empty()) {
    const uint8_t identifier = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    if (identifier == kPayloadFormat && !bytes.empty()) {
      properties.payload_is_utf8 = bytes[0] == 1;
      bytes.remove_prefix(1);
    } else if (identifier == kContentType) {
      properties.content_type = take_string(bytes);
    } else if (identifier == kResponseTopic) {
      properties.response_topic = take_string(bytes);
    } else if (identifier == kCorrelationData) {
      properties.correlation_data = take_string(bytes);
    } else if (identifier == kUserProperty) {
      std::string name = take_string(bytes);
      properties.user_properties.emplace_back(std::move(name), take_string(bytes));
    } else {
      break;  // the decoder forwards no other
    }
  }
  return properties;
}

}  // namespace courier::client
