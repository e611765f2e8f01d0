#include "auth/file/file_authenticator.h"

#include <string.h>
#include <sys/random.h>

#include <utility>

#include "auth/file/scram.h"
#include "base/log.h"
#include "jose/base64url.h"

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

// The file is looked at on a worker; the rest is a few digests.
class FileAuthenticator::ScramExchange final : public Exchange,
                                               public std::enable_shared_from_this<ScramExchange> {
 public:
  ScramExchange(FileAuthenticator& owner, const Credentials& credentials)
      : owner_(owner), username_(credentials.username), mountpoint_(credentials.mountpoint) {}

  void step(std::string data, std::function<void(Step)> done) override {
    if (server_) {
      done(finish(data));
      return;
    }
    auto first = parse_scram_first(data);
    if (!first) {
      owner_.wrong_.add();
      done({{}, denied(mqtt::ReasonCode::not_authorized, first.error().message)});
      return;
    }
    auto shared = std::make_shared<ScramFirst>(*std::move(first));
    const bool accepted =
        owner_.pool_.post([self = shared_from_this(), shared, done] { done(self->begin(*shared)); });
    if (accepted) return;
    owner_.busy_.add();
    done({{}, denied(mqtt::ReasonCode::server_busy, "too many passwords wait to be checked")});
  }

 private:
  Step begin(const ScramFirst& first) {
    const auto refuse = [&](std::string why) {
      owner_.wrong_.add();
      return Step{{}, denied(mqtt::ReasonCode::bad_user_name_or_password, std::move(why))};
    };
    // The name that counts is the one that is proved; another beside it is a mistake or worse.
    if (username_ && *username_ != first.user) return refuse("SCRAM: another user name than the CONNECT's");
    const auto users = owner_.users_now();
    const std::string* hash = users->find(first.user);
    const bool known = hash && is_scram(*hash);
    auto keys = known ? std::optional(*parse_scram(*hash)) : users->scram_stand_in(first.user);
    if (!keys) return refuse("no user of the password file has keys for SCRAM: courier passwd --scram");
    user_ = first.user;
    unsigned char random[18];
    if (::getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
      return Step{{}, denied(mqtt::ReasonCode::server_busy, "the kernel gives no random bytes")};
    }
    server_.emplace(first, *std::move(keys), known,
                    jose::base64url({reinterpret_cast<const char*>(random), sizeof random}));
    return Step{server_->first(), std::nullopt};
  }

  Step finish(std::string_view data) {
    auto signature = server_->finish(data);
    if (!signature) {
      owner_.wrong_.add();
      return {{}, denied(mqtt::ReasonCode::bad_user_name_or_password, signature.error().message)};
    }
    owner_.right_.add();
    Decision decision;
    decision.verdict = Verdict::allow;
    decision.identity.username = user_;
    decision.identity.mountpoint = mountpoint_;
    decision.identity.anonymous = false;
    return {*std::move(signature), std::move(decision)};
  }

  FileAuthenticator& owner_;
  const std::optional<std::string> username_;
  const std::string mountpoint_;
  std::string user_;
  std::optional<ScramServer> server_;  // from the client's first message on
};

std::shared_ptr<Exchange> FileAuthenticator::begin(std::string_view method, const Credentials& credentials) {
  if (method != "SCRAM-SHA-256") return nullptr;
  return std::make_shared<ScramExchange>(*this, credentials);
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

Result<std::function<void()>> FileAuthenticator::prepare_reload() {
  const std::string path = [this] {
    const std::lock_guard lock(mutex_);
    return file_.path();
  }();
  WatchedFile file(path, clock_.mono_ns());
  auto read = Users::read(path);
  if (!read) return fail(std::move(read).error());
  return [this, file = std::move(file), users = std::make_shared<const Users>(*std::move(read))] {
    const std::lock_guard lock(mutex_);
    file_ = file;
    users_ = users;
    log::info("password file read again", {{"file", file_.path()}, {"users", users_->size()}});
  };
}

uint64_t FileAuthenticator::memory_bytes_max() {
  const std::lock_guard lock(mutex_);
  return uint64_t{pool_.threads()} * users_->memory_kib_max() * 1024;
}

}  // namespace courier::auth::file
