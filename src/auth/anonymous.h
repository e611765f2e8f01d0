// Lets in who does not say who it is. Stateless, any thread; answers at once.
#pragma once

#include <cstdint>
#include <functional>

#include "auth/authenticator.h"

namespace courier::auth {

class Anonymous final : public Authenticator {
 public:
  // What becomes of a client that does send a user name.
  enum class Names : uint8_t {
    unchecked,   // it is let in under that name, still anonymous: nobody else checks names
    not_for_me,  // the next in the chain decides
  };
  explicit Anonymous(Names names) : names_(names) {}

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;

 private:
  const Names names_;
};

}  // namespace courier::auth
