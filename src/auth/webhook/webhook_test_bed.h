// For tests: hooks whose endpoints are played by the test, and a clock in our hands.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth/webhook/webhooks.h"
#include "http/errc.h"
#include "jose/json_object.h"

namespace courier::auth::webhook {

class TestClock final : public Clock {
 public:
  WallMs wall_ms() const override { return wall; }
  MonoNs mono_ns() const override { return mono; }
  void pass(int64_t ms) {
    wall += ms;
    mono += ms * kNsPerMs;
  }
  std::atomic<WallMs> wall{1'700'000'000'000};
  std::atomic<MonoNs> mono{100 * kNsPerSecond};
};

// Keeps what is sent until the test answers it.
class TestSender final : public http::Sender {
 public:
  struct Sent {
    Id id = 0;
    http::Request request;
    Done done;
  };
  Id send(http::Request request, Done done) override {
    sent.push_back({++last_id_, std::move(request), std::move(done)});
    return last_id_;
  }
  void cancel(Id id) override { cancelled.push_back(id); }

  std::vector<Sent> sent;  // and not answered
  std::vector<Id> cancelled;

 private:
  Id last_id_ = 0;
};

// Where question() builds its client: of 5.0 or before.
inline HookClient test_client(bool m5, std::string client_id = "phone-7") {
  return {"", std::move(client_id), "ada", m5};
}

class WebhookTestBed : public testing::Test {
 protected:
  static HookOptions hook(Hook name, std::string endpoint = "http://127.0.0.1/hook") {
    return {.name = name, .endpoint = std::move(endpoint)};
  }
  void open(std::vector<HookOptions> hooks) {
    options_.hooks = std::move(hooks);
    auto sender = std::make_unique<TestSender>();
    sender_ = sender.get();
    auto opened = Webhooks::open(options_, registry_, clock_, std::move(sender));
    ASSERT_TRUE(opened) << opened.error().message;
    webhooks_ = std::move(*opened);
  }
  void open(Hook name) { open({hook(name)}); }

  // Asks; the answer is in the slot once it came, and must not come twice.
  template <typename What>
  struct Slot {
    std::shared_ptr<std::vector<HookAnswer<What>>> answers =
        std::make_shared<std::vector<HookAnswer<What>>>();
    Webhooks::Ticket ticket;
    bool came() const { return answers->size() == 1; }
    const HookAnswer<What>& operator*() const { return answers->at(0); }
    const HookAnswer<What>* operator->() const { return &answers->at(0); }
  };
  template <typename What, typename Asked>
  Slot<What> ask_as(Asked question) {
    Slot<What> slot;
    slot.ticket = webhooks_->ask(std::move(question), [answers = slot.answers](HookAnswer<What> answer) {
      answers->push_back(std::move(answer));
      EXPECT_EQ(answers->size(), 1u);
    });
    return slot;
  }
  Slot<RegisterChanges> ask(RegisterQuestion question) {
    return ask_as<RegisterChanges>(std::move(question));
  }
  Slot<PublishChanges> ask(PublishQuestion question) { return ask_as<PublishChanges>(std::move(question)); }
  Slot<SubscribeChanges> ask(SubscribeQuestion question) {
    return ask_as<SubscribeChanges>(std::move(question));
  }
  Slot<UnsubscribeChanges> ask(UnsubscribeQuestion question) {
    return ask_as<UnsubscribeChanges>(std::move(question));
  }
  Slot<DeliverChanges> ask(DeliverQuestion question) { return ask_as<DeliverChanges>(std::move(question)); }
  Slot<AuthChanges> ask(AuthQuestion question) { return ask_as<AuthChanges>(std::move(question)); }

  static RegisterQuestion registering(std::string client_id = "phone-7", uint16_t port = 1) {
    return {.client = test_client(false, std::move(client_id)),
            .peer_address = "192.0.2.7",
            .peer_port = port,
            .password = "secret"};
  }
  static PublishQuestion publishing(std::string payload = "hello") {
    return {.client = test_client(false), .topic = "a/b", .payload = std::move(payload)};
  }

  size_t waiting() const { return sender_->sent.size(); }
  // Answers the oldest request that waits.
  void answer(Result<http::Response> response) {
    ASSERT_FALSE(sender_->sent.empty());
    const auto done = std::move(sender_->sent.front().done);
    sender_->sent.erase(sender_->sent.begin());
    done(std::move(response));
  }
  void answer(std::string body, std::string cache_control = "") {
    http::Response response{.status = 200, .body = std::move(body)};
    if (!cache_control.empty()) response.headers.emplace_back("cache-control", std::move(cache_control));
    answer(Result<http::Response>(std::move(response)));
  }
  void answer_status(int status) { answer(Result<http::Response>(http::Response{.status = status})); }
  void answer_failure(http::errc code) { answer(Result<http::Response>(fail(code, "the line is dead"))); }
  jose::Json asked(size_t index = 0) const {
    return jose::parse_object(sender_->sent.at(index).request.body).value();
  }
  double count(Hook name, std::string result) {
    return registry_
        .value("courier_hook_requests_total",
               {{"hook", std::string(webhook::name(name))}, {"result", std::move(result)}})
        .value_or(-1);
  }

  static constexpr const char* kOk = R"({"result":"ok"})";
  static constexpr const char* kNext = R"({"result":"next"})";
  static constexpr const char* kError = R"({"result":{"error":"not_allowed"}})";

  Registry registry_;
  TestClock clock_;
  Options options_;
  TestSender* sender_ = nullptr;
  std::shared_ptr<Webhooks> webhooks_;
};

}  // namespace courier::auth::webhook
