// Why a token was refused, for counters and for the log.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "base/result.h"

namespace courier::auth::jwt {

enum class Refusal : uint8_t {
  bad_token,  // not readable, not signed, a header or claim that is not valid, an algorithm that is not
              // allowed
  invalid_signature,
  unknown_key,
  expired,
  not_yet_valid,
  wrong_issuer,
  wrong_audience,
  missing_claim,
  username_mismatch,
  client_id_mismatch,
};
inline constexpr std::array kRefusals = {
    Refusal::bad_token,         Refusal::invalid_signature, Refusal::unknown_key,    Refusal::expired,
    Refusal::not_yet_valid,     Refusal::wrong_issuer,      Refusal::wrong_audience, Refusal::missing_claim,
    Refusal::username_mismatch, Refusal::client_id_mismatch};

// As it stands on metrics.
std::string_view name(Refusal refusal);

struct Refused {
  Refusal refusal = Refusal::bad_token;
  std::string why;  // a sentence
};

// How an error of jose/ counts.
Refused refused(const Error& error);

template <typename T>
using Checked = tl::expected<T, Refused>;

}  // namespace courier::auth::jwt
