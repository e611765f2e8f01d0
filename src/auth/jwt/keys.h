// The keys in force: those of the secret file, of the key files, and of the JWKS endpoint, together.
//
// Files are looked at when somebody asks for it, at most once a second, and read again when they changed; one
// that is gone or bad leaves its old keys in force and is logged once. Each change makes a new generation, so
// that nothing which was judged by the old keys counts any longer. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auth/jwt/jwks_fetcher.h"
#include "auth/jwt/options.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/result.h"
#include "jose/key_set.h"

namespace courier::auth::jwt {

// A file's shared secret: without one line feed at its end; in base64url, if it is said to be, with padding
// or without. Errors: bad_base64url, bad_key.
Result<jose::KeySet> parse_secret(const std::string& text, bool base64);

class Keys {
 public:
  // Errors: bad_options (no source of keys), jose::errc::unreadable, and those of jose::KeySet::parse(). Of
  // an endpoint nothing is awaited. Registry and clock must outlive it. What `previous` had from the same
  // endpoint stays in force until it answers.
  static Result<std::unique_ptr<Keys>> open(const Options& options, Registry& registry, const Clock& clock,
                                            const Keys* previous = nullptr);

  struct Now {
    std::shared_ptr<const jose::KeySet> set;  // shared: a check outlives a change
    uint64_t generation = 0;
    bool awaited = false;  // the endpoint has not answered yet, not once
  };
  Now now() const;

  // True for one caller a second, who then calls look() where it may wait for a disk.
  bool look_due();
  void look();
  // Reads all files now; what they hold counts, and the endpoint is asked, once the commit that comes back is
  // called. Errors: as open().
  Result<std::function<void()>> prepare_reload();
  // A key id that is not in the set: asks the endpoint, if there is one.
  void miss();

 private:
  struct Source {
    WatchedFile file;  // guarded by looking_
    std::function<Result<jose::KeySet>(const std::string& text)> parse;
    jose::KeySet keys;  // guarded by mutex_
  };

  explicit Keys(const Clock& clock);
  Result<void> add(const std::string& path, std::function<Result<jose::KeySet>(const std::string&)> parse);
  void publish();  // with mutex_ held

  const Clock& clock_;
  std::atomic<MonoNs> looked_at_;
  std::mutex looking_;         // one reads at a time; taken before mutex_
  std::vector<Source> files_;  // as many as were opened

  std::string jwks_source_;  // the endpoint and whom it is trusted for; empty: none
  mutable std::mutex mutex_;
  jose::KeySet fetched_;                     // guarded by mutex_
  bool awaited_ = false;                     // guarded by mutex_
  std::shared_ptr<const jose::KeySet> set_;  // guarded by mutex_
  uint64_t generation_ = 0;                  // guarded by mutex_

  std::unique_ptr<JwksFetcher> fetcher_;  // last: its thread uses the above
};

}  // namespace courier::auth::jwt
