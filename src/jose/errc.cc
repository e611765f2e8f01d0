#include "jose/errc.h"

#include <string>

namespace courier::jose {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "jose"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::not_a_token:
          return "it is not a token";
        case errc::too_large:
          return "it is too large";
        case errc::bad_base64url:
          return "it is not base64url";
        case errc::bad_json:
          return "it is not a JSON object";
        case errc::duplicate_member:
          return "a member stands twice in one object";
        case errc::bad_header:
          return "the header is not valid";
        case errc::bad_kid:
          return "the key id is not valid";
        case errc::critical_header:
          return "the header asks for something that is not understood";
        case errc::unsigned_token:
          return "the token is not signed";
        case errc::unknown_algorithm:
          return "the algorithm is not known";
        case errc::algorithm_not_allowed:
          return "the algorithm is not allowed";
        case errc::unknown_key:
          return "the key is not known";
        case errc::wrong_key_type:
          return "the key is not of that algorithm";
        case errc::no_private_key:
          return "the key cannot sign";
        case errc::signature_length:
          return "the signature has the wrong length";
        case errc::invalid_signature:
          return "the signature is not valid";
        case errc::bad_key:
          return "the key is not valid";
        case errc::weak_key:
          return "the key is too weak";
        case errc::no_keys:
          return "there is no key";
        case errc::unreadable:
          return "the file cannot be read";
        case errc::crypto:
          return "the cryptographic library failed";
        case errc::expired:
          return "the token has expired";
        case errc::not_yet_valid:
          return "the token is not valid yet";
        case errc::missing_claim:
          return "a claim is missing";
        case errc::bad_claim:
          return "a claim is not valid";
        case errc::wrong_issuer:
          return "the token is of another issuer";
        case errc::wrong_audience:
          return "the token is for another audience";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::jose
