#include "auth/file/file_authenticator.h"

#include <string.h>
#include <sys/stat.h>

#include <utility>

#include "base/log.h"

namespace courier::auth::file {
namespace {

constexpr MonoNs kLookEveryNs = 1'000'000'000;

Counter& checks(Registry& registry, const char* result) {
  return registry.counter("courier_password_checks_total", "Passwords that were to be checked, by outcome.",
                          {{"result", result}});
}

Decision denied(mqtt::ReasonCode reason, std::string why) {
  Decision decision;
  decision.verdict = Verdict::deny;
  decision.reason = reason;
  decision.why = std::move(why);
  return decision;
}

}  // namespace

// On its way through the queue. Shared between the task, which std::function wants to copy, and
// authenticate(), which still needs it when the queue is full.
struct FileAuthenticator::Request {
  Credentials credentials;
  std::function<void(Decision)> done;

  ~Request() {
    // Passwords do not stay behind in freed memory.
    if (credentials.password) ::explicit_bzero(credentials.password->data(), credentials.password->size());
  }
};

Result<std::unique_ptr<FileAuthenticator>> FileAuthenticator::open(Options options, Registry& registry,
                                                                   const Clock& clock) {
  // The stamp first: a change between the two is then read twice, not missed.
  const auto stamp = stamp_of(options.path);
  auto users = Users::read(options.path);
  if (!users) return fail(users.error());
  return std::unique_ptr<FileAuthenticator>(
      new FileAuthenticator(std::move(options), registry, clock, std::move(*users), stamp));
}

FileAuthenticator::FileAuthenticator(Options options, Registry& registry, const Clock& clock, Users users,
                                     std::optional<Stamp> stamp)
    : options_(std::move(options)),
      clock_(clock),
      right_(checks(registry, "right")),
      wrong_(checks(registry, "wrong")),
      unknown_(checks(registry, "unknown_user")),
      busy_(checks(registry, "busy")),
      failed_(checks(registry, "failed")),
      users_(std::make_shared<const Users>(std::move(users))),
      stamp_(stamp),
      looked_at_(clock.mono_ns()),
      pool_("passwords", options_.workers, options_.queue_max) {}

void FileAuthenticator::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  if (!credentials.username) {
    done({});
    return;
  }
  if (!credentials.password) {
    wrong_.add();
    done(denied(mqtt::ReasonCode::bad_user_name_or_password, "no password"));
    return;
  }
  auto request = std::make_shared<Request>(Request{std::move(credentials), std::move(done)});
  const bool accepted = pool_.post([this, request] { request->done(check(request->credentials)); });
  if (!accepted) {
    busy_.add();
    request->done(denied(mqtt::ReasonCode::server_busy, "too many passwords wait to be checked"));
  }
}

Decision FileAuthenticator::check(Credentials& credentials) {
  const auto users = users_now();
  const std::string& name = *credentials.username;
  const std::string* hash = users->find(name);
  const Match match = matches(hash ? *hash : users->stand_in(name), *credentials.password);
  if (!hash) {
    unknown_.add();
    return {};
  }
  switch (match) {
    case Match::yes: {
      right_.add();
      Decision decision;
      decision.verdict = Verdict::allow;
      decision.identity.username = name;
      decision.identity.mountpoint = credentials.mountpoint;
      decision.identity.anonymous = false;
      return decision;
    }
    case Match::no:
      wrong_.add();
      return denied(mqtt::ReasonCode::bad_user_name_or_password, "wrong password");
    case Match::failed:
      break;
  }
  failed_.add();
  static log::Limit limit{{.per_second = 1}};
  log::error(limit, "a password could not be checked: no memory for its hash", {{"username", name}});
  return denied(mqtt::ReasonCode::server_busy, "no memory to check the password");
}

std::optional<FileAuthenticator::Stamp> FileAuthenticator::stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  const auto ns = [](const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
  return Stamp{ns(status.st_mtim), ns(status.st_ctim), status.st_size, status.st_ino};
}

std::shared_ptr<const Users> FileAuthenticator::users_now() {
  const std::lock_guard lock(mutex_);
  const MonoNs now = clock_.mono_ns();
  if (now - looked_at_ < kLookEveryNs) return users_;
  looked_at_ = now;
  const auto stamp = stamp_of(options_.path);
  if (stamp == stamp_) return users_;
  stamp_ = stamp;
  auto users = Users::read(options_.path);
  if (!users) {
    log::error("the password file changed but is no good; the users from before stay in force",
               {{"error", users.error().message}, {"users", users_->size()}});
    return users_;
  }
  users_ = std::make_shared<const Users>(std::move(*users));
  log::info("password file read again", {{"file", options_.path}, {"users", users_->size()}});
  return users_;
}

uint64_t FileAuthenticator::memory_bytes_max() {
  const std::lock_guard lock(mutex_);
  return uint64_t{options_.workers} * users_->memory_kib_max() * 1024;
}

}  // namespace courier::auth::file
