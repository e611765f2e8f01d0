#include "events/webhook/wording.h"

#include <xxhash.h>

#include <array>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "auth/properties.h"
#include "auth/webhook/properties_json.h"
#include "base/log.h"
#include "base/varint.h"
#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"
#include "events/webhook/spans.h"
#include "jose/base64url.h"
#include "jose/json_object.h"
#include "net/socket_address.h"

namespace courier::events::webhook {
namespace {

using jose::Json;

struct Hook {
  std::string_view name, m5;
};

Hook hook_for(Kind kind) {
  switch (kind) {
    case Kind::connect:
      return {"on_register", "on_register_m5"};
    case Kind::connect_failed:
      return {"on_register_failed", "on_register_failed"};
    case Kind::subscribe:
      return {"on_subscribe", "on_subscribe_m5"};
    case Kind::publish:
      return {"on_publish", "on_publish_m5"};
    case Kind::delivery_complete:
      return {"on_delivery_complete", "on_delivery_complete"};
    case Kind::drop:
      return {"on_message_drop", "on_message_drop"};
    case Kind::offline_message:
      return {"on_offline_message", "on_offline_message"};
    case Kind::client_wakeup:
      return {"on_client_wakeup", "on_client_wakeup"};
    case Kind::client_offline:
      return {"on_client_offline", "on_client_offline"};
    case Kind::client_gone:
      return {"on_client_gone", "on_client_gone"};
    case Kind::session_expired:
      return {"on_session_expired", "on_session_expired"};
    case Kind::disconnect:
    case Kind::unsubscribe:
    case Kind::deliver:
      return {};
  }
  return {};
}

// The fields of an event, taken apart once.
struct Fields {
  std::array<std::string_view, kFieldCount + 1> texts;
  std::array<std::optional<uint64_t>, kFieldCount + 1> numbers;
  std::vector<std::string_view> filters;
  std::vector<std::pair<std::string, std::string>> user_properties;

  explicit Fields(std::string_view bytes) {
    FieldReader reader(bytes);
    while (const auto field = reader.next()) {
      if (field->number == 0 || field->number > kFieldCount) continue;
      if (!field->is_text) {
        numbers[field->number] = field->value;
        continue;
      }
      const auto which = static_cast<Field>(field->number);
      if (which == Field::filters) filters.push_back(field->text);
      if (which == Field::user_properties) user_properties.push_back(pair_of(field->text));
      texts[field->number] = field->text;
    }
  }
  std::string_view text(Field field) const { return texts[static_cast<size_t>(field)]; }
  std::optional<uint64_t> number(Field field) const { return numbers[static_cast<size_t>(field)]; }
  bool m5() const { return text(Field::protocol) == "5.0"; }

