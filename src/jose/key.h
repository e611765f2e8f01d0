// One key: what it can do, and under which id.
//
// A key has one type for good, from where it came: bytes that were given as a shared secret never become a
// public key, nor the other way round. Immutable, cheap to copy, any thread. A secret is wiped when the last
// copy goes. Sources: RFC 7517 and RFC 7518, section 6 (JWK); RFC 8037 (Ed25519); RFC 7468 (PEM).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "jose/algorithm.h"
#include "jose/json_object.h"

struct evp_pkey_st;

namespace courier::jose {

class Key {
 public:
  // The bytes as they are. Errors: bad_key (empty, longer than kSecretBytesMax, or the text of a PEM file: a
  // public key taken for a secret would let everybody sign).
  static Result<Key> secret(std::string_view bytes);

  // A JWK, public, private or symmetric. Errors: bad_key, weak_key; crypto.
  static Result<Key> from_jwk(const Json& jwk);

  // The first PEM block: PUBLIC KEY, RSA PUBLIC KEY, CERTIFICATE, PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE
  // KEY. Errors: bad_key (also for one under a passphrase), weak_key.
  static Result<Key> from_pem(std::string_view pem);

  KeyType type() const { return type_; }
  const std::string& id() const { return id_; }  // "": none
  void set_id(std::string id) { id_ = std::move(id); }
  // The only algorithm that it is for, if it says so ("alg" of a JWK).
  std::optional<Algorithm> algorithm() const { return algorithm_; }
  // A secret, or the private half.
  bool can_sign() const { return can_sign_; }
  bool fits(Algorithm algorithm) const {
    return type_ == key_type(algorithm) && (!algorithm_ || *algorithm_ == algorithm);
  }

  // For signature.cc. One of them, by type().
  std::string_view secret_bytes() const { return secret_ ? std::string_view(secret_->bytes) : ""; }
  evp_pkey_st* handle() const { return handle_.get(); }

 private:
  struct Secret {
    explicit Secret(std::string_view b) : bytes(b) {}
    ~Secret();
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    std::string bytes;
  };

  Key() = default;
  static Result<Key> of_handle(std::shared_ptr<evp_pkey_st> handle, bool can_sign);

  KeyType type_ = KeyType::secret;
  bool can_sign_ = false;
  std::optional<Algorithm> algorithm_;
  std::string id_;
  std::shared_ptr<const Secret>
      secret_;  // shared: keys are copied into sets, and what is in use outlives a reload
  std::shared_ptr<evp_pkey_st> handle_;  // shared for the same reason
};

}  // namespace courier::jose
