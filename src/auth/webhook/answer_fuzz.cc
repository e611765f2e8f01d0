// A hook (the first byte), and what its endpoint answers: no crash, an error is a sentence, and whatever is
// taken from an answer is something that MQTT can carry.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/webhook/answer_json.h"
#include "auth/webhook/limits.h"
#include "auth/webhook/properties_json.h"
#include "base/check.h"
#include "mqtt/properties.h"
#include "mqtt/topic.h"

namespace {

using namespace courier;
using namespace courier::auth;
using namespace courier::auth::webhook;

constexpr WallMs kNow = 1'700'000'000'000;

Question question_of(Hook hook) {
  const HookClient client{"m", "c", "u", is_m5(hook)};
  switch (hook) {
    case Hook::auth_on_register:
    case Hook::auth_on_register_m5:
      return RegisterQuestion{.client = client};
    case Hook::auth_on_publish:
    case Hook::auth_on_publish_m5:
      return PublishQuestion{.client = client, .topic = "t"};
    case Hook::auth_on_subscribe:
    case Hook::auth_on_subscribe_m5:
      return SubscribeQuestion{.client = client, .topics = {{"a/b", {}}, {"c/+", {}}}};
    case Hook::on_unsubscribe:
    case Hook::on_unsubscribe_m5:
      return UnsubscribeQuestion{.client = client, .filters = {"a/b", "c/+"}};
    case Hook::on_deliver:
    case Hook::on_deliver_m5:
      return DeliverQuestion{.client = client, .topic = "t"};
    case Hook::on_auth_m5:
      return AuthQuestion{.client = client};
  }
  return AuthQuestion{.client = client};
}

void check_filter(std::string_view filter) {
  const auto shared = mqtt::parse_shared(filter);
  CHECK(mqtt::is_utf8(filter) && (shared ? mqtt::is_topic_filter(shared->filter)
                                         : mqtt::is_topic_filter(filter) && !mqtt::is_shared(filter)));
}

void check_message(const std::optional<std::string>& topic, const std::optional<Properties>& properties) {
  if (topic) CHECK(mqtt::is_topic_name(*topic) && mqtt::is_utf8(*topic));
  if (!properties) return;
  const std::string block = forwarded_block(*properties);
  CHECK(mqtt::is_forwarded_block(block));
  CHECK(json_of(*properties).has_value());
}

struct Check {
  bool m5;

  void operator()(const RegisterChanges& changes) const {
    if (changes.place) CHECK(!changes.place->client_id.empty());
    if (changes.expires_at) CHECK(*changes.expires_at > kNow);
    CHECK(m5 || !changes.user_properties);
    for (const Grant& grant : changes.grants) check_filter(grant.filter);
    CHECK(changes.terms.rules_decide == !changes.grants.empty());
  }
  void operator()(const PublishChanges& changes) const {
    check_message(changes.topic, changes.properties);
    if (changes.qos) CHECK(*changes.qos <= mqtt::Qos::exactly_once);
    CHECK(m5 || !changes.properties);
  }
  void operator()(const SubscribeChanges& changes) const {
    if (!changes.topics) return;
    CHECK(changes.topics->size() == 2);
    for (const auto& topic : *changes.topics) {
      check_filter(topic.filter);
      CHECK(topic.options.qos <= mqtt::Qos::exactly_once);
      if (topic.refused) CHECK(mqtt::is_error(*topic.refused));
    }
  }
  void operator()(const UnsubscribeChanges& changes) const {
    if (!changes.filters) return;
    CHECK(changes.filters->size() == 2);
    for (const std::string& filter : *changes.filters) check_filter(filter);
  }
  void operator()(const DeliverChanges& changes) const {
    check_message(changes.topic, changes.properties);
    CHECK(m5 || !changes.properties);
  }
  void operator()(const AuthChanges&) const {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  HookOptions hook;
  hook.name = kHooks[data[0] % kHookCount];
  hook.base64_payload = data[0] < 0x80;
  const Question question = question_of(hook.name);
  const auto reply = read_reply({reinterpret_cast<const char*>(data) + 1, size - 1}, question, hook, kNow);
  if (!reply) {
    CHECK(!reply.error().message.empty() && reply.error().message.size() < 1024);
    return 0;
  }
  switch (reply->outcome) {
    case HookOutcome::ok:
      std::visit(Check{is_m5(hook.name)}, reply->changes);
      break;
    case HookOutcome::refused:
      CHECK(mqtt::is_error(reply->reason) && !reply->why.empty() && reply->why.size() <= kErrorBytesMax);
      break;
    case HookOutcome::next:
      break;
  }
  return 0;
}
