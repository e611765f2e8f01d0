// Any bytes as a configuration: no crash, bounded messages, and what was accepted reads back to itself.
//
// Input: a TOML file; after a line that is "--set", each line is an override; after a line that is "--env",
// each line is NAME=VALUE.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "config/load.h"
#include "config/schema.h"

namespace {

using namespace courier;
using namespace courier::config;

// The settings as a file that names every key.
std::string written(const Settings& settings) {
  std::string out;
  for (const Section& section : schema()) {
    for (size_t i = 0; i < owners(section, settings); ++i) {
      if (!section.name.empty()) out += header(section) + "\n";
      for (const Key& key : section.keys) {
        out += std::string(key.name) + " = " + toml_value(key, owner(section, settings, i)) + "\n";
      }
    }
  }
  return out;
}

void check_accepted(const Settings& settings) {
  CHECK(!settings.listeners.empty());
  for (const Listener& listener : settings.listeners) CHECK(!listener.bind.empty());
  for (const Section& section : schema()) {
    if (!section.repeated) continue;
    CHECK(owners(section, settings) <= section.rows.max);
    std::set<std::string> names;
    for (size_t i = 0; i < owners(section, settings); ++i) {
      const std::string& name = row_name(section, const_cast<void*>(owner(section, settings, i)));
      CHECK(!name.empty() && (section.rows.names_repeat || names.insert(name).second));
    }
  }
  CHECK(std::ranges::any_of(kAuthenticators, [&](auto name) { return is_configured(settings, name); }));
  const auto again = parse(written(settings), "written");
  CHECK(again.has_value());
  CHECK(*again == settings);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string file;
  std::vector<std::string> overrides;
  Environment variables;
  enum class Part { file, overrides, environment } part = Part::file;
  for (size_t at = 0; at < input.size();) {
    const size_t end = std::min(input.find('\n', at), input.size());
    const std::string line(input.substr(at, end - at));
    at = end + 1;
    if (line == "--set") {
      part = Part::overrides;
    } else if (line == "--env") {
      part = Part::environment;
    } else if (part == Part::file) {
      file += line + '\n';
    } else if (part == Part::overrides) {
      overrides.push_back(line);
    } else if (const size_t equals = line.find('='); equals != std::string::npos) {
      variables[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  const auto settings = parse(file, "fuzz", overrides, variables);
  if (settings) {
    check_accepted(*settings);
  } else {
    CHECK(!settings.error().message.empty());
    CHECK(settings.error().message.size() < 8 * size + 64 * 1024);
  }
  return 0;
}
