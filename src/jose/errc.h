// What can be wrong with a token, a key, or a file of keys.
#pragma once

#include <system_error>

namespace courier::jose {

enum class errc {
  // The token as text.
  not_a_token = 1,   // not three parts with dots between them
  too_large,         // beyond limits.h
  bad_base64url,     // a character, a length or trailing bits that base64url does not have
  bad_json,          // not JSON, not an object, too deep
  duplicate_member,  // a name twice in one object: two readers could understand two things
  // Its header.
  bad_header,             // a member that is missing or of the wrong type
  bad_kid,                // a key id that is empty, too long, or holds control characters
  critical_header,        // "crit": something must be understood that is not
  unsigned_token,         // "alg": "none"
  unknown_algorithm,      // an "alg" that does not exist here
  algorithm_not_allowed,  // one that does, but not for this use
  // Keys and signatures.
  unknown_key,       // no key has that id
  wrong_key_type,    // an RSA key asked to do HMAC, and the like
  no_private_key,    // asked to sign with half a key
  signature_length,  // the signature cannot be of this algorithm and key
  invalid_signature,
  bad_key,     // not a key, or one that contradicts itself
  weak_key,    // an RSA key of less than 2,048 bits
  no_keys,     // a set without a key that can be used
  unreadable,  // a file of keys that cannot be read
  crypto,      // the cryptographic library failed where it should not
  // Claims.
  expired,
  not_yet_valid,
  missing_claim,
  bad_claim,  // of the wrong type, or out of range
  wrong_issuer,
  wrong_audience,
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::jose

template <>
struct std::is_error_code_enum<courier::jose::errc> : std::true_type {};
