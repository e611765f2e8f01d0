#include "auth/webhook/properties_json.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "auth/webhook/errc.h"
#include "auth/webhook/json_value.h"
#include "auth/webhook/limits.h"
#include "base/utf8.h"
#include "jose/base64url.h"
#include "mqtt/properties.h"
#include "mqtt/topic.h"

namespace courier::auth::webhook {

using jose::Json;

namespace {

constexpr size_t kStringBytesMax = 65'535;  // of a string of MQTT

struct PropertyReader {
  Properties out;

  template <typename Number>
  Result<void> number(std::optional<Number>& into, const Json& value) {
    auto read = read_number(value, std::numeric_limits<Number>::max());
    if (!read) return fail(read.error());
    into = static_cast<Number>(*read);
    return {};
  }
  Result<void> text(std::optional<std::string>& into, const Json& value) {
    auto read = read_text(value);
    if (!read) return fail(read.error());
    if (read->size() > kStringBytesMax || !mqtt::is_utf8(*read))
      return fail(errc::bad_modifier, "it is not a string that MQTT can carry");
    into = std::move(*read);
    return {};
  }
  Result<void> bytes(std::optional<std::string>& into, const Json& value, bool base64) {
    auto read = base64 ? read_base64(value) : read_text(value);
    if (!read) return fail(read.error());
    if (read->size() > kStringBytesMax) return fail(errc::bad_modifier, "it is longer than 65,535 bytes");
    into = std::move(*read);
    return {};
  }
  Result<void> user_properties(const Json& value) {
    if (!value.is_array() || value.size() > kUserPropertiesMax) {
      return fail(errc::bad_modifier,
                  fmt::format("it is not a list of at most {} user properties", kUserPropertiesMax));
    }
    std::vector<Properties::UserProperty> list;
    for (const Json& each : value) {
      const Json* key = each.is_object() ? jose::member(each, "key") : nullptr;
      const Json* val = each.is_object() ? jose::member(each, "val") : nullptr;
      if (key == nullptr || val == nullptr || each.size() != 2)
        return fail(errc::bad_modifier, R"(it does not consist of {"key": …, "val": …})");
      auto name = read_base64(*key);
      auto text = read_base64(*val);
      if (!name) return fail(name.error());
      if (!text) return fail(text.error());
      for (const std::string* part : {&*name, &*text}) {
        if (part->size() > kStringBytesMax || !mqtt::is_utf8(*part))
          return fail(errc::bad_modifier, "it is not a string that MQTT can carry");
      }
      list.emplace_back(std::move(*name), std::move(*text));
    }
    out.user_properties = std::move(list);
    return {};
  }

  Result<void> read(const std::string& name, const Json& value) {
    if (name == "p_session_expiry_interval") return number(out.session_expiry_seconds, value);
    if (name == "p_message_expiry_interval") return number(out.message_expiry_seconds, value);
    if (name == "p_content_type") return text(out.content_type, value);
    if (name == "p_response_topic") {
      if (auto done = text(out.response_topic, value); !done) return done;
      if (!mqtt::is_topic_name(*out.response_topic))
        return fail(errc::bad_modifier, "it is not the name of a topic");
      return {};
    }
    if (name == "p_correlation_data") return bytes(out.correlation_data, value, false);
    if (name == "p_correlation_data_base64") return bytes(out.correlation_data, value, true);
    if (name == "p_authentication_method") return text(out.authentication_method, value);
    if (name == "p_authentication_data") return bytes(out.authentication_data, value, true);
    if (name == "p_user_property") return user_properties(value);
    if (name == "p_payload_format_indicator") {
      if (value != "utf8" && value != "undefined" && value != "unspecified")
        return fail(errc::bad_modifier, R"(it is neither "utf8" nor "undefined")");
      out.payload_format = value == "utf8" ? 1 : 0;
      return {};
    }
    return fail(errc::bad_modifier, "such a property does not exist");
  }
};

}  // namespace

std::string_view name_of(mqtt::RetainHandling handling) {
  switch (handling) {
    case mqtt::RetainHandling::send:
      return "send_retain";
    case mqtt::RetainHandling::send_if_new:
      return "send_if_new_sub";
    case mqtt::RetainHandling::do_not_send:
      return "dont_send";
  }
  return "send_retain";
}

Result<Json> json_of(const Properties& properties) {
  Json out = Json::object();
  std::string unsayable;
  const auto number = [&](const char* name, const auto& value) {
    if (value) out[name] = *value;
  };
  const auto text = [&](const char* name, const std::optional<std::string>& value) {
    if (!value) return;
    if (is_well_formed_utf8(*value)) {
      out[name] = *value;
    } else {
      unsayable = name;
    }
  };
  number("p_session_expiry_interval", properties.session_expiry_seconds);
  number("p_message_expiry_interval", properties.message_expiry_seconds);
  number("p_max_packet_size", properties.maximum_packet_size);
  number("p_receive_max", properties.receive_maximum);
  number("p_topic_alias_max", properties.topic_alias_maximum);
  number("p_request_response_info", properties.request_response_information);
  number("p_request_problem_info", properties.request_problem_information);
  if (properties.payload_format)
    out["p_payload_format_indicator"] = *properties.payload_format == 1 ? "utf8" : "undefined";
  text("p_content_type", properties.content_type);
  text("p_response_topic", properties.response_topic);
  text("p_authentication_method", properties.authentication_method);
  if (const auto& data = properties.correlation_data) {
    if (is_well_formed_utf8(*data)) {
      out["p_correlation_data"] = *data;
    } else {
      out["p_correlation_data_base64"] = jose::base64(*data);
    }
  }
  if (properties.authentication_data)
    out["p_authentication_data"] = jose::base64(*properties.authentication_data);
  if (!properties.subscription_identifiers.empty())
    out["p_subscription_id"] = properties.subscription_identifiers;
  if (properties.user_properties) {
    Json list = Json::array();
    for (const auto& [name, value] : *properties.user_properties)
      list.push_back({{"key", jose::base64(name)}, {"val", jose::base64(value)}});
    out["p_user_property"] = std::move(list);
  }
  if (!unsayable.empty()) return fail(errc::unsayable, unsayable);
  return out;
}

Result<Properties> read_properties(const Json& json, std::span<const std::string_view> allowed) {
  if (!json.is_object()) return fail(errc::bad_modifier, "\"properties\" is not an object");
  PropertyReader reader;
  for (const auto& [name, value] : json.items()) {
    const bool known = std::find(allowed.begin(), allowed.end(), name) != allowed.end();
    auto done = known ? reader.read(name, value)
                      : Result<void>(fail(errc::bad_modifier, "such a property may not stand here"));
    if (!done) return fail(done.error().within(fmt::format("\"{}\"", name.substr(0, 64))));
  }
  return std::move(reader.out);
}

}  // namespace courier::auth::webhook