 private:
  static std::pair<std::string, std::string> pair_of(std::string_view bytes) {
    std::pair<std::string, std::string> pair;
    FieldReader reader(bytes);
    while (const auto field = reader.next()) {
      if (field->number == 1) pair.first = field->text;
      if (field->number == 2) pair.second = field->text;
    }
    return pair;
  }
};

void add_message(Json& json, const Fields& fields) {
  json["qos"] = fields.number(Field::qos).value_or(0);
  json["topic"] = fields.text(Field::topic);
  json["payload"] = jose::base64(fields.text(Field::payload));
  json["retain"] = fields.number(Field::retain).value_or(0) != 0;
  // VerneMQ has none: without it nobody knows which message was delivered.
  if (const auto id = fields.number(Field::message_id)) json["message_id"] = std::to_string(*id);
}

void add_properties(Json& json, const Fields& fields) {
  auth::Properties properties;
  const auto set = [&](std::optional<std::string>& into, Field field) {
    if (!fields.text(field).empty()) into = fields.text(field);
  };
  set(properties.content_type, Field::content_type);
  set(properties.response_topic, Field::response_topic);
  set(properties.correlation_data, Field::correlation_data);
  if (!fields.user_properties.empty()) properties.user_properties = fields.user_properties;
  if (const auto expiry = fields.number(Field::expiry_seconds))
    properties.session_expiry_seconds = static_cast<uint32_t>(*expiry);
  auto written = auth::webhook::json_of(properties);
  json["properties"] = written ? std::move(*written) : Json::object();
}

void add_topics(Json& json, const Fields& fields) {
  std::string_view granted = fields.text(Field::granted_qos);
  Json topics = Json::array();
  for (const std::string_view filter : fields.filters) {
    topics.push_back({{"topic", filter}, {"qos", take_varint(granted).value_or(0)}});
  }
  json["topics"] = std::move(topics);
}

void add_peer(Json& json, const Fields& fields) {
  const auto peer = net::SocketAddress::parse(fields.text(Field::peer));
  json["peer_addr"] = peer ? peer->host() : std::string(fields.text(Field::peer));
  json["peer_port"] = peer ? peer->port() : 0;
}

std::string vernemq_body(Kind kind, const Fields& fields) {
  Json json = {{"mountpoint", fields.text(Field::mountpoint)}, {"client_id", fields.text(Field::client_id)}};
  const auto add_username = [&] {
    const std::string_view username = fields.text(Field::username);
    json["username"] = username.empty() ? Json(nullptr) : Json(username);
  };
  switch (kind) {
    case Kind::connect:
      add_username();
      add_peer(json, fields);
      json[fields.m5() ? "clean_start" : "clean_session"] =
          fields.number(Field::clean_start).value_or(0) != 0;
      if (fields.m5()) add_properties(json, fields);
      break;
    case Kind::connect_failed:
      add_username();
      add_peer(json, fields);
      json["reason"] = fields.text(Field::reason);
      break;
    case Kind::subscribe:
      add_username();
      add_topics(json, fields);
      if (fields.m5()) add_properties(json, fields);
      break;
    case Kind::publish:
      add_username();
      add_message(json, fields);
      if (fields.m5()) add_properties(json, fields);
      break;
    case Kind::delivery_complete:
    case Kind::offline_message:
    case Kind::drop:
      add_username();
      add_message(json, fields);
      if (kind == Kind::drop) json["reason"] = fields.text(Field::reason);
      break;
    case Kind::client_wakeup:
    case Kind::client_offline:
    case Kind::client_gone:
    case Kind::session_expired:
    case Kind::disconnect:
    case Kind::unsubscribe:
    case Kind::deliver:
      break;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string time_of(const Fields& fields) {
  return log::iso8601(static_cast<WallMs>(fields.number(Field::time_ns).value_or(0) / kNsPerMs));
}

void append_structured(std::string& out, std::string_view source, const Event& event) {
  const Fields fields(event.bytes);
  const auto member = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
    append_json_text(out, value);
  };
  out += R"({"specversion":"1.0")";
  member("id", fields.text(Field::id));
  member("source", source);
  member("type", type_of(event.kind));
  member("time", time_of(fields));
  member("subject", fields.text(Field::client_id));
  member("traceparent", fields.text(Field::traceparent));
  out += R"(,"datacontenttype":"application/json","data":)";
  append_json(out, event.bytes);
  out += '}';
}

// HTTP binding, section 3.1.3.2.
std::string header_value(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (c > ' ' && c <= '~' && c != '"' && c != '%') {
      value += c;
    } else {
      fmt::format_to(std::back_inserter(value), "%{:02X}", static_cast<uint8_t>(c));
    }
  }
  return value;
}

}  // namespace

std::string_view hook_of(Kind kind, bool m5) {
  const Hook hook = hook_for(kind);
  return m5 ? hook.m5 : hook.name;
}

bool takes_many(Profile profile, Mode mode) {
  return profile == Profile::otlp || (profile == Profile::cloudevents && mode == Mode::batch);
}

Worded word(Profile profile, Mode mode, std::string_view source, std::span<const EventPtr> events) {
  Worded worded;
  const auto content_type = [&](const char* type) { worded.headers.emplace_back("Content-Type", type); };
  const Event& first = *events.front();
  if (profile == Profile::vernemq) {
    const Fields fields(first.bytes);
    content_type("application/json");
    worded.headers.emplace_back("vernemq-hook", hook_of(first.kind, fields.m5()));
    worded.body = vernemq_body(first.kind, fields);
    return worded;
  }
  if (profile == Profile::otlp) {
    content_type("application/json");
    worded.body = spans_json(events);
    return worded;
  }
  switch (mode) {
    case Mode::structured:
      content_type("application/cloudevents+json");
      append_structured(worded.body, source, first);
      break;
    case Mode::binary: {
      const Fields fields(first.bytes);
      const auto add = [&](const char* name, std::string_view value) {
        if (!value.empty()) worded.headers.emplace_back(name, header_value(value));
      };
      content_type("application/json");
      add("ce-specversion", "1.0");
      add("ce-id", fields.text(Field::id));
      add("ce-source", source);
      add("ce-type", type_of(first.kind));
      add("ce-time", time_of(fields));
      add("ce-subject", fields.text(Field::client_id));
      append_json(worded.body, first.bytes);
      break;
    }
    case Mode::batch:
      content_type("application/cloudevents-batch+json");
      for (const EventPtr& event : events) {
        worded.body += worded.body.empty() ? '[' : ',';
        append_structured(worded.body, source, *event);
      }
      worded.body += ']';
      break;
  }
  // Of many events each has its own in its place.
  const std::string_view traceparent = text_of(first.bytes, Field::traceparent);
  if (events.size() == 1 && !traceparent.empty())
    worded.headers.emplace_back("traceparent", header_value(traceparent));
  return worded;
}

std::string id_of(std::span<const EventPtr> events) {
  if (events.size() == 1) return std::string(text_of(events.front()->bytes, Field::id));
  std::string ids;
  for (const EventPtr& event : events) ids.append(text_of(event->bytes, Field::id)).push_back('\n');
  const XXH128_hash_t hash = ::XXH3_128bits(ids.data(), ids.size());
  return fmt::format("batch-{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace courier::events::webhook
