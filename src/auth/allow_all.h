// The Authorizer for a node without access rules: whoever may connect may publish and subscribe anywhere.
// Stateless, any thread.
#pragma once

#include <string_view>

#include "auth/authenticator.h"

namespace courier::auth {

class AllowAll final : public Authorizer {
 public:
  bool may_publish(const Identity&, std::string_view, std::string_view) override { return true; }
  bool may_subscribe(const Identity&, std::string_view, std::string_view) override { return true; }
};

}  // namespace courier::auth
