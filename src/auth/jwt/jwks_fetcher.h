// Keys from a JWKS endpoint, fetched again and again on a thread of its own.
//
// The first fetch starts at once; nobody waits for it. After a good answer the next comes when its
// Cache-Control says so (max-age, within limits.h), else after refresh_ms; after a bad one sooner, then ever
// more seldom. While the endpoint is down or answers rubbish the last good keys stay: that is logged when it
// begins and when it ends, and their age is a metric. Shared secrets that an endpoint offers are left out:
// everybody who can read it would have them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/client.h"
#include "jose/key_set.h"

namespace courier::auth::jwt {

// Any thread may hurry it. Destruction ends a fetch that is under way.
class JwksFetcher {
 public:
  struct Options {
    std::string url, ca_file;
    int64_t refresh_ms = 0, timeout_ms = 0;
  };
  // `take` gets every set of keys that differs from the one before it, on the fetcher's thread. Registry and
  // clock must outlive it.
  JwksFetcher(Options options, std::unique_ptr<http::Client> client, Registry& registry, const Clock& clock,
              std::function<void(jose::KeySet)> take);
  ~JwksFetcher();
  JwksFetcher(const JwksFetcher&) = delete;
  JwksFetcher& operator=(const JwksFetcher&) = delete;

  // Somebody has a key id that is not known here: asks the endpoint now, unless it was asked less than
  // kHurryNs ago.
  void hurry();

  // Asks the endpoint now, whenever it was asked last.
  void fetch_now();

  // How long to wait after an answer with that Cache-Control (nullptr: none).
  static int64_t refresh_ms_after(const std::string* cache_control, int64_t otherwise_ms);

 private:
  void run();
  Result<int64_t> fetch();  // until the next one

  const Options options_;
  const std::string shown_url_;
  const std::unique_ptr<http::Client> client_;
  const Clock& clock_;
  const std::function<void(jose::KeySet)> take_;
  Counter& good_;
  Counter& bad_;
  // Shared with the metric, which the registry asks for longer than this lives.
  struct Age;
  const std::shared_ptr<Age> age_;
  std::string last_body_;  // of the fetcher's thread

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, hurried_ = false;  // guarded by mutex_
  MonoNs asked_at_;                          // guarded by mutex_: when the last fetch began

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace courier::auth::jwt
