#include "auth/webhook/json_value.h"

#include <cmath>

#include <fmt/format.h>

#include "auth/webhook/errc.h"
#include "jose/base64url.h"

namespace courier::auth::webhook {

using jose::Json;

Result<bool> read_bool(const Json& value) {
  if (!value.is_boolean()) return fail(errc::bad_modifier, "it is neither true nor false");
  return value.get<bool>();
}

Result<uint64_t> read_number(const Json& value, uint64_t most) {
  const auto bad = [&] {
    return fail(errc::bad_modifier, fmt::format("it is not a number from 0 to {}", most));
  };
  if (value.is_number_float()) {
    const double number = std::round(value.get<double>());
    if (!(number >= 0 && number <= static_cast<double>(most))) return bad();  // not even if it is no number
    return static_cast<uint64_t>(number);
  }
  if (!value.is_number_unsigned() || value.get<uint64_t>() > most) return bad();
  return value.get<uint64_t>();
}

Result<std::string> read_text(const Json& value) {
  if (!value.is_string()) return fail(errc::bad_modifier, "it is not text");
  return value.get<std::string>();
}

Result<std::string> read_base64(const Json& value) {
  if (!value.is_string()) return fail(errc::bad_modifier, "it is not base64");
  auto decoded = jose::decode_base64(value.get_ref<const std::string&>());
  if (!decoded) return fail(errc::bad_modifier, "it is not base64");
  return std::move(*decoded);
}

}  // namespace courier::auth::webhook
