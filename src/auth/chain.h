// Authenticators in the configured order: the first that allows or denies has decided.
//
// When nobody did, the client is refused: bad_user_name_or_password if it named a user (3.x: return code 4),
// else not_authorized (5). Any thread; must live until the last answer came.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "auth/authenticator.h"

namespace courier::auth {

class Chain final : public Authenticator {
 public:
  // Shared with the chain that comes next when settings change: what did not change is in both.
  explicit Chain(std::vector<std::shared_ptr<Authenticator>> links) : links_(std::move(links)) {}

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;
  // Of the first whose method it is.
  std::shared_ptr<Exchange> begin(std::string_view method, const Credentials& credentials) override;
  void stop() override;

 private:
  void ask(size_t link, Credentials credentials, std::function<void(Decision)> done);

  const std::vector<std::shared_ptr<Authenticator>> links_;
};

}  // namespace courier::auth
