// Hooks over real HTTP, against stub.py: a service in another language, written from VerneMQ's documentation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "auth/webhook/webhooks.h"
#include "webhook/stub.h"

namespace courier::auth::webhook {
namespace {

using mqtt::ReasonCode;
using testing::HasSubstr;

class WebhookService : public testing::Test {
 protected:
  void SetUp() override { open(5'000); }
  void open(int64_t timeout_ms) {
    options_.hooks.clear();
    for (const Hook hook : kHooks)
      options_.hooks.push_back({.name = hook, .endpoint = stub_.url("/hook"), .timeout_ms = timeout_ms});
    webhooks_ = Webhooks::open(options_, registry_).value();
  }

  template <typename What, typename Asked>
  std::future<HookAnswer<What>> begin(Asked question) {
    auto promise = std::make_shared<std::promise<HookAnswer<What>>>();
    auto future = promise->get_future();
    ticket_ = webhooks_->ask(std::move(question),
                             [promise](HookAnswer<What> answer) { promise->set_value(std::move(answer)); });
    return future;
  }
  static HookClient client(bool m5, std::string id = "c") { return {"", std::move(id), {}, m5}; }

  RegisterAnswer registering(bool m5, std::string id) { return begin_registering(m5, std::move(id)).get(); }
  std::future<RegisterAnswer> begin_registering(bool m5, std::string id) {
    return begin<RegisterChanges>(
        RegisterQuestion{.client = client(m5, std::move(id)), .peer_address = "127.0.0.1", .peer_port = 7});
  }
  PublishAnswer publishing(bool m5, std::string topic) {
    return begin<PublishChanges>(PublishQuestion{.client = client(m5),
                                                 .topic = std::move(topic),
                                                 .payload = std::string("\0\xFF", 2)})
        .get();
  }
  SubscribeAnswer subscribing(bool m5, std::string topic) {
    return begin<SubscribeChanges>(
               SubscribeQuestion{.client = client(m5), .topics = {{std::move(topic), {}}, {"other", {}}}})
        .get();
  }
  UnsubscribeAnswer unsubscribing(bool m5, std::string id) {
    return begin<UnsubscribeChanges>(
               UnsubscribeQuestion{.client = client(m5, std::move(id)), .filters = {"a"}})
        .get();
  }
  DeliverAnswer delivering(bool m5, std::string id) {
    return begin<DeliverChanges>(
               DeliverQuestion{.client = client(m5, std::move(id)), .topic = "a", .payload = "x"})
        .get();
  }
  AuthAnswer authenticating(std::string id) {
    return begin<AuthChanges>(
               AuthQuestion{.client = client(true, std::move(id)),
                            .properties = {.authentication_method = "M", .authentication_data = "\xFF"}})
        .get();
  }

  interop::Stub stub_;
  Registry registry_;
  Options options_{.circuit_failures = 1000};
  std::unique_ptr<Webhooks> webhooks_;
  Webhooks::Ticket ticket_;
};

TEST_F(WebhookService, DecidesByEachHookInBothVersions) {
  for (const bool m5 : {false, true}) {
    EXPECT_TRUE(registering(m5, "ok").ok());
    EXPECT_EQ(registering(m5, "deny").why, "not_allowed");
    EXPECT_EQ(registering(m5, "next").outcome, HookOutcome::next);
    EXPECT_EQ(registering(m5, "change").changes.terms.message_bytes_max, 65535u);
    EXPECT_FALSE(registering(m5, "invalid").ok());

    EXPECT_TRUE(publishing(m5, "ok").ok());
    EXPECT_EQ(publishing(m5, "deny").outcome, HookOutcome::refused);
    EXPECT_EQ(publishing(m5, "next").outcome, HookOutcome::refused) << "nobody said ok";
    EXPECT_EQ(publishing(m5, "invalid").outcome, HookOutcome::refused);
    const auto published = publishing(m5, "change").changes;
    EXPECT_EQ(published.topic, "rewritten/topic");
    EXPECT_EQ(published.payload, "rewritten payload");
    EXPECT_EQ(published.qos, mqtt::Qos::exactly_once);
    EXPECT_EQ(published.retain, true);

    EXPECT_TRUE(subscribing(m5, "ok").ok());
    EXPECT_EQ(subscribing(m5, "deny").outcome, HookOutcome::refused);
    EXPECT_EQ(subscribing(m5, "invalid").outcome, HookOutcome::refused);
    const auto subscribed = subscribing(m5, "change").changes;
    ASSERT_TRUE(subscribed.topics);
    EXPECT_EQ(subscribed.topics->at(0).filter, "rewritten/topic");
    EXPECT_EQ(subscribed.topics->at(1).refused,
              m5 ? ReasonCode::not_authorized : ReasonCode::unspecified_error);

    EXPECT_TRUE(unsubscribing(m5, "ok").ok());
    EXPECT_THAT(*unsubscribing(m5, "change").changes.filters, testing::ElementsAre("rewritten/topic"));
    EXPECT_EQ(unsubscribing(m5, "deny").outcome, HookOutcome::next);
    EXPECT_EQ(delivering(m5, "change").changes.payload, "rewritten payload");
    EXPECT_EQ(delivering(m5, "deny").outcome, HookOutcome::next);
    EXPECT_EQ(delivering(m5, "invalid").outcome, HookOutcome::next);
  }
  const auto authenticated = authenticating("change");
  EXPECT_TRUE(authenticated.ok());
  EXPECT_EQ(authenticated.changes.authentication_data, "AUTH_DATA1");
  EXPECT_EQ(authenticating("deny").outcome, HookOutcome::refused);
  for (const Hook hook : kHooks) EXPECT_GT(stub_.requests(name(hook)), 0) << name(hook);
}

TEST_F(WebhookService, RefusesWhatItCannotMakeAnythingOf) {
  const auto failed = [&](const char* id) {
    const auto answer = registering(false, id);
    EXPECT_EQ(answer.outcome, HookOutcome::refused) << id;
    EXPECT_TRUE(answer.failed) << id;
    EXPECT_EQ(answer.reason, ReasonCode::server_unavailable) << id;
    return answer.why;
  };
  EXPECT_THAT(failed("status-204"), HasSubstr("status 204"));
  EXPECT_THAT(failed("status-500"), HasSubstr("status 500"));
  EXPECT_THAT(failed("redirect"), HasSubstr("status 302"));
  EXPECT_THAT(failed("rubbish"), HasSubstr("not JSON"));
  EXPECT_THAT(failed("empty"), HasSubstr("not JSON"));
  EXPECT_THAT(failed("huge"), HasSubstr("larger than"));
  failed("dead");
  failed("half");
  EXPECT_FALSE(registering(false, "status-403").failed);
  EXPECT_TRUE(registering(false, "ok").ok()) << "and still works";
}

TEST_F(WebhookService, TakesChunkedAnswersAndConnectionsThatTheEndpointCloses) {
  EXPECT_TRUE(registering(false, "chunked").ok());
  const int connections = stub_.get("/seen")["connections"].get<int>();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(registering(false, fmt::format("kept-{}", i)).ok());
  // That GET has connections of its own.
  EXPECT_EQ(stub_.get("/seen")["connections"].get<int>(), connections + 1) << "they were kept";
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(registering(false, fmt::format("close-{}", i)).ok());
}

TEST_F(WebhookService, ASlowAnswerHoldsUpNobodyElse) {
  auto slow = begin_registering(false, "slow-1");
  auto same = begin_registering(false, "slow-1");
  EXPECT_TRUE(registering(false, "ok").ok());
  EXPECT_EQ(slow.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  stub_.get("/release");
  EXPECT_TRUE(slow.get().ok());
  EXPECT_TRUE(same.get().ok());
  EXPECT_EQ(stub_.requests("auth_on_register"), 2) << "the same question was asked once";
}

TEST_F(WebhookService, ATimeoutAndACancellationEndASlowOne) {
  open(50);
  const auto answer = registering(false, "slow-1");
  EXPECT_TRUE(answer.failed);
  EXPECT_EQ(answer.outcome, HookOutcome::refused);
  open(600'000);
  auto cancelled = begin_registering(false, "slow-2");
  EXPECT_TRUE(webhooks_->cancel(ticket_));
  EXPECT_TRUE(registering(false, "ok").ok());
  EXPECT_THROW(cancelled.get(), std::future_error);  // nobody was told
}

TEST_F(WebhookService, WhatMayBeKeptIsAskedOnce) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(registering(true, "cached").ok());
  EXPECT_EQ(stub_.requests("auth_on_register_m5"), 1);
}

}  // namespace
}  // namespace courier::auth::webhook
