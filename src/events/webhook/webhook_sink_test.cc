#include "events/webhook/webhook_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include "events/catalogue/fields.h"
#include "http/errc.h"
#include "http/http_test_server.h"
#include "jose/json_object.h"

namespace courier::events::webhook {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Answers as the test says, on a thread of its own; remembers what it was asked.
class Endpoint final : public http::Sender {
 public:
  using Answers = std::function<Result<http::Response>(const http::Request&)>;

  explicit Endpoint(Answers answers) : answers_(std::move(answers)), thread_([this] { run(); }) {}
  ~Endpoint() override {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Id send(http::Request request, Done done) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(request);
    most_ = std::max(most_, queue_.size() + 1);
    queue_.push_back({++last_, std::move(request), std::move(done)});
    changed_.notify_all();
    return last_;
  }
  void cancel(Id id) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_, [&](const Asked& each) { return each.id == id; });
  }
  std::vector<http::Request> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  size_t most() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  struct Asked {
    Id id = 0;
    http::Request request;
    Done done;
  };
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return over_ || !queue_.empty(); });
      if (over_) return;
      Asked one = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      one.done(answers_(one.request));
      lock.lock();
    }
  }

  const Answers answers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Asked> queue_;
  std::vector<http::Request> asked_;
  size_t most_ = 0;
  Id last_ = 0;
  bool over_ = false;
  std::thread thread_;
};

Result<http::Response> status(int code, http::Headers headers = {}) {
  http::Response response;
  response.status = code;
  response.headers = std::move(headers);
  return response;
}
std::string header(const http::Request& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return {};
}
std::vector<std::string> ids_in(const http::Request& request) {
  const auto json = jose::Json::parse(request.body);
  std::vector<std::string> ids;
  for (const auto& each : json.is_array() ? json : jose::Json::array({json})) ids.push_back(each["id"]);
  return ids;
}

class WebhookSinkTest : public ::testing::Test {
 protected:
  WebhookSinkTest() {
    fs::remove_all(folder_);
    options_.name = "hook";
    options_.url = "https://backend.example/events?key=secret";
    options_.source = "courier://c";
    options_.dead_letters_path = folder_ / "hook.jsonl";
    options_.retry_ms_min = 2;
    options_.retry_ms_max = 20;
  }
  ~WebhookSinkTest() override {
    sink_.reset();
    fs::remove_all(folder_);
  }
  void open(Endpoint::Answers answers) {
    auto endpoint = std::make_unique<Endpoint>(std::move(answers));
    endpoint_ = endpoint.get();
    auto sink = WebhookSink::open(options_, metrics_, std::move(endpoint));
    ASSERT_TRUE(sink) << sink.error().message;
    sink_ = std::move(*sink);
  }
  EventPtr event(int number, std::string_view client = "phone", WallMs time = system_clock().wall_ms()) {
    auto made = std::make_shared<Event>();
    made->position = Position(static_cast<uint64_t>(number));
    made->kind = Kind::publish;
    FieldWriter(made->bytes)
        .text(Field::id, std::to_string(number))
        .text(Field::client_id, client)
        .number(Field::time_ns, static_cast<uint64_t>(time * kNsPerMs));
    return made;
  }
  Told tell(const std::vector<EventPtr>& events) {
    auto told = sink_->tell({}, events);
    EXPECT_TRUE(told) << told.error().message;
    return told ? *told : Told{};
  }
  // Until so many are done with, or it takes too long.
  size_t tell_all(const std::vector<EventPtr>& events) {
    size_t finished = tell(events).finished;
    for (int i = 0; i < 300 && finished < events.size(); ++i) finished += tell({}).finished;
    return finished;
  }
  std::vector<std::string> taken_ids() {
    const std::lock_guard lock(mutex_);
    return taken_;
  }
  // For endpoints that take what they are asked.
  void take(const http::Request& request) {
    const std::lock_guard lock(mutex_);
    for (const std::string& id : ids_in(request)) taken_.push_back(id);
  }

  const fs::path folder_ = fs::path(::testing::TempDir()) / ("courier_webhook_" + std::to_string(::getpid()));
  WebhookSinkOptions options_;
  Registry metrics_;
  Endpoint* endpoint_ = nullptr;
  std::unique_ptr<WebhookSink> sink_;
  std::mutex mutex_;
  std::vector<std::string> taken_;
};

using Ids = std::vector<std::string>;

