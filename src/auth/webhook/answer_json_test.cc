#include "auth/webhook/answer_json.h"

#include <fmt/format.h>

#include "auth/webhook/errc.h"
#include "auth/webhook/limits.h"
#include "auth/webhook/properties_json.h"
#include "auth/webhook/webhook_test_bed.h"

namespace courier::auth::webhook {
namespace {

using mqtt::ReasonCode;
using testing::HasSubstr;

constexpr WallMs kNow = 1'700'000'000'000;

Result<Reply> reply_to(const Question& question, std::string_view body, HookOptions hook = {}) {
  hook.name = hook_of(question);
  return read_reply(body, question, hook, kNow);
}
// Of an answer that is ok.
template <typename What>
What changes(const Question& question, std::string_view body, HookOptions hook = {}) {
  auto reply = reply_to(question, body, std::move(hook));
  EXPECT_TRUE(reply) << reply.error().message;
  if (!reply) return {};
  EXPECT_EQ(reply->outcome, HookOutcome::ok) << reply->why;
  return std::get<What>(std::move(reply->changes));
}
std::string with(std::string_view modifiers) {
  return R"({"result":"ok","modifiers":)" + std::string(modifiers) + "}";
}
// What is wrong with these modifiers; "" when nothing is.
std::string wrong(const Question& question, std::string_view modifiers) {
  const auto reply = reply_to(question, with(modifiers));
  if (reply) return "";
  EXPECT_EQ(reply.error().code, errc::bad_modifier);
  return reply.error().message;
}

RegisterQuestion registering(bool m5 = false) {
  return {.client = test_client(m5)};
}
PublishQuestion publishing(bool m5 = false) {
  return {.client = test_client(m5), .topic = "a"};
}
DeliverQuestion delivering(bool m5 = false) {
  return {.client = test_client(m5), .topic = "a"};
}
SubscribeQuestion subscribing(bool m5) {
  return {.client = test_client(m5), .topics = {{"a/b", {}}, {"c/d", {}}}};
}
UnsubscribeQuestion unsubscribing(bool m5) {
  return {.client = test_client(m5), .filters = {"a/b", "c/d"}};
}
AuthQuestion authenticating() {
  return {.client = test_client(true)};
}

TEST(WebhookAnswer, IsOkNextOrAnError) {
  EXPECT_EQ(reply_to(registering(), R"({"result":"ok"})")->outcome, HookOutcome::ok);
  EXPECT_EQ(reply_to(registering(), R"({"result":"ok","modifiers":{},"other":[1]})")->outcome,
            HookOutcome::ok);
  EXPECT_EQ(reply_to(registering(), R"({"result":"ok","modifiers":[]})")->outcome, HookOutcome::ok);
  EXPECT_EQ(reply_to(registering(), R"({"result":"next"})")->outcome, HookOutcome::next);
  const auto refused = reply_to(registering(), R"({"result":{"error":"not_allowed"}})");
  EXPECT_EQ(refused->outcome, HookOutcome::refused);
  EXPECT_EQ(refused->reason, ReasonCode::not_authorized);
  EXPECT_EQ(refused->why, "not_allowed");
  EXPECT_EQ(reply_to(registering(), R"({"result":{}})")->why, "unknown_error");
  EXPECT_EQ(reply_to(registering(), R"({"result":{"error":{"x":1}}})")->why, "unknown_error");
}

TEST(WebhookAnswer, AnErrorMayNameAReasonCode) {
  const auto reason = [](const char* error) {
    return reply_to(registering(), fmt::format(R"({{"result":{{"error":"{}"}}}})", error))->reason;
  };
  EXPECT_EQ(reason("bad_user_name_or_password"), ReasonCode::bad_user_name_or_password);
  EXPECT_EQ(reason("invalid_credentials"), ReasonCode::bad_user_name_or_password);
  EXPECT_EQ(reason("banned"), ReasonCode::banned);
  EXPECT_EQ(reason("server_busy"), ReasonCode::server_busy);
  EXPECT_EQ(reason("success"), ReasonCode::not_authorized);
  EXPECT_EQ(reason("whatever"), ReasonCode::not_authorized);
}

TEST(WebhookAnswer, ThatMeansNothingIsNotJson) {
  for (const char* body :
       {"", " ", "ok", "\"ok\"", "[]", "{}", "null", R"({"result":null})", R"({"result":"OK"})",
        R"({"result":["ok"]})", R"({"result":1})", R"({"result":"ok")", R"({"result":"ok"}x)",
        R"({"result":"next","result":"ok"})", "{\"result\":\"ok\",\"x\":\"\xFF\"}"}) {
    const auto reply = reply_to(registering(), body);
    ASSERT_FALSE(reply) << body;
    EXPECT_EQ(reply.error().code, errc::not_json) << body;
    EXPECT_FALSE(reply.error().message.empty());
  }
  const std::string deep = std::string(100'000, '[');
  EXPECT_FALSE(reply_to(registering(), R"({"result":"ok","x":)" + deep));
}

TEST(WebhookAnswer, RegisteringHasItsModifiers) {
  const auto got = changes<RegisterChanges>(registering(), with(R"({
    "client_id":"changed","mountpoint":"tenant","username":"grace","max_message_size":65535,"max_message_rate":10,
    "max_inflight_messages":10000,"max_offline_messages":5,"max_connection_lifetime":60,"clean_session":true,
    "session_expiry_interval":3600,"allow_register":true,"allow_publish":false,"allow_subscribe":true,
    "allow_unsubscribe":false,"expire_at":1700000060,
    "acl":[{"topic":"a/%u/#","access":"read","label":"l"}],
    "retry_interval":20000,"upgrade_qos":true,"max_online_messages":1,"queue_type":"fifo",
    "shared_subscription_policy":"random","max_drain_time":1,"max_msgs_per_drain_step":1})"));
  ASSERT_TRUE(got.place);
  EXPECT_EQ(got.place->client_id, "changed");
  EXPECT_EQ(got.place->mountpoint, "tenant");
  EXPECT_EQ(got.username, "grace");
  EXPECT_EQ(got.terms, (SessionTerms{.clean_start = true,
                                     .session_expiry_seconds = 3600,
                                     .connection_seconds_max = 60,
                                     .message_bytes_max = 65535,
                                     .messages_per_second_max = 10,
                                     .inflight_messages_max = 10000,
                                     .queued_messages_max = 5,
                                     .may_publish = false,
                                     .may_unsubscribe = false,
                                     .rules_decide = true}));
  EXPECT_EQ(got.expires_at, 1'700'000'060'000);
  ASSERT_EQ(got.grants.size(), 1u);
  EXPECT_EQ(got.grants[0].filter, "a/%u/#");
  EXPECT_TRUE(got.grants[0].subscribe && !got.grants[0].publish);
}

TEST(WebhookAnswer, RegisteringIn5HasPropertiesToo) {
  const auto got = changes<RegisterChanges>(registering(true), with(R"({"properties":{
    "p_session_expiry_interval":5,"p_user_property":[{"key":"azE=","val":"djE="}]}})"));
  EXPECT_EQ(got.terms.session_expiry_seconds, 5u);
  EXPECT_THAT(*got.user_properties, testing::ElementsAre(testing::Pair("k1", "v1")));
  EXPECT_THAT(wrong(registering(), R"({"properties":{}})"), HasSubstr("does not exist"));
  EXPECT_THAT(wrong(registering(true), R"({"properties":{"p_receive_max":5}})"),
              HasSubstr("may not stand here"));
  EXPECT_THAT(wrong(registering(true), R"({"properties":[]})"), HasSubstr("not an object"));
}

TEST(WebhookAnswer, ClientIdAndMountpointOnlyCountTogether) {
  EXPECT_THAT(wrong(registering(), R"({"client_id":"x"})"), HasSubstr("together"));
  EXPECT_THAT(wrong(registering(), R"({"mountpoint":"x"})"), HasSubstr("together"));
  EXPECT_EQ(wrong(registering(), R"({"client_id":"x","mountpoint":""})"), "");
}

TEST(WebhookAnswer, NotToRegisterIsARefusal) {
  EXPECT_EQ(reply_to(registering(), with(R"({"allow_register":false})"))->outcome, HookOutcome::refused);
}

TEST(WebhookAnswer, OneBadModifierFailsAllOfIt) {
  for (const char* bad : {R"({"unheard_of":1})",
                          R"({"max_message_size":"9"})",
                          R"({"max_message_size":-1})",
                          R"({"max_message_size":1e99})",
                          R"({"max_message_size":4294967296})",
                          R"({"username":7})",
                          R"({"username":"a\u0000b"})",
                          R"({"client_id":"","mountpoint":""})",
                          R"({"clean_session":1})",
                          R"({"allow_publish":"yes"})",
                          R"({"expire_at":1699999999})",
                          R"({"expire_at":1700000000000})",
                          R"({"expire_at":"soon"})",
                          R"({"acl":{}})",
                          R"({"acl":[{"topic":"a/#/b","access":"read"}]})",
                          R"({"acl":[{"topic":"a"}]})",
                          R"({"queue_type":1})",
                          R"({"retry_interval":"1"})",
                          R"({"upgrade_qos":2})",
                          R"("x")",
                          "[1]"}) {
    EXPECT_NE(wrong(registering(), bad), "") << bad;
    EXPECT_LT(wrong(registering(), bad).size(), 400u);
  }
  EXPECT_THAT(wrong(registering(), R"({"max_message_size":9,"clean_session":1})"),
              HasSubstr("clean_session"));
  for (const char* bad : {R"({"topic":"a/+"})", R"({"topic":""})", R"({"topic":"a\u0000"})", R"({"qos":3})",
                          R"({"qos":"1"})", R"({"qos":-1})", R"({"payload":"not base64!"})",
                          R"({"payload":1})", R"({"retain":1})", R"({"throttle":-1})", R"({"username":"x"})"})
    EXPECT_NE(wrong(publishing(), bad), "") << bad;
  for (const char* bad : {R"({"qos":1})", R"({"topic":"#"})", R"({"retain":true})"})
    EXPECT_NE(wrong(delivering(), bad), "") << bad;
}

TEST(WebhookAnswer, AnEmptyAclDeniesEverything) {
  const auto got = changes<RegisterChanges>(registering(), with(R"({"acl":[]})"));
  ASSERT_EQ(got.grants.size(), 1u);
  EXPECT_TRUE(got.grants[0].deny);
}

TEST(WebhookAnswer, PublishingHasItsModifiers) {
  const auto got = changes<PublishChanges>(
      publishing(), with(R"({"topic":"re/written","qos":2,"payload":"aGk=","retain":true,"throttle":100,
                             "mountpoint":"m"})"));
  EXPECT_EQ(got.topic, "re/written");
  EXPECT_EQ(got.qos, mqtt::Qos::exactly_once);
  EXPECT_EQ(got.payload, "hi");
  EXPECT_EQ(got.retain, true);
  EXPECT_EQ(got.throttle_ms, 100u);
  EXPECT_EQ(got.mountpoint, "m");
  EXPECT_FALSE(got.properties);
  EXPECT_EQ(changes<PublishChanges>(publishing(), with(R"({"payload":"plain"})"), {.base64_payload = false})
                .payload,
            "plain");
  EXPECT_EQ(changes<PublishChanges>(publishing(), with(R"({"qos":1.0})")).qos, mqtt::Qos::at_least_once);
}

TEST(WebhookAnswer, MessagesIn5HaveProperties) {
  constexpr const char* kAll = R"({"properties":{"p_user_property":[{"key":"azE=","val":"djE="}],
    "p_correlation_data":"data","p_response_topic":"re/ply","p_payload_format_indicator":"undefined",
    "p_content_type":"text"}})";
  const Properties expected{.payload_format = 0,
                            .content_type = "text",
                            .response_topic = "re/ply",
                            .correlation_data = "data",
                            .user_properties = {{{"k1", "v1"}}}};
  EXPECT_EQ(changes<PublishChanges>(publishing(true), with(kAll)).properties, expected);
  EXPECT_EQ(changes<DeliverChanges>(delivering(true), with(kAll)).properties, expected);
  EXPECT_EQ(
      changes<PublishChanges>(publishing(true), with(R"({"properties":{"p_message_expiry_interval":7}})"))
          .properties->message_expiry_seconds,
      7u);
  EXPECT_NE(wrong(delivering(true), R"({"properties":{"p_message_expiry_interval":7}})"), "");
  EXPECT_NE(wrong(publishing(false), kAll), "");
  for (const char* bad : {R"({"p_response_topic":"a/#"})", R"({"p_content_type":1})",
                          R"({"p_payload_format_indicator":"utf16"})", R"({"p_correlation_data_base64":"!"})",
                          R"({"p_user_property":{}})", R"({"p_user_property":[{"key":"azE="}]})",
                          R"({"p_user_property":[{"key":"k","val":"v"}]})", R"({"p_topic_alias":1})",
                          R"({"p_content_type":"\u0000"})"})
    EXPECT_NE(wrong(publishing(true), fmt::format(R"({{"properties":{}}})", bad)), "") << bad;
}

TEST(WebhookAnswer, ForwardedPropertiesGoThereAndBack) {
  const Properties all{.payload_format = 1,
                       .content_type = "text",
                       .response_topic = "re/ply",
                       .correlation_data = "\xFF",
                       .user_properties = {{{"k", "v"}, {"k", ""}}}};
  EXPECT_EQ(of_forwarded(forwarded_block(all)), all);
  EXPECT_EQ(of_forwarded(""), Properties{});
}

TEST(WebhookAnswer, TopicsOf3xStandBesideTheResultThoseOf5UnderModifiers) {
  constexpr const char* kBeside =
      R"({"result":"ok","topics":[{"topic":"re/written","qos":2},{"topic":"for/bidden","qos":128}]})";
  const auto got = changes<SubscribeChanges>(subscribing(false), kBeside);
  ASSERT_TRUE(got.topics);
  ASSERT_EQ(got.topics->size(), 2u);
  EXPECT_EQ(got.topics->at(0).filter, "re/written");
  EXPECT_EQ(got.topics->at(0).options.qos, mqtt::Qos::exactly_once);
  EXPECT_FALSE(got.topics->at(0).refused);
  EXPECT_EQ(got.topics->at(1).refused, ReasonCode::unspecified_error);
  EXPECT_FALSE(changes<SubscribeChanges>(subscribing(true), kBeside).topics) << "not the place of 5.0";

  const std::string under = with(R"({"topics":[{"topic":"re/written","qos":1,"no_local":true,"rap":true,
    "retain_handling":"dont_send"},{"topic":"for/bidden","qos":135}]})");
  const auto got5 = changes<SubscribeChanges>(subscribing(true), under);
  ASSERT_TRUE(got5.topics);
  const auto& options = got5.topics->at(0).options;
  EXPECT_TRUE(options.no_local && options.retain_as_published);
  EXPECT_EQ(options.retain_handling, mqtt::RetainHandling::do_not_send);
  EXPECT_EQ(got5.topics->at(1).refused, ReasonCode::not_authorized);
  EXPECT_FALSE(changes<SubscribeChanges>(subscribing(false), under).topics) << "not the place of 3.x";

  EXPECT_THAT(
      *changes<UnsubscribeChanges>(unsubscribing(false), R"({"result":"ok","topics":["x","y/#"]})").filters,
      testing::ElementsAre("x", "y/#"));
  EXPECT_THAT(*changes<UnsubscribeChanges>(unsubscribing(true), with(R"({"topics":["x","y"]})")).filters,
              testing::ElementsAre("x", "y"));
}

