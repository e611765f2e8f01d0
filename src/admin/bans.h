// A ban as JSON, for whoever shows one.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "admission/ban.h"

namespace courier::admin {

nlohmann::ordered_json to_json(const admission::Ban& ban);

}  // namespace courier::admin