TEST_F(WebhookSinkTest, EachEventIsARequestWithItsIdAndASignature) {
  options_.secrets = {std::string(32, 's')};
  options_.headers = {{"authorization", "Bearer t"}};
  open([](const http::Request&) { return status(204); });
  EXPECT_EQ(tell_all({event(1), event(2)}), 2u);
  const auto asked = endpoint_->asked();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].method, "POST");
  EXPECT_EQ(asked[0].url, options_.url);
  EXPECT_EQ(asked[0].redirects_max, 0);
  EXPECT_FALSE(asked[0].link_local);
  EXPECT_EQ(header(asked[0], "webhook-id"), "1");
  EXPECT_THAT(header(asked[0], "webhook-signature"), testing::StartsWith("v1,"));
  EXPECT_EQ(header(asked[0], "authorization"), "Bearer t");
  EXPECT_EQ(sink_->state().taken, 2u);
  EXPECT_FALSE(sink_->busy());
}

TEST_F(WebhookSinkTest, ManyClientsGoAtOnceEachInOrder) {
  options_.parallel = 8;
  open([this](const http::Request& request) {
    take(request);
    return status(200);
  });
  std::vector<EventPtr> events;
  for (int i = 0; i < 200; ++i) events.push_back(event(i, "client" + std::to_string(i % 20)));
  EXPECT_EQ(tell_all(events), 200u);
  EXPECT_GT(endpoint_->most(), 1u);
  EXPECT_LE(endpoint_->most(), 8u);
  std::array<int, 20> last{};
  last.fill(-1);
  for (const std::string& id : taken_ids()) {
    const int number = std::stoi(id);
    EXPECT_GT(number, last[static_cast<size_t>(number % 20)]);
    last[static_cast<size_t>(number % 20)] = number;
  }
}

TEST_F(WebhookSinkTest, WhatFailsComesAgainWithTheSameIdAndNothingOfItsClientOvertakesIt) {
  int failures = 3;
  open([&](const http::Request& request) -> Result<http::Response> {
    if (header(request, "webhook-id") == "1" && failures > 0) {
      --failures;
      if (failures == 1) return fail(http::errc::timeout, "it did not answer in time");
      return status(failures == 2 ? 500 : 302);
    }
    take(request);
    return status(200);
  });
  EXPECT_EQ(tell_all({event(1), event(2)}), 2u);
  EXPECT_EQ(taken_ids(), Ids({"1", "2"}));
  EXPECT_EQ(sink_->state().failed, 3u);
  EXPECT_EQ(sink_->state().trouble, "");
}

TEST_F(WebhookSinkTest, OneThatIsNeverTakenIsADeadLetterAndHoldsUpNoOtherClient) {
  open([&](const http::Request& request) {
    if (header(request, "webhook-id") == "1") return status(500);
    take(request);
    return status(200);
  });
  tell({event(1, "poison"), event(2, "poison"), event(3, "fine")});
  int number = 4;
  while (sink_->state().given_up == 0 && number < 1000) tell({event(number++, "fine")});
  while (sink_->busy()) tell({});
  EXPECT_EQ(sink_->state().dead_letters, 1u);
  EXPECT_EQ(metrics_.value("courier_sink_given_up_total", {{"sink", "hook"}}), 1);
  const Ids taken = taken_ids();
  EXPECT_EQ(taken.front(), "3");
  EXPECT_TRUE(std::ranges::count(taken, "2") == 1);
  std::ifstream in(options_.dead_letters_path);
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  const auto letter = jose::Json::parse(line);
  EXPECT_EQ(letter["event"]["id"], "1");
  EXPECT_EQ(letter["attempts"], 5);
  EXPECT_EQ(letter["why"], "https://backend.example/events answered 500") << "the query may hold a secret";
}

TEST_F(WebhookSinkTest, WhileNothingIsTakenNothingIsGivenUp) {
  std::atomic<bool> down = true;
  open([&](const http::Request& request) -> Result<http::Response> {
    if (down) return status(400);
    take(request);
    return status(200);
  });
  std::vector<EventPtr> events;
  for (int i = 0; i < 20; ++i) events.push_back(event(i, std::to_string(i)));
  Told told = tell(events);
  for (int i = 0; i < 300 && (endpoint_->asked().size() < 60 || told.trouble.empty()); ++i) told = tell({});
  EXPECT_EQ(told.finished, 0u);
  EXPECT_THAT(told.trouble, HasSubstr("answered 400"));
  EXPECT_TRUE(sink_->state().resting);
  EXPECT_EQ(sink_->state().given_up, 0u);
  down = false;
  size_t finished = 0;
  for (int i = 0; i < 300 && finished < 20; ++i) finished += tell({}).finished;
  EXPECT_EQ(finished, 20u);
  EXPECT_FALSE(sink_->state().resting);
}

