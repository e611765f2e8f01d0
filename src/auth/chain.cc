#include "auth/chain.h"

#include <utility>

namespace courier::auth {

namespace {

// Nobody has let it in.
Decision nobody(bool named) {
  Decision decision;
  decision.verdict = Verdict::deny;
  decision.reason = named ? mqtt::ReasonCode::bad_user_name_or_password : mqtt::ReasonCode::not_authorized;
  decision.why = named ? "unknown user" : "no user name";
  return decision;
}

}  // namespace

void Chain::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  ask(0, std::move(credentials), std::move(done));
}

std::shared_ptr<Exchange> Chain::begin(std::string_view method, const Credentials& credentials) {
  for (const auto& link : links_) {
    if (auto exchange = link->begin(method, credentials)) return exchange;
  }
  return nullptr;
}

void Chain::stop() {
  for (const auto& link : links_) link->stop();
}

void Chain::ask(size_t link, Credentials credentials, std::function<void(Decision)> done) {
  if (link == links_.size()) {
    done(nobody(credentials.username.has_value()));
    return;
  }
  // A stranger's password is held once where nobody else will be asked.
  if (link + 1 == links_.size()) {
    const bool named = credentials.username.has_value();
    links_[link]->authenticate(std::move(credentials), [named, done = std::move(done)](Decision decision) {
      done(decision.verdict == Verdict::next ? nobody(named) : std::move(decision));
    });
    return;
  }
  // The link may answer on another thread, long after this call: the continuation owns what it needs.
  Credentials copy = credentials;
  links_[link]->authenticate(std::move(copy), [this, link, credentials = std::move(credentials),
                                               done = std::move(done)](Decision decision) mutable {
    switch (decision.verdict) {
      case Verdict::allow:
      case Verdict::deny:
        done(std::move(decision));
        return;
      case Verdict::next:
        ask(link + 1, std::move(credentials), std::move(done));
        return;
    }
  });
}

}  // namespace courier::auth
