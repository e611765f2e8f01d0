#include "config/toml_value.h"

// The parser is compiled here and not taken from the shared library, so that sanitizers and fuzzers see into
// it.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <sstream>

namespace courier::config {
namespace {

Value value_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::boolean:
      return node.as_boolean()->get();
    case toml::node_type::integer:
      return node.as_integer()->get();
    case toml::node_type::floating_point:
      return node.as_floating_point()->get();
    case toml::node_type::string:
      return node.as_string()->get();
    case toml::node_type::array: {
      std::vector<std::string> items;
      for (const toml::node& item : *node.as_array()) {
        if (!item.is_string()) return Unfit{"a list of other things"};
        items.push_back(item.as_string()->get());
      }
      return items;
    }
    case toml::node_type::table:
      return Unfit{"a table"};
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return Unfit{"a date or time"};
    case toml::node_type::none:
      break;
  }
  return Unfit{"nothing"};
}

void add_keys(std::vector<FileEntry>& out, const std::string& section, int index, const toml::table& table) {
  out.push_back({section, index, "", Unfit{"a table"}, table.source().begin.line});
  for (const auto& [key, node] : table) {
    out.push_back({section, index, std::string(key.str()), value_of(node), key.source().begin.line});
  }
}

bool is_array_of_tables(const toml::node& node) {
  const toml::array* array = node.as_array();
  return array && !array->empty() && array->is_homogeneous(toml::node_type::table);
}

std::vector<FileEntry> flatten(const toml::table& root) {
  std::vector<FileEntry> out;
  for (const auto& [key, node] : root) {
    const std::string name(key.str());
    if (const toml::table* table = node.as_table()) {
      add_keys(out, name, -1, *table);
    } else if (is_array_of_tables(node)) {
      int index = 0;
      for (const toml::node& item : *node.as_array()) add_keys(out, name, index++, *item.as_table());
    } else {
      out.push_back({"", -1, name, value_of(node), key.source().begin.line});
    }
  }
  // Tables are sorted by key; people read by line.
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  return out;
}

}  // namespace

std::variant<std::vector<FileEntry>, SyntaxProblem> read_toml(std::string_view text) {
  try {
    return flatten(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return SyntaxProblem{std::string(error.description()), error.source().begin.line};
  }
}

}  // namespace courier::config
