// JSON of others, read strictly: an object, no member twice (RFC 7515, section 4; RFC 7519, section 4),
// well-formed UTF-8, at most kJsonDepthMax deep. Pure.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace courier::jose {

using Json = nlohmann::json;

// Errors: bad_json, duplicate_member.
Result<Json> parse_object(std::string_view text);

// The member `name` of an object, or nullptr.
const Json* member(const Json& object, std::string_view name);

}  // namespace courier::jose
