#include "auth/chain.h"

#include <utility>

namespace courier::auth {

void Chain::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  ask(0, std::move(credentials), std::move(done));
}

std::shared_ptr<Exchange> Chain::begin(std::string_view method, const Credentials& credentials) {
  for (const auto& link : links_) {
    if (auto exchange = link->begin(method, credentials)) return exchange;
  }
  return nullptr;
}

void Chain::ask(size_t link, Credentials credentials, std::function<void(Decision)> done) {
  if (link == links_.size()) {
    Decision decision;
    decision.verdict = Verdict::deny;
    decision.reason =
        credentials.username ? mqtt::ReasonCode::bad_user_name_or_password : mqtt::ReasonCode::not_authorized;
    decision.why = credentials.username ? "unknown user" : "no user name";
    done(std::move(decision));
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
