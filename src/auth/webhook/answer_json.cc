#include "auth/webhook/answer_json.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "auth/jwt/acl_claims.h"
#include "auth/webhook/errc.h"
#include "auth/webhook/json_value.h"
#include "auth/webhook/limits.h"
#include "auth/webhook/properties_json.h"
#include "jose/errc.h"
#include "jose/json_object.h"
#include "jose/limits.h"
#include "mqtt/reason_codes.h"
#include "mqtt/topic.h"

namespace courier::auth::webhook {

using jose::Json;
using mqtt::ReasonCode;

namespace {

constexpr uint32_t kNumberMax = std::numeric_limits<uint32_t>::max();

Failure bad_modifier(std::string what) {
  return fail(errc::bad_modifier, std::move(what));
}

// Reads a value into an optional, converting as needed.
template <typename From, typename To>
Result<void> take(Result<From> read, std::optional<To>& into) {
  if (!read) return fail(read.error());
  into = static_cast<To>(std::move(*read));
  return {};
}
template <typename To>
Result<void> take_number(const Json& value, std::optional<To>& into) {
  return take(read_number(value, kNumberMax), into);
}

Result<std::string> topic_name_of(const Json& value) {
  auto topic = read_text(value);
  if (topic && (!mqtt::is_topic_name(*topic) || !mqtt::is_utf8(*topic)))
    return bad_modifier("it is not the name of a topic");
  return topic;
}

Result<std::string> filter_of(const Json& value) {
  auto filter = read_text(value);
  if (!filter) return filter;
  const auto shared = mqtt::parse_shared(*filter);
  const bool good = mqtt::is_shared(*filter) ? shared && mqtt::is_topic_filter(shared->filter)
                                             : mqtt::is_topic_filter(*filter);
  if (!good || !mqtt::is_utf8(*filter)) return bad_modifier("it is not a topic filter");
  return filter;
}

Result<std::string> read_payload(const Json& value, const HookOptions& hook) {
  return hook.base64_payload ? read_base64(value) : read_text(value);
}

// A reason code that CONNACK, SUBACK or AUTH may refuse with, by its name in "error".
ReasonCode reason_of(std::string_view error) {
  if (error == "invalid_credentials") return ReasonCode::bad_user_name_or_password;
  for (int code = 0x80; code <= 0xA2; ++code) {
    const auto reason = static_cast<ReasonCode>(code);
    if (mqtt::may_carry(mqtt::PacketType::connack, static_cast<uint8_t>(code), mqtt::Side::server) &&
        mqtt::name(reason) == error)
      return reason;
  }
  return ReasonCode::not_authorized;
}

// What becomes of the modifiers of one hook, one by one.
struct Modifiers {
  const HookOptions& hook;
  const bool m5;
  const WallMs now;

  // --- auth_on_register

  struct Register {
    RegisterChanges changes;
    std::optional<std::string> client_id, mountpoint;
    std::optional<bool> allow_register;
  };

