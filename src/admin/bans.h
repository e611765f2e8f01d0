// A ban as JSON: for the list of bans, and for whoever shows the one that keeps a client out.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "admission/ban.h"

namespace courier::admin {

nlohmann::ordered_json to_json(const admission::Ban& ban);

}  // namespace courier::admin