TEST(WebhookAnswer, ATopicIsAFilterWithAQosOrARefusal) {
  const auto one = [](bool m5, const std::string& topic) {
    const SubscribeQuestion question{.client = test_client(m5), .topics = {{"a", {}}}};
    return reply_to(question, m5 ? with("{\"topics\":[" + topic + "]}")
                                 : "{\"result\":\"ok\",\"topics\":[" + topic + "]}");
  };
  EXPECT_TRUE(one(false, R"({"topic":"$share/g/a/+","qos":1})"));
  for (const char* bad :
       {R"({"topic":"a/#/b","qos":1})", R"({"topic":"","qos":1})", R"({"topic":"a","qos":3})",
        R"({"topic":"a","qos":"1"})", R"({"topic":"a"})", R"({"qos":1})", R"("a")", "7",
        R"({"topic":"$share/g","qos":1})", R"({"topic":"a","qos":1,"x":1})"}) {
    EXPECT_FALSE(one(false, bad)) << bad;
    EXPECT_FALSE(one(true, bad)) << bad;
  }
  EXPECT_FALSE(one(false, R"({"topic":"a","qos":135})")) << "3.x has 128 only";
  EXPECT_FALSE(one(false, R"({"topic":"a","qos":1,"rap":true})"));
  EXPECT_TRUE(one(true, R"({"topic":"a","qos":143})"));
  EXPECT_FALSE(one(true, R"({"topic":"a","qos":130})")) << "no reason code of SUBACK";
  EXPECT_FALSE(one(true, R"({"topic":"a","qos":1,"rap":1})"));
  EXPECT_FALSE(one(true, R"({"topic":"a","qos":1,"retain_handling":"never"})"));
  EXPECT_FALSE(one(true, R"({"topic":"$share/g/a","qos":1,"no_local":true})"));
}

