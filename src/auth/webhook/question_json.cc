#include "auth/webhook/question_json.h"

#include <utility>

#include <fmt/format.h>

#include "auth/webhook/errc.h"
#include "auth/webhook/properties_json.h"
#include "base/utf8.h"
#include "jose/base64url.h"
#include "jose/json_object.h"

namespace courier::auth::webhook {

using jose::Json;

Hook hook_of(const Question& question) {
  const bool m5 = client_of(question).m5;
  struct Of {
    bool m5;
    Hook operator()(const RegisterQuestion&) const {
      return m5 ? Hook::auth_on_register_m5 : Hook::auth_on_register;
    }
    Hook operator()(const PublishQuestion&) const {
      return m5 ? Hook::auth_on_publish_m5 : Hook::auth_on_publish;
    }
    Hook operator()(const SubscribeQuestion&) const {
      return m5 ? Hook::auth_on_subscribe_m5 : Hook::auth_on_subscribe;
    }
    Hook operator()(const UnsubscribeQuestion&) const {
      return m5 ? Hook::on_unsubscribe_m5 : Hook::on_unsubscribe;
    }
    Hook operator()(const DeliverQuestion&) const { return m5 ? Hook::on_deliver_m5 : Hook::on_deliver; }
    Hook operator()(const AuthQuestion&) const { return Hook::on_auth_m5; }
  };
  return std::visit(Of{m5}, question);
}

const HookClient& client_of(const Question& question) {
  return std::visit([](const auto& each) -> const HookClient& { return each.client; }, question);
}

namespace {

// Collects the members; the first text that JSON cannot hold is remembered.
struct Writer {
  Json json = Json::object();
  std::string unsayable;

  void text(const char* name, std::string_view value) {
    if (!is_well_formed_utf8(value)) {
      if (unsayable.empty()) unsayable = name;
      return;
    }
    json[name] = value;
  }
  void text_or_null(const char* name, const std::optional<std::string>& value) {
    if (value) return text(name, *value);
    json[name] = nullptr;
  }
  void client(const HookClient& client) {
    text("mountpoint", client.mountpoint);
    text("client_id", client.client_id);
    text_or_null("username", client.username);
  }
  void properties(const HookClient& client, const Properties& properties) {
    if (!client.m5) return;
    auto written = json_of(properties);
    if (!written) {
      if (unsayable.empty()) unsayable = written.error().message;
      return;
    }
    json["properties"] = std::move(*written);
  }
  void message(std::string_view topic, mqtt::Qos qos, bool retain) {
    text("topic", topic);
    json["qos"] = static_cast<int>(qos);
    json["retain"] = retain;
  }

  void operator()(const RegisterQuestion& question) {
    text("peer_addr", question.peer_address);
    text_or_null("password", question.password);
    json[question.client.m5 ? "clean_start" : "clean_session"] = question.clean_start;
  }
  void operator()(const PublishQuestion& question) { message(question.topic, question.qos, question.retain); }
  void operator()(const SubscribeQuestion& question) {
    Json topics = Json::array();
    for (const auto& [filter, options] : question.topics) {
      if (!is_well_formed_utf8(filter)) unsayable = "topics";
      if (!unsayable.empty()) return;
      Json topic = {{"topic", filter}, {"qos", static_cast<int>(options.qos)}};
      if (question.client.m5) {
        topic["no_local"] = options.no_local;
        topic["rap"] = options.retain_as_published;
        topic["retain_handling"] = name_of(options.retain_handling);
      }
      topics.push_back(std::move(topic));
    }
    json["topics"] = std::move(topics);
  }
  void operator()(const UnsubscribeQuestion& question) {
    Json topics = Json::array();
    for (const std::string& filter : question.filters) {
      if (!is_well_formed_utf8(filter)) unsayable = "topics";
      if (!unsayable.empty()) return;
      topics.push_back(filter);
    }
    json["topics"] = std::move(topics);
  }
  void operator()(const DeliverQuestion& question) { message(question.topic, question.qos, question.retain); }
  void operator()(const AuthQuestion&) {}
};

// The payload of a question, if its hook has one and it is to be sent.
const std::string* payload_of(const Question& question, const HookOptions& hook) {
  if (const auto* publish = std::get_if<PublishQuestion>(&question))
    return hook.no_payload ? nullptr : &publish->payload;
  if (const auto* deliver = std::get_if<DeliverQuestion>(&question)) return &deliver->payload;
  return nullptr;
}

}  // namespace

Result<Wording> Wording::of(const Question& question, const HookOptions& hook) {
  Writer writer;
  std::visit(writer, question);
  std::visit(
      [&](const auto& each) {
        writer.client(each.client);
        writer.properties(each.client, each.properties);
      },
      question);
  Wording wording;
  if (const std::string* payload = payload_of(question, hook)) {
    if (!hook.base64_payload && !is_well_formed_utf8(*payload)) writer.unsayable = "payload";
    wording.payload_ = *payload;
    wording.base64_payload_ = hook.base64_payload;
  }
  if (!writer.unsayable.empty()) {
    return fail(errc::unsayable, fmt::format("\"{}\" is not UTF-8, and a hook's question is JSON, which "
                                             "holds nothing else",
                                             writer.unsayable));
  }
  if (const auto* each = std::get_if<RegisterQuestion>(&question)) wording.peer_port_ = each->peer_port;
  wording.prefix_ = fmt::format("{} {}\n", name(hook.name), hook.endpoint);
  wording.lasting_ = writer.json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return wording;
}

std::string Wording::body() const {
  std::string body = "{";
  if (peer_port_) body += fmt::format("\"peer_port\":{},", *peer_port_);
  if (payload_) {
    body += "\"payload\":";
    body += base64_payload_ ? '"' + jose::base64(*payload_) + '"'
                            : Json(*payload_).dump(-1, ' ', false, Json::error_handler_t::replace);
    body += ',';
  }
  return body.append(lasting_, 1);  // never empty: there is always a client
}

jose::Digest Wording::lasting() const {
  return jose::sha256(prefix_ + lasting_);
}

jose::Digest Wording::whole() const {
  return jose::sha256(fmt::format("{}{}\n{}", prefix_, lasting_, payload_.value_or("")));
}

}  // namespace courier::auth::webhook
