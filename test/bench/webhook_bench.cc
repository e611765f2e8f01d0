// What a hook's decision costs the thread that asks: remembered, and asked anew with nobody on the line.
#include <benchmark/benchmark.h>

#include <memory>
#include <utility>

#include "auth/webhook/webhooks.h"

namespace {

using namespace courier;
using namespace courier::auth::webhook;

// Answers as soon as it is told to.
class InstantSender final : public http::Sender {
 public:
  Id send(http::Request, Done done) override {
    done_ = std::move(done);
    return 1;
  }
  void cancel(Id) override {}
  void answer() {
    http::Response response{.status = 200, .body = R"({"result":"ok"})"};
    response.headers.emplace_back("cache-control", "max-age=3600");
    std::exchange(done_, nullptr)(std::move(response));
  }

 private:
  Done done_;
};

auth::PublishQuestion question() {
  return {.client = {"", "phone-0007", "ada", false},
          .topic = "phones/phone-0007/up",
          .payload = std::string(100, 'x'),
          .qos = mqtt::Qos::at_least_once};
}

void run(benchmark::State& state, uint32_t cache_entries_max) {
  Registry registry;
  Options options{.cache_entries_max = cache_entries_max};
  options.hooks.push_back({.name = Hook::auth_on_publish, .endpoint = "http://127.0.0.1/hook"});
  auto sender = std::make_unique<InstantSender>();
  InstantSender& line = *sender;
  const auto webhooks = Webhooks::open(options, registry, system_clock(), std::move(sender)).value();
  webhooks->ask(question(), [](const auth::PublishAnswer&) {});
  line.answer();
  for (auto _ : state) {
    bool ok = false;
    webhooks->ask(question(), [&](const auth::PublishAnswer& answer) { ok = answer.ok(); });
    if (cache_entries_max == 0) line.answer();
    if (!ok) state.SkipWithError("not ok");
  }
}

void remembered(benchmark::State& state) {
  run(state, 100);
}
void asked(benchmark::State& state) {
  run(state, 0);
}

BENCHMARK(remembered);
BENCHMARK(asked);

}  // namespace

BENCHMARK_MAIN();
