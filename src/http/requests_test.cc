#include "http/requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <memory>
#include <utility>

#include "http/errc.h"
#include "http/http_test_server.h"

namespace courier::http {
namespace {

using test::answer;
using test::Server;

std::unique_ptr<Requests> requests() {
  return Requests::open(10).value();
}

// The answer is there when the future is.
std::pair<Sender::Id, std::future<Result<Response>>> send(Requests& by, Request request) {
  auto promise = std::make_shared<std::promise<Result<Response>>>();
  auto future = promise->get_future();
  const auto id = by.send(std::move(request),
                          [promise](Result<Response> response) { promise->set_value(std::move(response)); });
  return {id, std::move(future)};
}

TEST(HttpRequests, AnswersWhatWasPosted) {
  std::string seen;
  Server server([&](const std::string& request) {
    seen = request;
    return answer("hello");
  });
  const auto by = requests();
  const auto response =
      send(*by, {.url = server.url("/x"), .method = "POST", .headers = {{"a", "b"}}, .body = "{}"})
          .second.get();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "hello");
  EXPECT_THAT(seen, testing::StartsWith("POST /x HTTP/1.1\r\n"));
  EXPECT_THAT(seen, testing::EndsWith("\r\n\r\n{}"));
}

TEST(HttpRequests, RunBesideEachOther) {
  std::latch both(2);
  const auto wait_for_both = [&](const std::string&) {
    both.arrive_and_wait();  // neither answers before both were asked
    return answer("");
  };
  Server one(wait_for_both), two(wait_for_both);
  const auto by = requests();
  auto first = send(*by, {.url = one.url()}), second = send(*by, {.url = two.url()});
  EXPECT_TRUE(first.second.get());
  EXPECT_TRUE(second.second.get());
}

TEST(HttpRequests, ACancelledOneEndsAndOthersDoNot) {
  std::latch asked(1), let_go(1);
  Server stuck([&](const std::string&) {
    asked.count_down();
    let_go.wait();
    return answer("");
  });
  Server server([](const std::string&) { return answer(""); });
  const auto by = requests();
  auto waiting = send(*by, {.url = stuck.url(), .timeout_ms = 600'000});
  asked.wait();
  by->cancel(waiting.first);
  EXPECT_EQ(waiting.second.get().error().code, errc::cancelled);
  EXPECT_TRUE(send(*by, {.url = server.url()}).second.get());
  by->cancel(waiting.first);  // it has ended
  by->cancel(12'345);         // there never was one
  EXPECT_TRUE(send(*by, {.url = server.url()}).second.get());
  let_go.count_down();
}

TEST(HttpRequests, FailAsAClientsDo) {
  const auto by = requests();
  EXPECT_EQ(send(*by, {.url = "ftp://127.0.0.1/"}).second.get().error().code, errc::bad_url);
  std::string gone;
  {
    Server server([](const std::string&) { return answer(""); });
    gone = server.url();
  }
  EXPECT_EQ(send(*by, {.url = gone}).second.get().error().code, errc::unreachable);
  std::latch let_go(1);
  Server stuck([&](const std::string&) {
    let_go.wait();
    return answer("");
  });
  EXPECT_EQ(send(*by, {.url = stuck.url(), .timeout_ms = 1}).second.get().error().code, errc::timeout);
  let_go.count_down();
}

TEST(HttpRequests, DestructionTellsNobody) {
  std::latch asked(1), let_go(1);
  Server stuck([&](const std::string&) {
    asked.count_down();
    let_go.wait();
    return answer("");
  });
  auto by = requests();
  auto waiting = send(*by, {.url = stuck.url(), .timeout_ms = 600'000});
  asked.wait();
  by.reset();
  EXPECT_THROW(waiting.second.get(), std::future_error);  // its promise ended without a value
  let_go.count_down();
}

}  // namespace
}  // namespace courier::http
