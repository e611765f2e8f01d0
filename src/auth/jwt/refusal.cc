#include "auth/jwt/refusal.h"

#include "jose/errc.h"

namespace courier::auth::jwt {
namespace {

Refusal refusal_of(jose::errc code) {
  switch (code) {
    case jose::errc::not_a_token:
    case jose::errc::too_large:
    case jose::errc::bad_base64url:
    case jose::errc::bad_json:
    case jose::errc::duplicate_member:
    case jose::errc::bad_header:
    case jose::errc::bad_kid:
    case jose::errc::critical_header:
    case jose::errc::unsigned_token:
    case jose::errc::unknown_algorithm:
    case jose::errc::algorithm_not_allowed:
    case jose::errc::bad_claim:
      return Refusal::bad_token;
    case jose::errc::wrong_key_type:
    case jose::errc::signature_length:
    case jose::errc::invalid_signature:
      return Refusal::invalid_signature;
    case jose::errc::unknown_key:
    case jose::errc::no_private_key:
    case jose::errc::bad_key:
    case jose::errc::weak_key:
    case jose::errc::no_keys:
    case jose::errc::unreadable:
    case jose::errc::crypto:
      return Refusal::unknown_key;
    case jose::errc::expired:
      return Refusal::expired;
    case jose::errc::not_yet_valid:
      return Refusal::not_yet_valid;
    case jose::errc::missing_claim:
      return Refusal::missing_claim;
    case jose::errc::wrong_issuer:
      return Refusal::wrong_issuer;
    case jose::errc::wrong_audience:
      return Refusal::wrong_audience;
  }
  return Refusal::bad_token;
}

}  // namespace

std::string_view name(Refusal refusal) {
  switch (refusal) {
    case Refusal::bad_token:
      return "bad_token";
    case Refusal::invalid_signature:
      return "invalid_signature";
    case Refusal::unknown_key:
      return "unknown_key";
    case Refusal::expired:
      return "expired";
    case Refusal::not_yet_valid:
      return "not_yet_valid";
    case Refusal::wrong_issuer:
      return "wrong_issuer";
    case Refusal::wrong_audience:
      return "wrong_audience";
    case Refusal::missing_claim:
      return "missing_claim";
    case Refusal::username_mismatch:
      return "username_mismatch";
    case Refusal::client_id_mismatch:
      return "client_id_mismatch";
  }
  return "bad_token";
}

Refused refused(const Error& error) {
  const bool ours = error.code.category() == jose::category();
  return {ours ? refusal_of(static_cast<jose::errc>(error.code.value())) : Refusal::bad_token, error.message};
}

}  // namespace courier::auth::jwt