TEST(WebhookAnswer, TopicsThatAreNotNamedAreNotGranted) {
  const auto got =
      changes<SubscribeChanges>(subscribing(false), R"({"result":"ok","topics":[{"topic":"c/d","qos":1}]})");
  ASSERT_EQ(got.topics->size(), 2u);
  EXPECT_EQ(got.topics->at(0).refused, ReasonCode::not_authorized);
  EXPECT_FALSE(got.topics->at(1).refused);
  EXPECT_EQ(got.topics->at(1).options.qos, mqtt::Qos::at_least_once);
  EXPECT_FALSE(reply_to(subscribing(false), R"({"result":"ok","topics":[{"topic":"x","qos":1}]})"));
  EXPECT_FALSE(changes<SubscribeChanges>(subscribing(false), R"({"result":"ok","topics":[]})").topics);
  const auto none = changes<SubscribeChanges>(subscribing(true), with(R"({"topics":[]})"));
  for (const auto& topic : *none.topics) EXPECT_TRUE(topic.refused);
  EXPECT_FALSE(reply_to(unsubscribing(false), R"({"result":"ok","topics":["x"]})"));
  EXPECT_FALSE(changes<UnsubscribeChanges>(unsubscribing(false), R"({"result":"ok","topics":[]})").filters);
  std::string many = R"({"result":"ok","topics":[)";
  for (size_t i = 0; i < kTopicsMax; ++i) many += R"({"topic":"a","qos":0},)";
  EXPECT_THAT(reply_to(subscribing(false), many + R"({"topic":"a","qos":0}]})").error().message,
              HasSubstr("more than"));
}

TEST(WebhookAnswer, AnAuthenticationEndsOrGoesOn) {
  const auto done = changes<AuthChanges>(authenticating(), with(R"({"reason_code":0,"properties":{
    "p_authentication_method":"AUTH_METHOD","p_authentication_data":"QVVUSF9EQVRBMQ=="}})"));
  EXPECT_FALSE(done.go_on);
  EXPECT_EQ(done.authentication_method, "AUTH_METHOD");
  EXPECT_EQ(done.authentication_data, "AUTH_DATA1");
  EXPECT_TRUE(changes<AuthChanges>(authenticating(), with(R"({"reason_code":24})")).go_on);
  const auto refused = reply_to(authenticating(), with(R"({"reason_code":140})"));
  EXPECT_EQ(refused->outcome, HookOutcome::refused);
  EXPECT_EQ(refused->reason, ReasonCode::bad_authentication_method);
  for (const char* bad : {R"({"reason_code":1})", R"({"reason_code":"0"})", R"({"reason_code":256})",
                          R"({"properties":{"p_authentication_data":"!"}})", R"({"topic":"a"})"})
    EXPECT_NE(wrong(authenticating(), bad), "") << bad;
}

}  // namespace
}  // namespace courier::auth::webhook
