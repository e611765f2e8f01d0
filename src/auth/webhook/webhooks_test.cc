#include "auth/webhook/webhooks.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "auth/webhook/errc.h"
#include "auth/webhook/limits.h"
#include "auth/webhook/webhook_test_bed.h"

namespace courier::auth::webhook {
namespace {

using mqtt::ReasonCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using WebhookChain = WebhookTestBed;

TEST_F(WebhookChain, OkEndsItAndNextGoesOn) {
  open({hook(Hook::auth_on_register, "http://127.0.0.1/1"),
        hook(Hook::auth_on_register, "http://127.0.0.1/2"),
        hook(Hook::auth_on_register, "http://127.0.0.1/3")});
  const auto slot = ask(registering());
  EXPECT_EQ(sender_->sent[0].request.url, "http://127.0.0.1/1");
  answer(kNext);
  EXPECT_FALSE(slot.came());
  ASSERT_EQ(waiting(), 1u);
  EXPECT_EQ(sender_->sent[0].request.url, "http://127.0.0.1/2");
  answer(kOk);
  ASSERT_TRUE(slot.came());
  EXPECT_TRUE(slot->ok());
  EXPECT_EQ(waiting(), 0u);
}

TEST_F(WebhookChain, AnErrorEndsItToo) {
  open(
      {hook(Hook::auth_on_publish, "http://127.0.0.1/1"), hook(Hook::auth_on_publish, "http://127.0.0.1/2")});
  const auto slot = ask(publishing());
  answer(kError);
  ASSERT_TRUE(slot.came());
  EXPECT_EQ(slot->outcome, HookOutcome::refused);
  EXPECT_EQ(slot->reason, ReasonCode::not_authorized);
  EXPECT_EQ(slot->why, "not_allowed");
  EXPECT_FALSE(slot->failed);
  EXPECT_EQ(waiting(), 0u);
}

TEST_F(WebhookChain, ARequestIsAPostWithTheHooksName) {
  open(Hook::auth_on_register);
  ask(registering());
  const http::Request& request = sender_->sent.at(0).request;
  EXPECT_EQ(request.method, "POST");
  EXPECT_THAT(request.headers, testing::Contains(testing::Pair("vernemq-hook", "auth_on_register")));
  EXPECT_THAT(request.headers, testing::Contains(testing::Pair("Content-Type", "application/json")));
  EXPECT_EQ(request.timeout_ms, 5'000);
  EXPECT_EQ(request.redirects_max, 0);
}

TEST_F(WebhookChain, WithoutAnOkAnAuthHookRefusesExceptThatOtherAuthenticatorsMayFollow) {
  open({hook(Hook::auth_on_register), hook(Hook::auth_on_publish), hook(Hook::auth_on_subscribe),
        hook(Hook::on_auth_m5)});
  const auto registered = ask(registering());
  answer(kNext);
  EXPECT_EQ(registered->outcome, HookOutcome::next);
  const auto published = ask(publishing());
  answer(kNext);
  EXPECT_EQ(published->outcome, HookOutcome::refused);
  const auto subscribed = ask(SubscribeQuestion{.client = test_client(false), .topics = {{"a", {}}}});
  answer(kNext);
  EXPECT_EQ(subscribed->outcome, HookOutcome::refused);
  const auto authenticated = ask(AuthQuestion{.client = test_client(true)});
  answer(kNext);
  EXPECT_EQ(authenticated->outcome, HookOutcome::refused);
}

TEST_F(WebhookChain, AHookThatNobodyConfiguredSaysNextAtOnce) {
  open(Hook::auth_on_register);
  EXPECT_TRUE(webhooks_->asks(Hook::auth_on_register));
  EXPECT_FALSE(webhooks_->asks(Hook::auth_on_register_m5));
  const auto slot = ask(publishing());
  ASSERT_TRUE(slot.came());
  EXPECT_EQ(slot->outcome, HookOutcome::next);
}

TEST_F(WebhookChain, DeliveringAndUnsubscribingGoOnUnmodifiedWhateverHappens) {
  open({hook(Hook::on_deliver), hook(Hook::on_unsubscribe)});
  const auto deliver = [&] {
    return ask(DeliverQuestion{.client = test_client(false), .topic = "a", .payload = "x"});
  };
  const auto unsubscribe = [&] {
    return ask(UnsubscribeQuestion{.client = test_client(false), .filters = {"a"}});
  };
  const auto expect_unmodified = [&](auto answers_it) {
    const auto delivered = deliver();
    answers_it();
    ASSERT_TRUE(delivered.came());
    EXPECT_EQ(delivered->outcome, HookOutcome::next);
    EXPECT_FALSE(delivered->changes.topic || delivered->changes.payload);
    const auto unsubscribed = unsubscribe();
    answers_it();
    ASSERT_TRUE(unsubscribed.came());
    EXPECT_EQ(unsubscribed->outcome, HookOutcome::next);
    EXPECT_FALSE(unsubscribed->changes.filters);
  };
  expect_unmodified([&] { answer(kError); });
  expect_unmodified([&] { answer(kNext); });
  expect_unmodified([&] { answer_status(500); });
  expect_unmodified([&] { answer("rubbish"); });
  expect_unmodified([&] { answer_failure(http::errc::timeout); });
  expect_unmodified([&] { answer(R"({"result":"ok","modifiers":{"topic":7},"topics":7})"); });
}

using WebhookFailure = WebhookTestBed;

TEST_F(WebhookFailure, IsRefusedOrLetThroughAsTheHookSays) {
  HookOptions open_one = hook(Hook::auth_on_publish);
  open_one.on_failure = OnFailure::allow;
  options_.circuit_failures = 100;
  open({hook(Hook::auth_on_register), open_one});
  const auto fail_both = [&](auto answers_it, bool technical) {
    const auto closed = ask(registering());
    answers_it();
    ASSERT_TRUE(closed.came());
    EXPECT_EQ(closed->outcome, HookOutcome::refused);
    EXPECT_EQ(closed->reason, technical ? ReasonCode::server_unavailable : ReasonCode::not_authorized);
    EXPECT_EQ(closed->failed, technical);
    const auto opened = ask(publishing());
    answers_it();
    ASSERT_TRUE(opened.came());
    EXPECT_EQ(opened->outcome, technical ? HookOutcome::ok : HookOutcome::refused);
    EXPECT_EQ(opened->failed, technical);
    clock_.pass(10'000);  // nothing is remembered, no circuit stays open
  };
  for (const int status : {204, 201, 301, 302, 500, 502, 503, 408, 429})
    fail_both([&] { answer_status(status); }, true);
  for (const char* rubbish :
       {"", "no JSON", "[]", "{}", R"({"result":"yes"})", R"({"result":true})", "{\"result\""})
    fail_both([&] { answer(rubbish); }, true);
  for (const auto code : {http::errc::timeout, http::errc::unreachable, http::errc::tls,
                          http::errc::too_large, http::errc::bad_response})
    fail_both([&] { answer_failure(code); }, true);
  // What an endpoint said is no failure, and not for on_failure to overrule.
  for (const int status : {400, 401, 403, 404}) fail_both([&] { answer_status(status); }, false);
  fail_both([&] { answer(kError); }, false);
  fail_both([&] { answer(R"({"result":"ok","modifiers":{"unheard_of":1}})"); }, false);
}

TEST_F(WebhookFailure, WhatJsonCannotHoldIsRefusedWithoutAsking) {
  HookOptions open_one = hook(Hook::auth_on_register);
  open_one.on_failure = OnFailure::allow;
  open({open_one});
  auto question = registering();
  question.password = "\xFF\xFE";
  const auto slot = ask(std::move(question));
  ASSERT_TRUE(slot.came());
  EXPECT_EQ(slot->outcome, HookOutcome::refused);
  EXPECT_THAT(slot->why, HasSubstr("\"password\" is not UTF-8"));
  EXPECT_EQ(waiting(), 0u);
}

TEST_F(WebhookFailure, TheReasonNamesTheEndpointButNotItsQuery) {
  open({hook(Hook::auth_on_register, "http://127.0.0.1/hook?key=topsecret")});
  const auto slot = ask(registering());
  answer_status(500);
  EXPECT_THAT(slot->why, HasSubstr("http://127.0.0.1/hook cannot be asked"));
  EXPECT_THAT(slot->why, HasSubstr("status 500"));
  EXPECT_THAT(slot->why, Not(HasSubstr("topsecret")));
}

using WebhookMemory = WebhookTestBed;

TEST_F(WebhookMemory, AnOkCountsAsLongAsItsCacheControlSays) {
  open(Hook::auth_on_register);
  ask(registering());
  answer(R"({"result":"ok","modifiers":{"max_message_size":9}})", "private, max-age=60");
  clock_.pass(59'999);
  const auto again = ask(registering("phone-7", 2));  // the port is no part of the question
  ASSERT_TRUE(again.came());
  EXPECT_TRUE(again->ok());
  EXPECT_EQ(again->changes.terms.message_bytes_max, 9u);
  EXPECT_EQ(registry_.value("courier_hook_cache_hits_total", {{"hook", "auth_on_register"}}), 1);
  clock_.pass(1);
  EXPECT_FALSE(ask(registering()).came());
}

TEST_F(WebhookMemory, AnotherArgumentIsAnotherQuestion) {
  open(Hook::auth_on_register);
  ask(registering());
  answer(kOk, "max-age=60");
  auto question = registering();
  question.password = "other";
  EXPECT_FALSE(ask(question).came());
  EXPECT_FALSE(ask(registering("phone-8")).came());
  question = registering();
  question.peer_address = "192.0.2.8";
  EXPECT_FALSE(ask(question).came());
  question = registering();
  question.client.username.reset();
  EXPECT_FALSE(ask(question).came());
}

TEST_F(WebhookMemory, ThePayloadIsNoPartOfWhatIsAllowedButOfWhatIsRefused) {
  open(Hook::auth_on_publish);
  ask(publishing("one"));
  answer(kOk, "max-age=60");
  EXPECT_TRUE(ask(publishing("two")).came());
  clock_.pass(60'000);
  ask(publishing("bad"));
  answer(kError);
  EXPECT_TRUE(ask(publishing("bad")).came());
  EXPECT_FALSE(ask(publishing("good")).came());
}

TEST_F(WebhookMemory, AnAnswerThatRewritesThePayloadIsNotForOthers) {
  open(Hook::auth_on_publish);
  ask(publishing("one"));
  answer(R"({"result":"ok","modifiers":{"payload":"aGk="}})", "max-age=60");
  EXPECT_FALSE(ask(publishing("two")).came());
}

TEST_F(WebhookMemory, ARefusalCountsForAMomentTwiceThatAtMost) {
  options_.refusals_kept_ms = 1'000;
  open(Hook::auth_on_register);
  ask(registering());
  answer(kError, "max-age=3600");
  clock_.pass(999);
  const auto again = ask(registering());
  ASSERT_TRUE(again.came());
  EXPECT_EQ(again->outcome, HookOutcome::refused);
  clock_.pass(1'002);
  EXPECT_FALSE(ask(registering()).came());
}

TEST_F(WebhookMemory, NeitherNextNorFailuresNorAnswersWithoutAnAgeAreKept) {
  open(Hook::auth_on_register);
  const auto expect_forgotten = [&](auto answers_it) {
    ask(registering());
    answers_it();
    ask(registering());
    ASSERT_EQ(waiting(), 1u);
    answer(kOk);
  };
  expect_forgotten([&] { answer(kNext, "max-age=60"); });
  expect_forgotten([&] { answer_status(500); });
  expect_forgotten([&] { answer(kOk); });
  expect_forgotten([&] { answer(kOk, "no-store, max-age=60"); });
  expect_forgotten([&] { answer(kOk, "max-age=0"); });
  expect_forgotten([&] { answer(R"({"result":"ok","modifiers":{"x":1}})", "max-age=60"); });
}

TEST_F(WebhookMemory, OnlyAuthHooksAreRemembered) {
  open(Hook::on_deliver);
  const DeliverQuestion question{.client = test_client(false), .topic = "a", .payload = "x"};
  ask(question);
  answer(kOk, "max-age=60");
  EXPECT_FALSE(ask(question).came());
}

TEST_F(WebhookMemory, NoAnswerIsKeptBeyondItsExpireAt) {
  open(Hook::auth_on_register);
  ask(registering());
  answer(R"({"result":"ok","modifiers":{"expire_at":1700000010}})", "max-age=3600");
  clock_.pass(9'999);
  EXPECT_TRUE(ask(registering()).came());
  clock_.pass(1);
  EXPECT_FALSE(ask(registering()).came());
}

TEST_F(WebhookMemory, IsBounded) {
  options_.cache_entries_max = 2;
  open(Hook::auth_on_register);
  for (const char* id : {"a", "b", "c"}) {
    ask(registering(id));
    answer(kOk, "max-age=60");
  }
  EXPECT_TRUE(ask(registering("c")).came());
  EXPECT_TRUE(ask(registering("b")).came());
  EXPECT_FALSE(ask(registering("a")).came());
}

TEST_F(WebhookMemory, TheSameQuestionIsAskedOnceWhileItsAnswerIsAwaited) {
  open(Hook::auth_on_register);
  const auto one = ask(registering("phone-7", 1));
  const auto two = ask(registering("phone-7", 2));
  const auto other = ask(registering("phone-8"));
  EXPECT_EQ(waiting(), 2u);
  answer(kOk);
  EXPECT_TRUE(one.came() && two.came());
  EXPECT_FALSE(other.came());
  EXPECT_EQ(registry_.value("courier_hook_coalesced_total", {{"hook", "auth_on_register"}}), 1);
  ask(registering());
  EXPECT_EQ(waiting(), 2u) << "it had no age, so the next one asks again";
}

TEST_F(WebhookMemory, StepsOfAnAuthenticationAreNeverOne) {
  open(Hook::on_auth_m5);
  ask(AuthQuestion{.client = test_client(true)});
  ask(AuthQuestion{.client = test_client(true)});
  EXPECT_EQ(waiting(), 2u);
}

using WebhookCancel = WebhookTestBed;

TEST_F(WebhookCancel, NobodyIsToldAndTheRequestEnds) {
  open(Hook::auth_on_register);
  const auto slot = ask(registering());
  const auto id = sender_->sent[0].id;
  EXPECT_TRUE(webhooks_->cancel(slot.ticket));
  EXPECT_THAT(sender_->cancelled, testing::ElementsAre(id));
  answer_failure(http::errc::cancelled);
  EXPECT_TRUE(slot.answers->empty());
  EXPECT_EQ(count(Hook::auth_on_register, "cancelled"), 1);
  EXPECT_FALSE(webhooks_->cancel(slot.ticket)) << "it has ended";
}

TEST_F(WebhookCancel, ARequestThatOthersWaitForGoesOn) {
  open(Hook::auth_on_register);
  const auto one = ask(registering());
  const auto two = ask(registering());
  EXPECT_TRUE(webhooks_->cancel(one.ticket));
  EXPECT_TRUE(sender_->cancelled.empty());
  answer(kOk);
  EXPECT_TRUE(one.answers->empty());
  EXPECT_TRUE(two.came());
}

TEST_F(WebhookCancel, WhoAsksAfterwardsDoesNotJoinACancelledRequest) {
  open(Hook::auth_on_register);
  webhooks_->cancel(ask(registering()).ticket);
  const auto slot = ask(registering());
  ASSERT_EQ(waiting(), 2u);
  answer_failure(http::errc::cancelled);
  EXPECT_FALSE(slot.came());
  answer(kOk);
  EXPECT_TRUE(slot.came());
}

TEST_F(WebhookCancel, IsTooLateOnceTheAnswerCame) {
  open(Hook::auth_on_register);
  const auto slot = ask(registering());
  answer(kOk);
  EXPECT_FALSE(webhooks_->cancel(slot.ticket));
  EXPECT_TRUE(slot.came());
}

TEST_F(WebhookCancel, WhatWaitsInTheQueueLeavesIt) {
  options_.connections_max = 1;
  open(Hook::auth_on_register);
  ask(registering("a"));
  const auto queued = ask(registering("b"));
  EXPECT_EQ(registry_.value("courier_hook_requests_waiting"), 1);
  EXPECT_TRUE(webhooks_->cancel(queued.ticket));
  EXPECT_EQ(registry_.value("courier_hook_requests_waiting"), 0);
  answer(kOk);
  EXPECT_EQ(waiting(), 0u);
  EXPECT_TRUE(queued.answers->empty());
}

TEST_F(WebhookCancel, DestructionTellsNobody) {
  options_.connections_max = 1;
  open(Hook::auth_on_publish);
  const auto running = ask(publishing("a"));
  const auto queued = ask(publishing("b"));
  webhooks_.reset();
  EXPECT_TRUE(running.answers->empty() && queued.answers->empty());
}

TEST_F(WebhookCancel, WhoIsToldMayCancelOthersThatAreToBeToldNext) {
  options_.connections_max = 1;
  options_.circuit_failures = 1;
  open(Hook::auth_on_publish);
  ask(publishing("runs"));
  Slot<PublishChanges> second;
  bool cancelled = false, told = false;
  webhooks_->ask(publishing("first"), [&](const PublishAnswer&) {
    told = true;
    cancelled = webhooks_->cancel(second.ticket);
  });
  second = ask(publishing("second"));
  answer_status(500);  // the circuit opens, and fails both that wait
  EXPECT_TRUE(told && cancelled);
  EXPECT_TRUE(second.answers->empty());
  EXPECT_EQ(registry_.value("courier_hook_requests_waiting"), 0);
}

using WebhookQueue = WebhookTestBed;

TEST_F(WebhookQueue, SoManyRunAtOnceSoManyWaitAndOneMoreFails) {
  options_.connections_max = 2;
  options_.queue_max = 1;
  open(Hook::auth_on_register);
  ask(registering("a"));
  ask(registering("b"));
  const auto queued = ask(registering("c"));
  EXPECT_EQ(waiting(), 2u);
  const auto refused = ask(registering("d"));
  ASSERT_TRUE(refused.came());
  EXPECT_EQ(refused->reason, ReasonCode::server_unavailable);
  EXPECT_TRUE(refused->failed);
  EXPECT_EQ(count(Hook::auth_on_register, "queue_full"), 1);
  EXPECT_TRUE(ask(registering("c")).answers->empty()) << "it waits with the one that is queued";
  answer(kOk);
  ASSERT_EQ(waiting(), 2u);
  EXPECT_EQ(asked(1)["client_id"], "c");
  answer(kOk);
  answer(kOk);
  EXPECT_TRUE(queued.came());
}

TEST_F(WebhookQueue, TheDeadlineCountsFromTheQuestionNotFromTheConnection) {
  options_.connections_max = 1;
  open(Hook::auth_on_register);
  ask(registering("a"));
  clock_.pass(1'000);
  const auto late = ask(registering("b"));
  clock_.pass(1'500);
  const auto later = ask(registering("c"));
  clock_.pass(3'500);
  answer_failure(http::errc::timeout);  // a's 5 s are over, and b's 5 s too
  ASSERT_TRUE(late.came());
  EXPECT_TRUE(late->failed);
  EXPECT_THAT(late->why, HasSubstr("no connection"));
  ASSERT_EQ(waiting(), 1u);
  EXPECT_EQ(asked()["client_id"], "c");
  EXPECT_EQ(sender_->sent[0].request.timeout_ms, 1'500);
  EXPECT_FALSE(later.came());
}

TEST_F(WebhookQueue, EndpointsHaveQueuesOfTheirOwn) {
  options_.connections_max = 1;
  open({hook(Hook::auth_on_register, "http://127.0.0.1/slow"),
        hook(Hook::auth_on_publish, "http://127.0.0.1/fast")});
  ask(registering());
  ask(publishing());
  EXPECT_EQ(waiting(), 2u);
}

using WebhookCircuit = WebhookTestBed;

TEST_F(WebhookCircuit, OpensAfterFailuresInARowAndTriesAgain) {
  options_.circuit_failures = 3;
  options_.circuit_open_ms = 2'000;
  open(Hook::auth_on_register);
  const auto failing = [&] {
    ask(registering());
    answer_status(500);
  };
  failing();
  failing();
  ask(registering());
  answer(kOk);  // not in a row
  failing();
  failing();
  EXPECT_EQ(registry_.value("courier_hook_circuit_open"), 0);
  failing();
  EXPECT_EQ(registry_.value("courier_hook_circuit_open"), 1);
  auto slot = ask(registering());
  ASSERT_TRUE(slot.came());
  EXPECT_TRUE(slot->failed);
  EXPECT_EQ(count(Hook::auth_on_register, "circuit_open"), 1);

  clock_.pass(2'000);
  const auto probe = ask(registering("probe"));
  EXPECT_EQ(waiting(), 1u);
  EXPECT_TRUE(ask(registering("other")).came()) << "one only tries";
  answer_status(500);
  EXPECT_TRUE(probe.came());
  EXPECT_TRUE(ask(registering()).came()) << "open again";

  clock_.pass(2'000);
  ask(registering());
  answer(kError);  // an answer, if not the wished one
  EXPECT_EQ(registry_.value("courier_hook_circuit_open"), 0);
  EXPECT_FALSE(ask(registering("next")).came());
}

TEST_F(WebhookCircuit, FailsAtOnceWhatWaitsInTheQueueWhenItOpens) {
  options_.circuit_failures = 1;
  options_.connections_max = 1;
  open(Hook::auth_on_register);
  ask(registering("a"));
  const auto queued = ask(registering("b"));
  answer_failure(http::errc::unreachable);
  ASSERT_TRUE(queued.came());
  EXPECT_TRUE(queued->failed);
  EXPECT_EQ(waiting(), 0u);
  EXPECT_EQ(registry_.value("courier_hook_requests_waiting"), 0);
}

TEST_F(WebhookCircuit, AProbeThatIsCancelledLetsAnotherTry) {
  options_.circuit_failures = 1;
  open(Hook::auth_on_register);
  ask(registering());
  answer_status(500);
  clock_.pass(2'000);
  webhooks_->cancel(ask(registering("a")).ticket);
  answer_failure(http::errc::cancelled);
  EXPECT_FALSE(ask(registering("b")).came());
  EXPECT_EQ(waiting(), 1u);
}

using WebhookOptions = WebhookTestBed;

TEST_F(WebhookOptions, ThatCouldNotWorkAreRefused) {
  const auto refused = [&](Options options) {
    auto opened = Webhooks::open(options, registry_, clock_, std::make_unique<TestSender>());
    EXPECT_FALSE(opened);
    return opened ? std::string() : opened.error().message;
  };
  const auto one = [&](auto change) {
    Options options{.hooks = {hook(Hook::auth_on_register)}};
    change(options.hooks[0]);
    return refused(options);
  };
  EXPECT_THAT(one([](HookOptions& h) { h.endpoint = "ftp://127.0.0.1/"; }), HasSubstr("http://"));
  EXPECT_THAT(one([](HookOptions& h) { h.endpoint = "http://a b/"; }), HasSubstr("white space"));
  EXPECT_THAT(one([](HookOptions& h) { h.endpoint += std::string(kUrlBytesMax, 'x'); }),
              HasSubstr("too long"));
  EXPECT_THAT(one([](HookOptions& h) { h.endpoint = "http://courier:secret@127.0.0.1/?@"; }),
              AllOf(HasSubstr("password before its host"), Not(HasSubstr("secret"))));
  EXPECT_THAT(one([](HookOptions& h) { h.timeout_ms = 0; }), HasSubstr("timeout"));
  EXPECT_THAT(one([](HookOptions& h) { h.key_file = "k"; }), HasSubstr("certificate_file"));
  EXPECT_THAT(one([](HookOptions& h) {
                h.name = Hook::on_auth_m5;
                h.on_failure = OnFailure::allow;
              }),
              HasSubstr("on_failure"));
  EXPECT_THAT(refused({.hooks = {hook(Hook::on_deliver), hook(Hook::on_deliver)}}), HasSubstr("twice"));
  EXPECT_THAT(refused({.hooks = std::vector<HookOptions>(kEndpointsMax + 1)}), HasSubstr("more than"));
  EXPECT_THAT(refused({.connections_max = 0}), HasSubstr("connections_max"));
}

// Answers on a thread of its own, in order, as fast as it can.
class BusySender final : public http::Sender {
 public:
  BusySender() : thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~BusySender() override {
    thread_.request_stop();
    thread_.join();
  }
  Id send(http::Request, Done done) override {
    const std::lock_guard lock(mutex_);
    posted_.emplace_back(++last_id_, std::move(done));
    wake_.notify_one();
    return last_id_;
  }
  void cancel(Id id) override {
    const std::lock_guard lock(mutex_);
    cancelled_.insert(id);
  }

 private:
  void run(const std::stop_token& stop) {
    for (;;) {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return !posted_.empty(); })) return;
      const auto [id, done] = std::move(posted_.front());
      posted_.pop_front();
      const bool cancelled = cancelled_.contains(id);
      lock.unlock();
      if (cancelled) {
        done(fail(http::errc::cancelled, "cancelled"));
      } else {
        done(http::Response{.status = id % 7 == 0 ? 500 : 200,
                            .body = id % 3 == 0 ? R"({"result":"next"})" : R"({"result":"ok"})"});
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::pair<Id, Done>> posted_;  // guarded by mutex_
  std::set<Id> cancelled_;                  // guarded by mutex_
  Id last_id_ = 0;                          // guarded by mutex_
  std::jthread thread_;
};

TEST(WebhookThreads, EachQuestionIsAnsweredOnceOrCancelled) {
  constexpr int kThreads = 4, kQuestions = 500;
  Registry registry;
  Options options{.connections_max = 3, .queue_max = 50, .circuit_failures = 4, .circuit_open_ms = 0};
  for (const char* url : {"http://127.0.0.1/1", "http://127.0.0.1/2"})
    options.hooks.push_back({.name = Hook::auth_on_register, .endpoint = url});
  const auto webhooks =
      Webhooks::open(options, registry, system_clock(), std::make_unique<BusySender>()).value();
  struct One {
    std::atomic<int> answers{0};
    bool cancelled = false;
  };
  std::vector<One> all(kThreads * kQuestions);
  std::atomic<int> answered{0};
  int cancelled = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kQuestions; ++i) {
          One& one = all[static_cast<size_t>(t * kQuestions + i)];
          // Every thread asks about the same clients, so that they join one another.
          RegisterQuestion question{.client = test_client(false, std::to_string(i))};
          const auto ticket = webhooks->ask(std::move(question), [&](RegisterAnswer) {
            ++one.answers;
            ++answered;
            answered.notify_all();
          });
          if (i % 5 == t) one.cancelled = webhooks->cancel(ticket);
        }
      });
    }
  }
  for (const One& one : all) cancelled += one.cancelled ? 1 : 0;
  for (int seen = answered; seen + cancelled < kThreads * kQuestions; seen = answered) answered.wait(seen);
  for (const One& one : all) EXPECT_EQ(one.answers, one.cancelled ? 0 : 1);
  EXPECT_EQ(registry.value("courier_hook_requests_waiting"), 0);
}

}  // namespace
}  // namespace courier::auth::webhook
