#include "courier/json_text.h"

#include <cstdio>

#include <fmt/format.h>

namespace courier::cli {

void print_json(const nlohmann::ordered_json& json, int indent) {
  fmt::print("{}\n", json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::string text_in(const nlohmann::ordered_json& object, const char* name) {
  const auto value = object.find(name);
  if (value == object.end() || value->is_null()) return "";
  return value->is_string() ? value->get<std::string>() : value->dump();
}

}  // namespace courier::cli