TEST_F(WebhookSinkTest, WhoRestsIsAskedOneRequestAtATime) {
  options_.parallel = 16;
  open([](const http::Request&) { return status(503); });
  std::vector<EventPtr> events;
  for (int i = 0; i < 16; ++i) events.push_back(event(i, std::to_string(i)));
  tell(events);
  while (!sink_->state().resting) tell({});
  while (sink_->state().under_way > 0) tell({});
  for (int i = 0; i < 5; ++i) {
    tell({});
    EXPECT_LE(sink_->state().under_way, 1u);
  }
}

TEST_F(WebhookSinkTest, WhatIsADayOldIsADeadLetterWhenItFails) {
  open([](const http::Request&) { return status(500); });
  const WallMs now = system_clock().wall_ms();
  EXPECT_EQ(tell_all({event(1, "a", now - 25 * 3'600'000)}), 1u);
  EXPECT_EQ(sink_->state().dead_letters, 1u);
}

TEST_F(WebhookSinkTest, WhoIsGoneIsNotAskedAgainUntilATestIsTaken) {
  std::atomic<bool> gone = true;
  open([&](const http::Request& request) {
    if (gone) return status(410);
    if (!header(request, "webhook-id").starts_with("test-")) take(request);
    return status(200);
  });
  Told told = tell({event(1), event(2, "other")});
  EXPECT_THAT(told.trouble, HasSubstr("410"));
  while (sink_->state().under_way > 0) tell({});
  const size_t asked = endpoint_->asked().size();
  tell({});
  EXPECT_EQ(endpoint_->asked().size(), asked);
  EXPECT_TRUE(sink_->state().gone);
  gone = false;
  std::promise<Result<Trial>> promise;
  sink_->test(Kind::publish, [&](Result<Trial> trial) { promise.set_value(std::move(trial)); });
  const auto trial = promise.get_future().get();
  ASSERT_TRUE(trial);
  EXPECT_EQ(trial->status, 200);
  size_t finished = 0;
  for (int i = 0; i < 300 && finished < 2; ++i) finished += tell({}).finished;
  EXPECT_EQ(finished, 2u);
  EXPECT_EQ(std::set<std::string>({"1", "2"}), [&] {
    const Ids taken = taken_ids();
    return std::set<std::string>(taken.begin(), taken.end());
  }());
}

TEST_F(WebhookSinkTest, RetryAfterHoldsEverybodyBack) {
  std::atomic<int> first = 1;
  open([&](const http::Request&) -> Result<http::Response> {
    if (first-- > 0) return status(429, {{"retry-after", "1"}});
    return status(200);
  });
  const MonoNs began = system_clock().mono_ns();
  tell({event(1, "a")});
  while (sink_->state().failed == 0) tell({});
  EXPECT_EQ(tell_all({event(2, "b"), event(3, "c")}), 3u) << "and the first";
  EXPECT_GE(system_clock().mono_ns() - began, 900 * kNsPerMs);
}

TEST_F(WebhookSinkTest, ABatchHasManyClientsAndIsTakenApartWhenItIsRefused) {
  options_.mode = Mode::batch;
  options_.batch_events_max = 10;
  open([&](const http::Request& request) {
    const auto ids = ids_in(request);
    if (std::ranges::count(ids, "5") != 0) return status(422);
    take(request);
    return status(200);
  });
  std::vector<EventPtr> events;
  for (int i = 0; i < 30; ++i) events.push_back(event(i, "client" + std::to_string(i % 3)));
  EXPECT_EQ(tell_all(events), 30u);
  EXPECT_EQ(taken_ids().size(), 29u);
  EXPECT_EQ(sink_->state().dead_letters, 1u);
  EXPECT_LT(endpoint_->asked().size(), 20u);
  std::array<int, 3> last{-1, -1, -1};
  for (const std::string& id : taken_ids()) {
    const int number = std::stoi(id);
    EXPECT_GT(number, last[static_cast<size_t>(number % 3)]);
    last[static_cast<size_t>(number % 3)] = number;
  }
}

TEST_F(WebhookSinkTest, ABatchThatFailsComesAgainAsItWas) {
  options_.mode = Mode::batch;
  std::atomic<int> failures = 2;
  open([&](const http::Request&) { return status(failures-- > 0 ? 503 : 200); });
  tell({event(1, "a"), event(2, "b")});
  EXPECT_EQ(tell_all({event(3, "c")}), 1u);
  std::set<std::string> bodies;
  int of_two = 0;
  for (const http::Request& request : endpoint_->asked()) {
    if (ids_in(request) != Ids({"1", "2"})) continue;
    ++of_two;
    bodies.insert(header(request, "webhook-id") + request.body);
  }
  EXPECT_GE(of_two, 2);
  EXPECT_EQ(bodies.size(), 1u);
}

