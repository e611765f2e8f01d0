#include "auth/jwt/jwks_fetcher.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>

#include <fmt/format.h>

#include "auth/jwt/limits.h"
#include "base/log.h"
#include "http/cache_control.h"
#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::auth::jwt {
namespace {

Counter& fetches(Registry& registry, const char* result) {
  return registry.counter("courier_jwks_fetches_total",
                          "Times that the keys of tokens were asked for, by result.", {{"result", result}});
}

}  // namespace

struct JwksFetcher::Age {
  std::atomic<WallMs> since{0};  // of the last good answer; 0: this is over
};

JwksFetcher::JwksFetcher(Options options, std::unique_ptr<http::Client> client, Registry& registry,
                         const Clock& clock, std::function<void(jose::KeySet)> take)
    : options_(std::move(options)),
      shown_url_(http::without_secrets(options_.url)),
      client_(std::move(client)),
      clock_(clock),
      take_(std::move(take)),
      good_(fetches(registry, "good")),
      bad_(fetches(registry, "failed")),
      age_(std::make_shared<Age>()),
      asked_at_(clock.mono_ns()) {
  age_->since = clock.wall_ms();
  registry.gauge_callback(
      "courier_jwks_age_seconds",
      "How long ago the keys of tokens were last fetched; before the first time, since the start.", {},
      [age = age_, &clock] {
        const WallMs since = age->since;
        return since == 0 ? 0.0 : static_cast<double>(clock.wall_ms() - since) / 1000;
      });
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "jwks");
}

JwksFetcher::~JwksFetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  client_->cancel();
  wake_.notify_all();
  thread_.join();
  age_->since = 0;
}

void JwksFetcher::hurry() {
  {
    const std::lock_guard lock(mutex_);
    if (hurried_ || clock_.mono_ns() - asked_at_ < kHurryNs) return;
    hurried_ = true;
  }
  wake_.notify_all();
}

void JwksFetcher::fetch_now() {
  {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
  }
  wake_.notify_all();
}

void JwksFetcher::run() {
  int64_t retry_ms = kRetryMsMin;
  bool down = false;
  for (;;) {
    const auto next_ms = fetch();
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    int64_t wait_ms = 0;
    if (next_ms) {
      good_.add();
      age_->since = clock_.wall_ms();
      if (down) log::info("the keys of tokens can be fetched again", {{"url", shown_url_}});
      down = false;
      retry_ms = kRetryMsMin;
      wait_ms = *next_ms;
    } else {
      bad_.add();
      if (!down) {
        log::error("the keys of tokens cannot be fetched; those from before, if any, stay in force",
                   {{"error", next_ms.error().message}});
      }
      down = true;
      wait_ms = retry_ms;
      retry_ms = std::min(retry_ms * 2, kRetryMsMax);
    }
    wake_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_ || hurried_; });
    if (stopping_) return;
    hurried_ = false;
    asked_at_ = clock_.mono_ns();
  }
}

Result<int64_t> JwksFetcher::fetch() {
  const auto response = client_->fetch({.url = options_.url,
                                        .headers = {{"Accept", "application/jwk-set+json, application/json"}},
                                        .timeout_ms = options_.timeout_ms,
                                        .body_bytes_max = jose::kKeySetBytesMax,
                                        .redirects_max = 3,
                                        .ca_file = options_.ca_file});
  if (!response) return fail(response.error());
  if (response->status != 200) {
    return fail(jose::errc::unreadable,
                fmt::format("{}: the server answers with status {}", shown_url_, response->status));
  }
  const int64_t next_ms = refresh_ms_after(response->header("cache-control"), options_.refresh_ms);
  if (response->body == last_body_) return next_ms;
  const auto parsed = jose::KeySet::parse(response->body);
  if (!parsed) return fail(parsed.error().within(shown_url_));
  jose::KeySet keys;
  for (const jose::Key& key : parsed->keys()) {
    if (key.type() != jose::KeyType::secret) keys.add(key);
  }
  if (keys.empty()) {
    return fail(jose::errc::no_keys,
                shown_url_ + ": it offers shared secrets only, which are not taken from there");
  }
  for (const std::string& skipped : parsed->skipped()) {
    log::warn("a key of the endpoint is left out", {{"url", shown_url_}, {"why", skipped}});
  }
  log::info("keys of tokens fetched", {{"url", shown_url_}, {"keys", keys.size()}});
  take_(std::move(keys));
  last_body_ = response->body;
  return next_ms;
}

int64_t JwksFetcher::refresh_ms_after(const std::string* cache_control, int64_t otherwise_ms) {
  if (cache_control == nullptr) return otherwise_ms;
  const auto seconds = http::max_age_seconds(*cache_control);
  if (!seconds || *seconds == 0) return otherwise_ms;
  return std::clamp(std::min(*seconds, kRefreshMsMax) * 1000, kRefreshMsMin, kRefreshMsMax);
}

}  // namespace courier::auth::jwt
