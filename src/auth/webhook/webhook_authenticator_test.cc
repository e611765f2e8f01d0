#include "auth/webhook/webhook_authenticator.h"

#include <optional>

#include "auth/webhook/webhook_test_bed.h"

namespace courier::auth::webhook {
namespace {

class WebhookAuthenticatorTest : public WebhookTestBed {
 protected:
  static Credentials credentials(mqtt::Version version = mqtt::Version::v3_1_1) {
    Credentials out;
    out.mountpoint = "listener's";
    out.client_id = "phone-7";
    out.username = "ada";
    out.password = "secret";
    out.peer = "192.0.2.7:51234";
    out.version = version;
    return out;
  }
  std::optional<Decision> decide(Credentials credentials, const std::string& body) {
    std::optional<Decision> decision;
    authenticator().authenticate(std::move(credentials), [&](Decision d) { decision = std::move(d); });
    if (!body.empty()) answer(body);
    return decision;
  }
  WebhookAuthenticator& authenticator() {
    if (!authenticator_) authenticator_.emplace(webhooks_);
    return *authenticator_;
  }

 private:
  std::optional<WebhookAuthenticator> authenticator_;
};

TEST_F(WebhookAuthenticatorTest, AsksTheHookOfTheClientsVersion) {
  open({hook(Hook::auth_on_register), hook(Hook::auth_on_register_m5)});
  auto of_5 = credentials(mqtt::Version::v5);
  of_5.clean_start = false;
  of_5.peer = "[2001:db8::1]:80";
  of_5.properties = std::make_shared<const Properties>(Properties{.receive_maximum = 10});
  authenticator().authenticate(credentials(), [](Decision) {});
  authenticator().authenticate(of_5, [](Decision) {});
  EXPECT_EQ(asked(0),
            jose::Json::parse(R"({"peer_addr":"192.0.2.7","peer_port":51234,"mountpoint":"listener's",
    "client_id":"phone-7","username":"ada","password":"secret","clean_session":true})"));
  EXPECT_EQ(asked(1),
            jose::Json::parse(R"({"peer_addr":"2001:db8::1","peer_port":80,"mountpoint":"listener's",
    "client_id":"phone-7","username":"ada","password":"secret","clean_start":false,
    "properties":{"p_receive_max":10}})"));
}

TEST_F(WebhookAuthenticatorTest, AllowsAsTheClientSaidUnlessTheEndpointSaysOtherwise) {
  open(Hook::auth_on_register);
  auto decision = decide(credentials(), kOk);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->verdict, Verdict::allow);
  EXPECT_EQ(decision->identity.username, "ada");
  EXPECT_EQ(decision->identity.mountpoint, "listener's");
  EXPECT_FALSE(decision->identity.anonymous);
  EXPECT_FALSE(decision->client_id);
  EXPECT_EQ(decision->terms, SessionTerms{});

  decision =
      decide(credentials(), R"({"result":"ok","modifiers":{"client_id":"c","mountpoint":"m","username":"u",
    "max_inflight_messages":5,"expire_at":1700000060,"acl":[{"topic":"a","access":"write"}]}})");
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->identity.username, "u");
  EXPECT_EQ(decision->identity.mountpoint, "m");
  EXPECT_EQ(decision->client_id, "c");
  EXPECT_EQ(decision->terms.inflight_messages_max, 5u);
  EXPECT_TRUE(decision->terms.rules_decide);
  EXPECT_EQ(decision->expires_at, 1'700'000'060'000);
  EXPECT_EQ(decision->grants.size(), 1u);
}

TEST_F(WebhookAuthenticatorTest, AnAnonymousClientStaysOne) {
  open(Hook::auth_on_register);
  auto nobody = credentials();
  nobody.username.reset();
  nobody.password.reset();
  const auto decision = decide(nobody, kOk);
  EXPECT_TRUE(decision->identity.anonymous);
  EXPECT_EQ(decision->identity.username, "");
}

