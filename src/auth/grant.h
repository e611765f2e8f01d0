// One rule that an authenticator brings with a client: an ACL claim of its token, a modifier of a hook's
// answer.
#pragma once

#include <string>

namespace courier::auth {

struct Grant {
  std::string filter;  // may hold the ACL file's variables: %u, %c, %m
  std::string label;   // "" for none
  bool publish = false, subscribe = false;
  bool deny = false;  // takes away instead
};

}  // namespace courier::auth