TEST_F(WebhookSinkTest, DeadLettersAreToldAgainAlsoAfterARestart) {
  std::atomic<bool> down = true;
  const auto answers = [&](const http::Request& request) {
    if (down) return status(500);
    take(request);
    return status(200);
  };
  open(answers);
  const WallMs old = system_clock().wall_ms() - 25 * 3'600'000;
  EXPECT_EQ(tell_all({event(1, "a", old), event(2, "a", old), event(3, "b", old)}), 3u);
  EXPECT_EQ(sink_->state().dead_letters, 3u);
  EXPECT_EQ(sink_->replay(), 3u);
  while (sink_->busy()) tell({});
  EXPECT_EQ(sink_->state().dead_letters, 3u) << "still not taken: dead letters again";
  sink_.reset();
  open(answers);
  EXPECT_EQ(sink_->state().dead_letters, 3u);
  down = false;
  sink_->replay();
  while (sink_->busy()) tell({});
  EXPECT_EQ(sink_->state().dead_letters, 0u);
  Ids taken = taken_ids();
  std::ranges::sort(taken);
  EXPECT_EQ(taken, Ids({"1", "2", "3"}));
  EXPECT_FALSE(fs::exists(options_.dead_letters_path + ".replay"));
}

TEST_F(WebhookSinkTest, AReplayThatIsCutOffIsDoneAgain) {
  std::atomic<bool> down = true;
  std::promise<void> over;
  open([&, future = over.get_future().share()](const http::Request&) {
    if (!down) future.wait();
    return status(down ? 500 : 200);
  });
  EXPECT_EQ(tell_all({event(1, "a", 0), event(2, "b", 0)}), 2u);
  down = false;
  sink_->replay();
  while (sink_->state().under_way == 0) tell({});
  sink_->forget();  // another node tells it
  over.set_value();
  sink_.reset();
  open([&](const http::Request& request) {
    take(request);
    return status(200);
  });
  sink_->replay();
  while (sink_->busy()) tell({});
  EXPECT_EQ(sink_->state().dead_letters, 0u);
}

TEST_F(WebhookSinkTest, WhatIsForgottenIsNotSaidToBeDone) {
  open([](const http::Request&) { return status(500); });
  tell({event(1)});
  sink_->forget();
  EXPECT_FALSE(sink_->busy());
  EXPECT_EQ(tell({}).finished, 0u);
}

TEST_F(WebhookSinkTest, BestEffortEventsAreToldAndNotKept) {
  std::atomic<bool> down = false;
  open([&](const http::Request& request) {
    if (down) return status(400);
    take(request);
    return status(200);
  });
  const EventPtr noted[] = {event(1)};
  ASSERT_TRUE(sink_->tell(noted, {}));
  while (sink_->busy()) tell({});
  EXPECT_EQ(taken_ids(), Ids({"1"}));
  down = true;
  const EventPtr old[] = {event(2, "a", 0)};
  ASSERT_TRUE(sink_->tell(old, {}));
  while (sink_->busy()) tell({});
  EXPECT_EQ(sink_->state().given_up, 1u);
  EXPECT_EQ(sink_->state().dead_letters, 0u);
}

TEST_F(WebhookSinkTest, StandsStillNoLongerThanItIsTold) {
  std::promise<void> over;
  const std::shared_future<void> future = over.get_future().share();
  open([future](const http::Request&) {
    future.wait();
    return status(200);
  });
  std::thread stopper([&] { sink_->stop(); });
  while (sink_->tell({}, std::vector<EventPtr>{event(1)})) continue;
  stopper.join();
  over.set_value();
}

TEST_F(WebhookSinkTest, OverARealConnection) {
  std::mutex mutex;
  std::string seen;
  http::test::Server server([&](const std::string& request) {
    const std::lock_guard lock(mutex);
    seen = request;
    return http::test::answer("thanks");
  });
  options_.url = server.url("/hook");
  options_.profile = Profile::vernemq;
  auto sink = WebhookSink::open(options_, metrics_);
  ASSERT_TRUE(sink) << sink.error().message;
  sink_ = std::move(*sink);
  EXPECT_EQ(tell_all({event(1)}), 1u);
  const std::lock_guard lock(mutex);
  EXPECT_THAT(seen, testing::StartsWith("POST /hook HTTP/1.1\r\n"));
  EXPECT_THAT(seen, HasSubstr("vernemq-hook: on_publish\r\n"));
}

TEST_F(WebhookSinkTest, AnAddressOfTheLinkIsNotTold) {
  options_.url = "http://169.254.169.254/";
  auto sink = WebhookSink::open(options_, metrics_);
  ASSERT_TRUE(sink);
  sink_ = std::move(*sink);
  tell({event(1)});
  while (sink_->state().failed < 3) tell({});
  EXPECT_THAT(tell({}).trouble, HasSubstr("allow_link_local"));
}

}  // namespace
}  // namespace courier::events::webhook
