// The algorithms that sign tokens: RFC 7518, section 3, and RFC 8037. "none" is not among them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace courier::jose {

enum class Algorithm : uint8_t {
  hs256,
  hs384,
  hs512,  // HMAC with a shared secret
  rs256,
  rs384,
  rs512,  // RSA, PKCS #1 v1.5
  ps256,
  ps384,
  ps512,  // RSA, PSS
  es256,
  es384,
  es512,  // ECDSA on P-256, P-384, P-521
  eddsa,  // Ed25519
};

enum class KeyType : uint8_t { secret, rsa, ec_p256, ec_p384, ec_p521, ed25519 };

// As it stands in a header: "HS256", "EdDSA".
std::string_view name(Algorithm algorithm);
std::optional<Algorithm> parse_algorithm(std::string_view name);
std::span<const Algorithm> all_algorithms();

// The only type of key that may do it. A key of one type never does another's work: that is what keeps a
// public key from being taken for a shared secret.
KeyType key_type(Algorithm algorithm);
// What one would sign with, given the key: HS256, RS256, ES256 …
Algorithm usual_algorithm(KeyType type);
// "an RSA key", for sentences.
std::string_view describe(KeyType type);

}  // namespace courier::jose
