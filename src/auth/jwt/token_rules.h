// What the settings ask of a token, in two steps: judge() is of the token alone and may be remembered;
// decide() is of the time and the CONNECT, and is done each time. Immutable, any thread; the time is an
// argument.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "auth/jwt/claim_template.h"
#include "auth/jwt/options.h"
#include "auth/jwt/refusal.h"
#include "base/clock.h"
#include "base/result.h"
#include "jose/claims.h"
#include "jose/jws.h"

namespace courier::auth::jwt {

// What a token says whose signature is good.
struct Verified {
  jose::Times times;
  std::optional<std::string> username_claim;                   // what the CONNECT's user name must be
  std::optional<std::string> username, client_id, mountpoint;  // templates, filled
  std::vector<Grant> grants;
};

class TokenRules {
 public:
  // Errors: bad_options, bad_template.
  static Result<TokenRules> open(const Options& options);

  // Verifies the signature, then issuer, audience, required claims, templates and rules.
  Checked<Verified> judge(const jose::Jws& jws, const jose::KeySet& keys) const;

  // The Decision to allow. Its expires_at is "exp" plus the leeway: the time from which decide() would say
  // no.
  Checked<Decision> decide(const Verified& token, const Credentials& credentials, WallMs now) const;

 private:
  TokenRules() = default;
  Checked<Verified> read(const jose::Json& claims) const;

  std::vector<jose::Algorithm> algorithms_;
  std::string issuer_;
  std::vector<std::string> audiences_, required_claims_;
  int64_t leeway_ms_ = 0;
  std::string username_claim_, acl_claim_;
  std::optional<ClaimTemplate> username_, client_id_, mountpoint_;
  ClientIdRule client_id_rule_ = ClientIdRule::equal;
};

}  // namespace courier::auth::jwt
