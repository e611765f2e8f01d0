// The authenticator in force, which may be exchanged while clients are being authenticated.
//
// Each question is answered by the one that was in force when it came, and each exchange of enhanced
// authentication goes on with the one that began it. One that was replaced lives until it has given all its
// answers; the owner's sweep() ends it, so that its threads are never joined by one of themselves.
//
// Any thread may authenticate; replace(), sweep() and the end are for one owner.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "auth/authenticator.h"

namespace courier::auth {

class Replaceable final : public Authenticator {
 public:
  explicit Replaceable(std::unique_ptr<Authenticator> first);
  ~Replaceable() override;

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;
  std::shared_ptr<Exchange> begin(std::string_view method, const Credentials& credentials) override;

  void replace(std::unique_ptr<Authenticator> next);
  // Ends those that have nothing left to answer; returns how many still have.
  size_t sweep();

 private:
  struct Generation {
    std::unique_ptr<Authenticator> authenticator;
    // Stays. Shared with them: an answer that a worker drops at the very end may outlive the generation.
    std::shared_ptr<std::atomic<size_t>> pending = std::make_shared<std::atomic<size_t>>(0);
  };
  // Holds a generation for a call under way, an answer that is not given, or an exchange that is not over. An
  // answer that will never be given lets go of it, too: whoever was to give it drops what was to be called.
  class Stay;
  class HeldExchange;

  std::shared_ptr<Stay> enter();

  std::mutex mutex_;                               // not held while anybody is asked
  std::unique_ptr<Generation> current_;            // guarded by mutex_
  std::vector<std::unique_ptr<Generation>> past_;  // the owner's
};

}  // namespace courier::auth
