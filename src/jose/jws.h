// Tokens as they travel: JWS in its compact form, header.payload.signature.
//
// A token is parsed, then verified, then its payload is looked at; nothing of the payload counts before. What
// a header says of keys (jwk, jku, x5u, x5c) is never used: keys come from us. A kid is compared with the ids
// of our keys and with nothing else; no file and no URL is ever made of it. Sources: RFC 7515
// (3.1, 4.1, 5.2), RFC 7519 (7.2), RFC 8725. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jose/key_set.h"

namespace courier::jose {

// The three parts, still as text. Views of the token.
struct Parts {
  std::string_view header, payload, signature;
};

// Whether it is header.payload.signature by its characters; the signature may be empty (as that of "alg":
// "none" is).
bool has_token_shape(std::string_view text);
// Errors: not_a_token, too_large.
Result<Parts> split(std::string_view token);

struct Jws {
  Algorithm algorithm{};
  std::string kid;                 // "": none
  std::string type;                // "typ", as it stands there
  std::string_view signing_input;  // of the token, which must live as long
  std::string payload, signature;  // decoded
};

// Errors: not_a_token, too_large, bad_base64url, bad_json, duplicate_member, bad_header, bad_kid,
// critical_header, unsigned_token, unknown_algorithm.
Result<Jws> parse_jws(std::string_view token);

// The key that it was signed with, one of `keys`. Keys with its kid are tried, or else those without an id; a
// token without a kid may be of any. Errors: algorithm_not_allowed, unknown_key, wrong_key_type,
// signature_length, invalid_signature.
Result<const Key*> verify_jws(const Jws& jws, const KeySet& keys, std::span<const Algorithm> allowed);

// A token of any payload; for a JWT, a JSON object. Without an algorithm, the one that the key says or the
// usual one of its type. Errors: wrong_key_type, no_private_key, crypto.
struct SignOptions {
  std::optional<Algorithm> algorithm;
  std::string type = "JWT";  // "": none
};
Result<std::string> sign_jws(std::string_view payload, const Key& key, const SignOptions& options = {});

}  // namespace courier::jose
