// The nodes of a cluster as /v1/cluster tells them, a line each.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace courier::cli {

std::string members_table(const nlohmann::ordered_json& cluster);

}  // namespace courier::cli
