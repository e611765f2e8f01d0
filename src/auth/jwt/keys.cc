#include "auth/jwt/keys.h"

#include <utility>

#include <fmt/format.h>

#include "auth/jwt/errc.h"
#include "auth/jwt/limits.h"
#include "base/log.h"
#include "http/client.h"
#include "jose/base64url.h"
#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::auth::jwt {
namespace {

// RFC 7518, section 3.2: as long as the hash at least.
constexpr size_t kSecretBytesWanted = 32;

Result<jose::KeySet> read_keys(const std::string& path,
                               const std::function<Result<jose::KeySet>(const std::string&)>& parse) {
  const auto text = read_file(path, jose::kKeySetBytesMax);
  if (!text) return fail(jose::errc::unreadable, text.error().message);
  auto keys = parse(*text);
  if (!keys) return fail(keys.error().within(path));
  for (const std::string& skipped : keys->skipped())
    log::warn("a key is left out", {{"file", path}, {"why", skipped}});
  return keys;
}

}  // namespace

Result<jose::KeySet> parse_secret(const std::string& text, bool base64) {
  std::string bytes = text;
  if (bytes.ends_with('\n')) bytes.pop_back();
  if (bytes.ends_with('\r')) bytes.pop_back();
  if (base64) {
    // Padding that is not quite right is no reason to refuse a file of our own.
    while (bytes.ends_with('=')) bytes.pop_back();
    auto decoded = jose::decode_base64(bytes);
    if (!decoded) return fail(decoded.error());
    bytes = std::move(*decoded);
  }
  auto key = jose::Key::secret(bytes);
  if (!key) return fail(key.error());
  jose::KeySet set;
  set.add(std::move(*key));
  return set;
}

Keys::Keys(const Clock& clock) : clock_(clock), looked_at_(clock.mono_ns()) {}

Result<std::unique_ptr<Keys>> Keys::open(const Options& options, Registry& registry, const Clock& clock,
                                         const Keys* previous) {
  if (options.secret_file.empty() && options.key_files.empty() && options.jwks_url.empty()) {
    return fail(errc::bad_options,
                "there is no key to check tokens with: set secret_file, key_files or jwks_url");
  }
  if (options.jwks_refresh_ms < kRetryMsMin) {
    return fail(errc::bad_options, "jwks_refresh: a second is the least");
  }
  if (options.jwks_timeout_ms <= 0) {
    return fail(errc::bad_options, "jwks_timeout: it must be more than nothing");
  }
  std::unique_ptr<Keys> keys(new Keys(clock));
  if (!options.secret_file.empty()) {
    auto added = keys->add(options.secret_file, [base64 = options.secret_base64](const std::string& text) {
      return parse_secret(text, base64);
    });
    if (!added) return fail(added.error());
    if (keys->files_.back().keys.keys()[0].secret_bytes().size() < kSecretBytesWanted) {
      log::warn("the shared secret of tokens is short; with less than 32 bytes it can be guessed",
                {{"file", options.secret_file}});
    }
  }
  for (const std::string& path : options.key_files) {
    auto added = keys->add(path, [](const std::string& text) { return jose::KeySet::parse(text); });
    if (!added) return fail(added.error());
  }
  keys->awaited_ = !options.jwks_url.empty();
  if (keys->awaited_) keys->jwks_source_ = options.jwks_url + "\n" + options.jwks_ca_file;
  if (previous && keys->awaited_ && previous->jwks_source_ == keys->jwks_source_) {
    const std::lock_guard lock(previous->mutex_);
    keys->fetched_ = previous->fetched_;
    keys->awaited_ = previous->awaited_;
  }
  keys->publish();
  if (options.jwks_url.empty()) return keys;

  if (!options.jwks_url.starts_with("https://") && !options.jwks_url.starts_with("http://")) {
    return fail(
        errc::bad_options,
        fmt::format("jwks_url: \"{}\" starts neither with https:// nor with http://", options.jwks_url));
  }
  if (options.jwks_url.starts_with("http://")) {
    log::warn("keys of tokens come over plain HTTP: who stands in between can give itself any name",
              {{"url", http::without_secrets(options.jwks_url)}});
  }
  auto client = http::Client::open();
  if (!client) return fail(client.error());
  keys->fetcher_ = std::make_unique<JwksFetcher>(
      JwksFetcher::Options{options.jwks_url, options.jwks_ca_file, options.jwks_refresh_ms,
                           options.jwks_timeout_ms},
      std::move(*client), registry, clock, [keys = keys.get()](jose::KeySet fetched) {
        const std::lock_guard lock(keys->mutex_);
        keys->fetched_ = std::move(fetched);
        keys->awaited_ = false;
        keys->publish();
      });
  return keys;
}

Result<void> Keys::add(const std::string& path,
                       std::function<Result<jose::KeySet>(const std::string&)> parse) {
  WatchedFile file(path, clock_.mono_ns());
  auto keys = read_keys(path, parse);
  if (!keys) return fail(keys.error());
  files_.push_back({std::move(file), std::move(parse), std::move(*keys)});
  return {};
}

void Keys::publish() {
  auto set = std::make_shared<jose::KeySet>();
  for (const Source& source : files_) set->add(source.keys);
  set->add(fetched_);
  set_ = std::move(set);
  ++generation_;
}

Keys::Now Keys::now() const {
  const std::lock_guard lock(mutex_);
  return {set_, generation_, awaited_};
}

bool Keys::look_due() {
  const MonoNs now = clock_.mono_ns();
  MonoNs last = looked_at_.load(std::memory_order_relaxed);
  return now - last >= WatchedFile::kLookEveryNs && looked_at_.compare_exchange_strong(last, now);
}

void Keys::look() {
  const std::unique_lock looking(looking_, std::try_to_lock);
  if (!looking) return;  // the disk is slow; the one who waits for it will see what changed
  const MonoNs now = looked_at_;
  for (Source& source : files_) {
    if (!source.file.changed(now)) continue;
    auto keys = read_keys(source.file.path(), source.parse);
    if (!keys) {
      log::error("a file of keys changed but is no good; its keys from before stay in force",
                 {{"error", keys.error().message}});
      continue;
    }
    log::info("keys of tokens read again", {{"file", source.file.path()}, {"keys", keys->size()}});
    const std::lock_guard lock(mutex_);
    source.keys = std::move(*keys);
    publish();
  }
}

Result<std::function<void()>> Keys::prepare_reload() {
  struct Changed {
    Source* source;
    WatchedFile file;
    jose::KeySet keys;
  };
  std::vector<Changed> all;
  const std::lock_guard looking(looking_);
  for (Source& source : files_) {
    // Before it is read; the other may have been looked at when it was bad, so it is read in any case.
    WatchedFile file = source.file;
    const bool changed = file.changed();
    auto keys = read_keys(source.file.path(), source.parse);
    if (!keys) return fail(std::move(keys).error());
    if (changed) all.push_back({&source, std::move(file), *std::move(keys)});
  }
  return [this, all = std::move(all)] {
    if (fetcher_) fetcher_->fetch_now();
    if (all.empty()) return;  // tokens that were verified stay so
    const std::lock_guard looking_too(looking_);
    const std::lock_guard lock(mutex_);
    for (const Changed& changed : all) {
      changed.source->file = changed.file;
      changed.source->keys = changed.keys;
      log::info("keys of tokens read again", {{"file", changed.file.path()}, {"keys", changed.keys.size()}});
    }
    publish();
  };
}

void Keys::miss() {
  if (fetcher_) fetcher_->hurry();
}

}  // namespace courier::auth::jwt
