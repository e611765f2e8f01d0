// An answer of the access rules as JSON: the REST side's, and that of the commands that explain one.
#pragma once

#include <nlohmann/json.hpp>

#include "auth/acl/explanation.h"

namespace courier::admin {

nlohmann::ordered_json to_json(const auth::acl::Explanation& why);

}  // namespace courier::admin
