// JSON as commands print it, and what stands in it as text.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace courier::cli {

// `indent`: -1 is one line. Bytes that are not UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& json, int indent);
// A member of an object: a text without its quotes, "" if it is null or not there.
std::string text_in(const nlohmann::ordered_json& object, const char* name);

}  // namespace courier::cli
