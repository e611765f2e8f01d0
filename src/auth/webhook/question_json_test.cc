#include "auth/webhook/question_json.h"

#include "auth/webhook/errc.h"
#include "auth/webhook/webhook_test_bed.h"

namespace courier::auth::webhook {
namespace {

using jose::Json;

Json worded(const Question& question, HookOptions hook = {}) {
  hook.name = hook_of(question);
  const auto wording = Wording::of(question, hook);
  EXPECT_TRUE(wording) << wording.error().message;
  return jose::parse_object(wording->body()).value();
}

Json expected(const char* text) {
  return Json::parse(text);
}

TEST(WebhookQuestion, RegisteringIsWordedAsVerneMqWordsIt) {
  EXPECT_EQ(
      worded(RegisterQuestion{{"", "clientid", "username", false}, "127.0.0.1", 8888, "password", false, {}}),
      expected(R"({"peer_addr":"127.0.0.1","peer_port":8888,"username":"username","password":"password",
                         "mountpoint":"","client_id":"clientid","clean_session":false})"));
  EXPECT_EQ(worded(RegisterQuestion{{"mp", "c", {}, true}, "::1", 1, {}, true, {.receive_maximum = 10}}),
            expected(R"({"peer_addr":"::1","peer_port":1,"username":null,"password":null,"mountpoint":"mp",
                         "client_id":"c","clean_start":true,"properties":{"p_receive_max":10}})"));
}

TEST(WebhookQuestion, PublishingHasItsPayloadInBase64UnlessToldOtherwise) {
  const PublishQuestion question{{"", "c", "u", false}, "a/b", "hello", mqtt::Qos::at_least_once, true, {}};
  EXPECT_EQ(worded(question),
            expected(R"({"username":"u","client_id":"c","mountpoint":"","qos":1,"topic":"a/b",
                                           "payload":"aGVsbG8=","retain":true})"));
  EXPECT_EQ(worded(question, {.base64_payload = false})["payload"], "hello");
  EXPECT_FALSE(worded(question, {.no_payload = true}).contains("payload"));
  // Delivering is not for no_payload.
  EXPECT_EQ(worded(DeliverQuestion{{"", "c", {}, false}, "a/b", "hi\"\n", {}, false, {}},
                   {.base64_payload = false, .no_payload = true})["payload"],
            "hi\"\n");
}

TEST(WebhookQuestion, SubscribingHasOptionsIn5Only) {
  SubscribeQuestion question{
      {"", "c", "u", false}, {{"a/+", {.qos = mqtt::Qos::exactly_once}}, {"b", {}}}, {}};
  EXPECT_EQ(worded(question), expected(R"({"username":"u","client_id":"c","mountpoint":"",
                                           "topics":[{"topic":"a/+","qos":2},{"topic":"b","qos":0}]})"));
  question.client.m5 = true;
  question.topics.pop_back();
  question.topics[0].options.no_local = true;
  question.properties.subscription_identifiers = {7};
  EXPECT_EQ(
      worded(question),
      expected(R"({"username":"u","client_id":"c","mountpoint":"","properties":{"p_subscription_id":[7]},
                         "topics":[{"topic":"a/+","qos":2,"no_local":true,"rap":false,
                                    "retain_handling":"send_retain"}]})"));
}

TEST(WebhookQuestion, UnsubscribingIsAListOfTexts) {
  EXPECT_EQ(
      worded(UnsubscribeQuestion{{"", "c", "u", true}, {"a", "b/#"}, {}}),
      expected(R"({"username":"u","client_id":"c","mountpoint":"","topics":["a","b/#"],"properties":{}})"));
}

TEST(WebhookQuestion, UserPropertiesAndAuthenticationDataAreAlwaysBase64) {
  const AuthQuestion question{{"", "c", {}, true},
                              {.authentication_method = "AUTH_METHOD",
                               .authentication_data = "AUTH_DATA0",
                               .user_properties = {{{"k1", "v1"}, {"k1", "v2"}}}}};
  EXPECT_EQ(worded(question, {.base64_payload = false}),
            expected(R"({"username":null,"client_id":"c","mountpoint":"","properties":{
              "p_authentication_method":"AUTH_METHOD","p_authentication_data":"QVVUSF9EQVRBMA==",
              "p_user_property":[{"key":"azE=","val":"djE="},{"key":"azE=","val":"djI="}]}})"));
}

TEST(WebhookQuestion, CorrelationDataIsTextWhereItIsText) {
  PublishQuestion question{{"", "c", {}, true}, "t", "", {}, false, {.correlation_data = "text"}};
  question.properties.payload_format = 1;
  EXPECT_EQ(worded(question)["properties"],
            expected(R"({"p_correlation_data":"text","p_payload_format_indicator":"utf8"})"));
  question.properties.correlation_data = "\xFF";
  EXPECT_EQ(worded(question)["properties"]["p_correlation_data_base64"], "/w==");
}

TEST(WebhookQuestion, TextThatIsNotUtf8CannotBeAsked) {
  const auto fails = [](const Question& question, HookOptions hook) {
    hook.name = hook_of(question);
    const auto wording = Wording::of(question, hook);
    ASSERT_FALSE(wording);
    EXPECT_EQ(wording.error().code, errc::unsayable);
  };
  fails(RegisterQuestion{{"", "\xFF", {}, false}, "", 0, {}, true, {}}, {});
  fails(RegisterQuestion{{"", "c", "\xFF", false}, "", 0, {}, true, {}}, {});
  fails(PublishQuestion{{"", "c", {}, false}, "t", "\xFF", {}, false, {}}, {.base64_payload = false});
  fails(SubscribeQuestion{{"", "c", {}, false}, {{"\xFF", {}}}, {}}, {});
  fails(UnsubscribeQuestion{{"", "c", {}, false}, {"\xFF"}, {}}, {});
  EXPECT_EQ(worded(PublishQuestion{{"", "c", {}, false}, "t", "\xFF", {}, false, {}})["payload"], "/w==");
}

TEST(WebhookQuestion, IsRememberedByAllButPayloadAndPort) {
  const HookOptions hook{.name = Hook::auth_on_publish, .endpoint = "http://127.0.0.1/"};
  const auto of = [&](const Question& question, const HookOptions& by) {
    return Wording::of(question, by).value();
  };
  const PublishQuestion one{{"", "c", {}, false}, "t", "1", {}, false, {}};
  PublishQuestion two = one;
  two.payload = "2";
  EXPECT_EQ(of(one, hook).lasting(), of(two, hook).lasting());
  EXPECT_NE(of(one, hook).whole(), of(two, hook).whole());
  two.topic = "u";
  EXPECT_NE(of(one, hook).lasting(), of(two, hook).lasting());
  HookOptions other = hook;
  other.endpoint += "x";
  EXPECT_NE(of(one, hook).lasting(), of(one, other).lasting());
  other = hook;
  other.name = Hook::on_deliver;
  EXPECT_NE(of(one, hook).lasting(), of(one, other).lasting());
}

TEST(WebhookQuestion, EveryHookHasItsName) {
  for (const Hook hook : kHooks) EXPECT_EQ(parse_hook(name(hook)), hook);
  EXPECT_FALSE(parse_hook("on_register"));
  EXPECT_FALSE(parse_hook(""));
  EXPECT_TRUE(may_be_remembered(Hook::auth_on_subscribe_m5));
  EXPECT_FALSE(may_be_remembered(Hook::on_auth_m5));
  EXPECT_TRUE(must_be_allowed(Hook::on_auth_m5));
  EXPECT_FALSE(must_be_allowed(Hook::on_deliver));
}

}  // namespace
}  // namespace courier::auth::webhook
