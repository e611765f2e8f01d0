// The tables of a scenario's maps. What the keys mean is said here and nowhere else.
#pragma once

#include "load/scenario.h"
#include "load/section.h"

namespace courier::load {

// What is being read, and what was read so far: steps name groups.
struct Draft {
  Scenario scenario;
  std::optional<size_t> group(YamlReader& reader, const YAML::Node& node) const;
  std::vector<size_t> groups(YamlReader& reader, const YAML::Node& node) const;
  std::optional<size_t> stage(std::string_view name) const;
};

// A value of type T that is read within a draft.
template <typename T>
struct In {
  Draft& draft;
  T& value;
};

const Section<Draft>& scenario_section();
const Section<Jwt>& jwt_section();

// thresholds.cc
void read_thresholds(YamlReader& reader, const YAML::Node& node, Draft& draft);
const SectionInfo& threshold_info();

}  // namespace courier::load
