// Single values of an answer, each read as its kind or refused with a sentence. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "jose/json_object.h"

namespace courier::auth::webhook {

// All errors: bad_modifier.
Result<bool> read_bool(const jose::Json& value);
// 0 to `most`. A fraction is rounded, as VerneMQ does.
Result<uint64_t> read_number(const jose::Json& value, uint64_t most);
Result<std::string> read_text(const jose::Json& value);
// A text that is base64.
Result<std::string> read_base64(const jose::Json& value);

}  // namespace courier::auth::webhook
