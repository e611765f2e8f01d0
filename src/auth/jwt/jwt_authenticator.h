// Lets in who brings a signed token as MQTT password: JWT, RFC 7519, as an issuer that we trust made it.
//
//   no password, or one that is not three parts of base64url with dots between them     next
//   a token that fails                        deny, not_authorized (3.x: return code 5; the client gets a new
//   token) too many tokens wait to be verified       deny, server_busy no key yet: the endpoint has not
//   answered deny, server_unavailable (the token may be good) a good token allow, with its rules and its end
//
// A shared secret is checked at once, a few µs on the caller's thread; RSA, ECDSA and EdDSA take 50 to 500 µs
// and run on workers with a bounded queue. A token that was verified is remembered, so that a client which
// comes back costs a digest and a lookup; what belongs to the CONNECT and to the time (user name, client id,
// exp, nbf) is checked each time all the same. A token that failed is remembered for seconds.
//
// The token may also come as the data of the authentication method "JWT" (MQTT 5): then the client may
// re-authenticate with a new one before the old one ends. Re-authentication calls it again with the new token
// and the connection's own client id and user name; the new Decision's expires_at takes the old one's place.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "auth/authenticator.h"
#include "auth/jwt/keys.h"
#include "auth/jwt/options.h"
#include "auth/jwt/token_cache.h"
#include "auth/jwt/token_rules.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/worker_pool.h"

namespace courier::auth::jwt {

// Any thread may authenticate. Destruction waits for running checks and drops those that wait, unanswered.
class JwtAuthenticator final : public Authenticator {
 public:
  // Clock and registry must outlive it. Errors: those of TokenRules::open() and Keys::open().
  // `previous`: the one that it is to replace; see Keys::open().
  static Result<std::unique_ptr<JwtAuthenticator>> open(const Options& options, Registry& registry,
                                                        const Clock& clock = system_clock(),
                                                        const JwtAuthenticator* previous = nullptr);

  void authenticate(Credentials credentials, std::function<void(Decision)> done) override;
  // Method "JWT": the client's data is the token, and there is nothing more to say.
  std::shared_ptr<Exchange> begin(std::string_view method, const Credentials& credentials) override;
  void stop() override { pool_.stop(); }
  // See Keys.
  Result<std::function<void()>> prepare_reload() { return keys_->prepare_reload(); }

 private:
  struct Request;
  using Judged = Checked<Verified>;

  JwtAuthenticator(const Options& options, TokenRules rules, std::unique_ptr<Keys> keys, Registry& registry,
                   const Clock& clock);

  // From the caller's thread, or from a worker after it looked at the files.
  enum class On : uint8_t { caller, worker };
  void check(const std::shared_ptr<Request>& request, On on);
  std::shared_ptr<const Judged> judge(const Request& request, const Keys::Now& keys);
  void answer(Request& request, const Judged& judged, const Keys::Now& keys, Counter& when_good);
  void refuse(Request& request, const Refused& refused);

  const TokenRules rules_;
  const Clock& clock_;
  Counter& accepted_;
  Counter& cached_;
  Counter& busy_;
  Counter& no_keys_;
  std::array<Counter*, kRefusals.size()> refused_;

  // Apart, so that bad tokens cannot drive out good ones.
  TokenCache<Judged> good_, bad_;
  const std::unique_ptr<Keys> keys_;
  WorkerPool pool_;  // last: its threads use all of the above
};

}  // namespace courier::auth::jwt
