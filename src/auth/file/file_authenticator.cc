#include "auth/file/file_authenticator.h"

#include <string.h>

#include <utility>

#include "base/log.h"

namespace courier::auth::file {
namespace {

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
  WatchedFile file(options.path, clock.mono_ns());
  auto users = Users::read(options.path);
  if (!users) return fail(users.error());
  return std::unique_ptr<FileAuthenticator>(
      new FileAuthenticator(options, registry, clock, std::move(*users), std::move(file)));
}

FileAuthenticator::FileAuthenticator(const Options& options, Registry& registry, const Clock& clock,
                                     Users users, WatchedFile file)
    : clock_(clock),
      right_(checks(registry, "right")),
      wrong_(checks(registry, "wrong")),
      unknown_(checks(registry, "unknown_user")),
      busy_(checks(registry, "busy")),
      failed_(checks(registry, "failed")),
      users_(std::make_shared<const Users>(std::move(users))),
      file_(std::move(file)),
      pool_("passwords", options.workers, options.queue_max) {}

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

std::shared_ptr<const Users> FileAuthenticator::users_now() {
  const std::lock_guard lock(mutex_);
  if (!file_.changed(clock_.mono_ns())) return users_;
  auto users = Users::read(file_.path());
  if (!users) {
    log::error("the password file changed but is no good; the users from before stay in force",
               {{"error", users.error().message}, {"users", users_->size()}});
    return users_;
  }
  users_ = std::make_shared<const Users>(std::move(*users));
  log::info("password file read again", {{"file", file_.path()}, {"users", users_->size()}});
  return users_;
}

uint64_t FileAuthenticator::memory_bytes_max() {
  const std::lock_guard lock(mutex_);
  return uint64_t{pool_.threads()} * users_->memory_kib_max() * 1024;
}

}  // namespace courier::auth::file
