// Signatures in the form of JWS: RFC 7518, section 3; RFC 8037, section 3.1. Any thread; RSA and elliptic
// curves take 20 to 1000 µs, HMAC a few.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "jose/key.h"

namespace courier::jose {

// Errors: wrong_key_type, no_private_key, crypto.
Result<std::string> sign(Algorithm algorithm, const Key& key, std::string_view input);

// HMACs are compared in constant time. Errors: wrong_key_type, signature_length, invalid_signature.
Result<void> verify(Algorithm algorithm, const Key& key, std::string_view input, std::string_view signature);

}  // namespace courier::jose
