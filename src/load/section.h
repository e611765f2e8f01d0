// One map of a scenario as a table: its keys, what each may be, what it means, and how it is read. Reader,
// JSON Schema and the manual's reference derive from it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "load/yaml_reader.h"

namespace courier::load {

struct SectionInfo;

struct KeyInfo {
  std::string_view name, help;
  const ValueType* value = nullptr;      // either this
  const SectionInfo* section = nullptr;  // or a map of its own,
  bool list = false;                     // or a list of such maps
  bool required = false;
};

struct SectionInfo {
  std::string_view name;  // for messages: "a group"
  std::string_view id;    // for the JSON Schema: "group"
  std::vector<KeyInfo> keys;
};

template <typename T>
struct Key {
  KeyInfo info;
  void (*read)(YamlReader&, const YAML::Node&, T&);
};

template <typename T>
class Section {
 public:
  Section(std::string_view name, std::string_view id, std::vector<Key<T>> keys) : keys_(std::move(keys)) {
    info_.name = name;
    info_.id = id;
    for (const Key<T>& key : keys_) info_.keys.push_back(key.info);
  }
  const SectionInfo& info() const { return info_; }

  // In the table's order, whatever the file's.
  void read(YamlReader& reader, const YAML::Node& node, T& into) const {
    if (!node.IsMap()) {
      reader.error(node, fmt::format("expected a map: {}", names()));
      return;
    }
    std::vector<std::string> known;
    for (const Key<T>& key : keys_) known.emplace_back(key.info.name);
    (void)reader.has_only(node, info_.name, known);
    for (const Key<T>& key : keys_) {
      const YAML::Node value = node[std::string(key.info.name)];
      if (value.IsDefined() && !value.IsNull()) {
        key.read(reader, value, into);
      } else if (key.info.required) {
        reader.error(node, fmt::format("{} needs \"{}\": {}", info_.name, key.info.name, key.info.help));
      }
    }
  }

 private:
  std::string names() const {
    std::string out;
    for (const Key<T>& key : keys_) out += (out.empty() ? "" : ", ") + std::string(key.info.name);
    return out;
  }

  SectionInfo info_;
  std::vector<Key<T>> keys_;
};

}  // namespace courier::load