  Result<void> one(Register& into, const std::string& name, const Json& value) const {
    SessionTerms& terms = into.changes.terms;
    if (name == "client_id") {
      if (auto done = take(read_text(value), into.client_id); !done) return done;
      if (into.client_id->empty() || into.client_id->size() > 65'535 || !mqtt::is_utf8(*into.client_id))
        return bad_modifier("it is not a client id");
      return {};
    }
    if (name == "mountpoint") return take(read_text(value), into.mountpoint);
    if (name == "username") {
      if (auto done = take(read_text(value), into.changes.username); !done) return done;
      return mqtt::is_utf8(*into.changes.username) ? Result<void>() : bad_modifier("it is not a user name");
    }
    if (name == "allow_register") return take(read_bool(value), into.allow_register);
    if (name == "allow_publish") return flag(value, terms.may_publish);
    if (name == "allow_subscribe") return flag(value, terms.may_subscribe);
    if (name == "allow_unsubscribe") return flag(value, terms.may_unsubscribe);
    if (name == "clean_session" || name == "clean_start") return take(read_bool(value), terms.clean_start);
    if (name == "max_message_size") return take_number(value, terms.message_bytes_max);
    if (name == "max_message_rate") return take_number(value, terms.messages_per_second_max);
    if (name == "max_inflight_messages") return take_number(value, terms.inflight_messages_max);
    if (name == "max_offline_messages") return take_number(value, terms.queued_messages_max);
    if (name == "max_connection_lifetime") return take_number(value, terms.connection_seconds_max);
    if (name == "session_expiry_interval") return take_number(value, terms.session_expiry_seconds);
    if (name == "expire_at") {
      auto seconds = read_number(value, jose::kNumericDateMax);
      if (!seconds) return fail(seconds.error());
      into.changes.expires_at = static_cast<WallMs>(*seconds) * 1000;
      if (*into.changes.expires_at <= now) return bad_modifier("that is in the past");
      return {};
    }
    if (name == "acl") {
      auto rules = jwt::rules_of(value);
      if (!rules) return bad_modifier(rules.error().message);
      into.changes.grants = std::move(*rules);
      terms.rules_decide = true;
      return {};
    }
    if (name == "properties" && m5) {
      constexpr std::string_view kKnown[] = {"p_user_property", "p_session_expiry_interval"};
      auto read = read_properties(value, kKnown);
      if (!read) return fail(read.error());
      if (read->session_expiry_seconds) terms.session_expiry_seconds = read->session_expiry_seconds;
      into.changes.user_properties = std::move(read->user_properties);
      return {};
    }
    return passed_over(name, value);
  }

  // What VerneMQ knows and Courier has no use for: must be of its type, and changes nothing.
  static Result<void> passed_over(const std::string& name, const Json& value) {
    constexpr std::string_view kNumbers[] = {"retry_interval", "max_online_messages", "max_drain_time",
                                             "max_msgs_per_drain_step"};
    constexpr std::string_view kTexts[] = {"shared_subscription_policy", "queue_type", "regview"};
    const auto among = [&](const auto& names) {
      return std::find(std::begin(names), std::end(names), name) != std::end(names);
    };
    std::optional<uint32_t> number;
    std::optional<std::string> text;
    std::optional<bool> yes;
    if (among(kNumbers)) return take_number(value, number);
    if (among(kTexts)) return take(read_text(value), text);
    if (name == "upgrade_qos") return take(read_bool(value), yes);
    return bad_modifier("such a modifier does not exist");
  }

  Result<void> flag(const Json& value, bool& into) const {
    auto read = read_bool(value);
    if (!read) return fail(read.error());
    into = *read;
    return {};
  }

  static Result<Reply> settle(Register from) {
    if (from.client_id.has_value() != from.mountpoint.has_value())
      return bad_modifier("\"client_id\" and \"mountpoint\" only count together");
    if (from.allow_register == false) {
      return Reply{HookOutcome::refused, ReasonCode::not_authorized, "allow_register is false", {}};
    }
    if (from.client_id) from.changes.place = {std::move(*from.client_id), std::move(*from.mountpoint)};
    return Reply{HookOutcome::ok, {}, {}, std::move(from.changes)};
  }

  // --- auth_on_publish, on_deliver

  // The last one is for auth_on_publish only.
  static constexpr std::string_view kMessageProperties[] = {
      "p_user_property",          "p_content_type",     "p_payload_format_indicator",
      "p_response_topic",         "p_correlation_data", "p_correlation_data_base64",
      "p_message_expiry_interval"};

  Result<void> one(PublishChanges& into, const std::string& name, const Json& value) const {
    if (name == "topic") return take(topic_name_of(value), into.topic);
    if (name == "payload") return take(read_payload(value, hook), into.payload);
    if (name == "mountpoint") return take(read_text(value), into.mountpoint);
    if (name == "qos") return take(read_number(value, 2), into.qos);
    if (name == "retain") return take(read_bool(value), into.retain);
    if (name == "throttle") return take_number(value, into.throttle_ms);
    if (name == "properties" && m5) {
      return take(read_properties(value, kMessageProperties), into.properties);
    }
    return bad_modifier("such a modifier does not exist");
  }

  Result<void> one(DeliverChanges& into, const std::string& name, const Json& value) const {
    if (name == "topic") return take(topic_name_of(value), into.topic);
    if (name == "payload") return take(read_payload(value, hook), into.payload);
    if (name == "properties" && m5)
      return take(read_properties(value, std::span(kMessageProperties).first(6)), into.properties);
    return bad_modifier("such a modifier does not exist");
  }

  // --- on_auth_m5

  struct Auth {
    AuthChanges changes;
    uint64_t reason = 0;
  };

  Result<void> one(Auth& into, const std::string& name, const Json& value) const {
    if (name == "reason_code") {
      auto code = read_number(value, 0xFF);
      if (!code) return fail(code.error());
      const auto byte = static_cast<uint8_t>(*code);
      const bool good =
          byte == 0 || byte == static_cast<uint8_t>(ReasonCode::continue_authentication) ||
          (byte >= 0x80 && mqtt::may_carry(mqtt::PacketType::connack, byte, mqtt::Side::server));
      if (!good) return bad_modifier("it is neither 0, nor 24, nor a code that CONNACK may have");
      into.reason = byte;
      return {};
    }
    if (name == "properties") {
      constexpr std::string_view kKnown[] = {"p_authentication_method", "p_authentication_data"};
      auto read = read_properties(value, kKnown);
      if (!read) return fail(read.error());
      into.changes.authentication_method = std::move(read->authentication_method);
      into.changes.authentication_data = std::move(read->authentication_data);
      return {};
    }
    return bad_modifier("such a modifier does not exist");
  }

  static Result<Reply> settle(Auth from) {
    if (from.reason >= 0x80)
      return Reply{HookOutcome::refused, static_cast<ReasonCode>(from.reason), "a reason code", {}};
    from.changes.go_on = from.reason != 0;
    return Reply{HookOutcome::ok, {}, {}, std::move(from.changes)};
  }

  template <typename Changes>
  static Result<Reply> settle(Changes from) {
    return Reply{HookOutcome::ok, {}, {}, std::move(from)};
  }

  // All modifiers of one answer, into `Into`.
  template <typename Into>
  Result<Reply> all(const Json* modifiers) const {
    Into into{};
    if (modifiers != nullptr) {
      if (modifiers->is_array() && modifiers->empty()) return settle(std::move(into));  // as some write {}
      if (!modifiers->is_object()) return bad_modifier("\"modifiers\" is not an object");
      for (const auto& [name, value] : modifiers->items()) {
        if (auto done = one(into, name, value); !done)
          return fail(done.error().within(fmt::format("\"{}\"", name.substr(0, 64))));
      }
    }
    return settle(std::move(into));
  }
};

// The list of topics in an answer: beside "result" in 3.x, under "modifiers" in 5.0. Null: none.
Result<const Json*> topics_of(const Json& answer, bool m5) {
  const Json* topics = nullptr;
  if (!m5) {
    topics = jose::member(answer, "topics");
    // VerneMQ takes an empty list for none.
    if (topics != nullptr && topics->is_array() && topics->empty()) topics = nullptr;
  } else if (const Json* modifiers = jose::member(answer, "modifiers")) {
    if (modifiers->is_array() && modifiers->empty()) return topics;
    if (!modifiers->is_object()) return bad_modifier("\"modifiers\" is not an object");
    for (const auto& [name, value] : modifiers->items()) {
      if (name != "topics")
        return bad_modifier(fmt::format("\"{}\": such a modifier does not exist", name.substr(0, 64)));
    }
    topics = jose::member(*modifiers, "topics");
  }
  if (topics != nullptr && !topics->is_array()) return bad_modifier("\"topics\" is not a list");
  if (topics != nullptr && topics->size() > kTopicsMax)
    return bad_modifier(fmt::format("\"topics\" has more than {} elements", kTopicsMax));
  return topics;
}

Result<SubscribeChanges::Topic> subscribed_topic(const Json& value, bool m5) {
  const Json* name = value.is_object() ? jose::member(value, "topic") : nullptr;
  const Json* qos = value.is_object() ? jose::member(value, "qos") : nullptr;
  if (name == nullptr || qos == nullptr) return bad_modifier(R"(it is not {"topic": …, "qos": …})");
  SubscribeChanges::Topic topic;
  auto filter = filter_of(*name);
  if (!filter) return fail(filter.error().within("\"topic\""));
  topic.filter = std::move(*filter);
  auto code = read_number(*qos, 0xFF);
  if (!code) return fail(code.error().within("\"qos\""));
  const auto byte = static_cast<uint8_t>(*code);
  if (byte <= 2) {
    topic.options.qos = static_cast<mqtt::Qos>(byte);
  } else if (m5 ? mqtt::may_carry(mqtt::PacketType::suback, byte, mqtt::Side::server) : byte == 0x80) {
    topic.refused = static_cast<ReasonCode>(byte);
  } else {
    return bad_modifier(m5 ? "\"qos\": it is neither a QoS nor a reason code that SUBACK may have"
                           : "\"qos\": it is neither a QoS nor 128");
  }
  for (const auto& [member, option] : value.items()) {
    if (member == "topic" || member == "qos") continue;
    if (member == "no_local" && m5) {
      auto read = read_bool(option);
      if (!read) return fail(read.error().within("\"no_local\""));
      topic.options.no_local = *read;
    } else if (member == "rap" && m5) {
      auto read = read_bool(option);
      if (!read) return fail(read.error().within("\"rap\""));
      topic.options.retain_as_published = *read;
    } else if (member == "retain_handling" && m5) {
      bool found = false;
      for (const auto handling : {mqtt::RetainHandling::send, mqtt::RetainHandling::send_if_new,
                                  mqtt::RetainHandling::do_not_send}) {
        if (option != name_of(handling)) continue;
        topic.options.retain_handling = handling;
        found = true;
      }
      if (!found) return bad_modifier("\"retain_handling\": such a way does not exist");
    } else {
      return bad_modifier(fmt::format("\"{}\": a topic has no such member", member.substr(0, 64)));
    }
  }
  if (topic.options.no_local && mqtt::is_shared(topic.filter))
    return bad_modifier("\"no_local\": a shared subscription cannot have it");
  return topic;
}

Result<Reply> subscribe_reply(const Json& answer, const SubscribeQuestion& question) {
  auto topics = topics_of(answer, question.client.m5);
  if (!topics) return fail(topics.error());
  SubscribeChanges changes;
  if (*topics == nullptr) return Reply{HookOutcome::ok, {}, {}, std::move(changes)};
  std::vector<SubscribeChanges::Topic> given;
  for (const Json& each : **topics) {
    auto topic = subscribed_topic(each, question.client.m5);
    if (!topic) return fail(topic.error().within(fmt::format("topic {}", given.size() + 1)));
    given.push_back(std::move(*topic));
  }
  if (given.size() != question.topics.size()) {
    // SUBACK has one code for each that was asked for [MQTT-3.8.4-6]. Without one for each the answer can
    // only mean those that it names; what it does not name it does not grant.
    std::vector<SubscribeChanges::Topic> matched;
    size_t used = 0;
    for (const auto& [filter, options] : question.topics) {
      const auto found = std::find_if(given.begin(), given.end(), [&, &filter = filter](const auto& each) {
        return each.filter == filter;
      });
      if (found != given.end()) {
        matched.push_back(*found);
        ++used;
      } else {
        matched.push_back({filter, options, ReasonCode::not_authorized});
      }
    }
    if (used != given.size())
      return bad_modifier("\"topics\" neither answers each topic that was asked about, nor names only those");
    given = std::move(matched);
  }
  changes.topics = std::move(given);
  return Reply{HookOutcome::ok, {}, {}, std::move(changes)};
}

Result<Reply> unsubscribe_reply(const Json& answer, const UnsubscribeQuestion& question) {
  auto topics = topics_of(answer, question.client.m5);
  if (!topics) return fail(topics.error());
  UnsubscribeChanges changes;
  if (*topics == nullptr) return Reply{HookOutcome::ok, {}, {}, std::move(changes)};
  changes.filters.emplace();
  for (const Json& each : **topics) {
    auto filter = filter_of(each);
    if (!filter) return fail(filter.error().within(fmt::format("topic {}", changes.filters->size() + 1)));
    changes.filters->push_back(std::move(*filter));
  }
  if (changes.filters->size() != question.filters.size())
    return bad_modifier("\"topics\" does not have one topic for each that was asked about");
  return Reply{HookOutcome::ok, {}, {}, std::move(changes)};
}

Result<Reply> ok_reply(const Json& answer, const Question& question, const HookOptions& hook, WallMs now) {
  const Json* modifiers = jose::member(answer, "modifiers");
  const Modifiers read{hook, client_of(question).m5, now};
  if (const auto* subscribe = std::get_if<SubscribeQuestion>(&question))
    return subscribe_reply(answer, *subscribe);
  if (const auto* unsubscribe = std::get_if<UnsubscribeQuestion>(&question))
    return unsubscribe_reply(answer, *unsubscribe);
  if (std::holds_alternative<RegisterQuestion>(question)) return read.all<Modifiers::Register>(modifiers);
  if (std::holds_alternative<PublishQuestion>(question)) return read.all<PublishChanges>(modifiers);
  if (std::holds_alternative<DeliverQuestion>(question)) return read.all<DeliverChanges>(modifiers);
  return read.all<Modifiers::Auth>(modifiers);
}

}  // namespace

Result<Reply> read_reply(std::string_view body, const Question& question, const HookOptions& hook,
                         WallMs now) {
  auto answer = jose::parse_object(body);
  if (!answer) return fail(errc::not_json, answer.error().message);
  const Json* result = jose::member(*answer, "result");
  if (result == nullptr) return fail(errc::not_json, "it has no \"result\"");
  if (*result == "ok") return ok_reply(*answer, question, hook, now);
  if (*result == "next") return Reply{};
  if (!result->is_object())
    return fail(errc::not_json, R"(its "result" is neither "ok", nor "next", nor {"error": …})");
  const Json* error = jose::member(*result, "error");
  Reply reply{HookOutcome::refused, ReasonCode::not_authorized, "unknown_error", {}};
  if (error != nullptr && error->is_string() && *error != "") {
    reply.why = error->get_ref<const std::string&>().substr(0, kErrorBytesMax);
    reply.reason = reason_of(reply.why);
  }
  return reply;
}

bool fits_other_payloads(const Reply& reply) {
  const auto* publish = std::get_if<PublishChanges>(&reply.changes);
  return publish == nullptr || !publish->payload;
}

}  // namespace courier::auth::webhook