TEST_F(WebhookAuthenticatorTest, DeniesWithTheEndpointsReasonOrPassesOn) {
  open(Hook::auth_on_register);
  auto decision = decide(credentials(), R"({"result":{"error":"banned"}})");
  EXPECT_EQ(decision->verdict, Verdict::deny);
  EXPECT_EQ(decision->reason, mqtt::ReasonCode::banned);
  EXPECT_EQ(decision->why, "hook: banned");
  clock_.pass(10'000);
  EXPECT_EQ(decide(credentials(), kNext)->verdict, Verdict::next);
  decision = decide(credentials(), "rubbish");
  EXPECT_EQ(decision->verdict, Verdict::deny);
  EXPECT_EQ(mqtt::connack_return_code_v3(decision->reason), 3);
  EXPECT_EQ(decide(credentials(mqtt::Version::v5), "")->verdict, Verdict::next)
      << "nobody is asked about those";
}

class WebhookExchangeTest : public WebhookAuthenticatorTest {
 protected:
  // The step's answer, once the test gave the endpoint's.
  std::shared_ptr<std::vector<Exchange::Step>> step(const std::shared_ptr<Exchange>& exchange,
                                                    std::string data) {
    auto steps = std::make_shared<std::vector<Exchange::Step>>();
    exchange->step(std::move(data), [steps](Exchange::Step step) { steps->push_back(std::move(step)); });
    return steps;
  }
  std::shared_ptr<Exchange> begin() {
    return authenticator().begin("METHOD", credentials(mqtt::Version::v5));
  }

  static constexpr const char* kGoOn = R"({"result":"ok","modifiers":{"reason_code":24,
    "properties":{"p_authentication_method":"METHOD","p_authentication_data":"Mg=="}}})";
  static constexpr const char* kDone = R"({"result":"ok","modifiers":{"reason_code":0,
    "properties":{"p_authentication_data":"Mw=="}}})";
};

TEST_F(WebhookExchangeTest, GoesOnUntilTheEndpointIsContentAndThenRegisters) {
  open({hook(Hook::on_auth_m5), hook(Hook::auth_on_register_m5)});
  const auto exchange = begin();
  ASSERT_TRUE(exchange);
  const auto first = step(exchange, "1");
  EXPECT_EQ(asked()["properties"], jose::Json::parse(R"({"p_authentication_method":"METHOD",
    "p_authentication_data":"MQ=="})"));
  answer(kGoOn);
  ASSERT_EQ(first->size(), 1u);
  EXPECT_EQ(first->at(0).data, "2");
  EXPECT_FALSE(first->at(0).decision);
  const auto second = step(exchange, "2'");
  answer(kDone);
  EXPECT_TRUE(second->empty()) << "it is yet to be registered";
  answer(R"({"result":"ok","modifiers":{"username":"grace"}})");
  ASSERT_EQ(second->size(), 1u);
  EXPECT_EQ(second->at(0).data, "3");
  ASSERT_TRUE(second->at(0).decision);
  EXPECT_EQ(second->at(0).decision->verdict, Verdict::allow);
  EXPECT_EQ(second->at(0).decision->identity.username, "grace");
}

TEST_F(WebhookExchangeTest, IsDeniedByEitherHook) {
  open({hook(Hook::on_auth_m5), hook(Hook::auth_on_register_m5)});
  for (const char* bad : {kError, kNext, "rubbish"}) {
    const auto authenticated = step(begin(), "1");
    answer(bad);
    ASSERT_EQ(authenticated->size(), 1u);
    EXPECT_EQ(authenticated->at(0).decision->verdict, Verdict::deny) << bad;
    const auto registered = step(begin(), "1");
    answer(kDone);
    answer(bad);
    ASSERT_EQ(registered->size(), 1u);
    EXPECT_EQ(registered->at(0).decision->verdict, Verdict::deny) << bad;
    EXPECT_EQ(registered->at(0).data, "");
    clock_.pass(10'000);
  }
}

TEST_F(WebhookExchangeTest, WithoutARegisteringHookItsOwnWordIsEnough) {
  open(Hook::on_auth_m5);
  const auto done = step(begin(), "1");
  answer(kDone);
  ASSERT_EQ(done->size(), 1u);
  EXPECT_EQ(done->at(0).decision->verdict, Verdict::allow);
  EXPECT_EQ(done->at(0).decision->identity.username, "ada");
}

TEST_F(WebhookExchangeTest, WithoutItsHookItIsNoMethodOfThisOne) {
  open(Hook::auth_on_register_m5);
  EXPECT_EQ(begin(), nullptr);
}

}  // namespace
}  // namespace courier::auth::webhook
