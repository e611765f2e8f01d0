// What the access rules answered, as lines for a person: of the JSON that the REST side gives.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace courier::cli {

std::string explanation_text(const nlohmann::ordered_json& why);

}  // namespace courier::cli
