#include "auth/anonymous.h"

#include <utility>

namespace courier::auth {

void Anonymous::authenticate(Credentials credentials, std::function<void(Decision)> done) {
  Decision decision;
  if (!credentials.username || names_ == Names::unchecked) {
    decision.verdict = Verdict::allow;
    decision.identity.username = std::move(credentials.username).value_or("");
    decision.identity.mountpoint = credentials.mountpoint;
    decision.identity.anonymous = true;
  }
  done(std::move(decision));
}

}  // namespace courier::auth
