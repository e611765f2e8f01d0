#include "load/scenario_file.h"

#include <set>

#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <nlohmann/json.hpp>

#include "load/limits.h"
#include "load/scenario_sections.h"

namespace courier::load {

namespace {

using YAML::Node;

std::map<std::string, std::string, std::less<>> read_vars(const Node& root, const Overrides& set,
                                                          Findings& findings) {
  std::map<std::string, std::string, std::less<>> vars;
  YamlReader plain(findings, {});
  const Node node = root["vars"];
  if (node.IsDefined() && !node.IsNull()) {
    if (!node.IsMap() || node.size() > kVarsMax) {
      plain.wrong(node, type::vars);
    } else {
      for (const auto& entry : node) {
        if (!entry.first.IsScalar() || !entry.second.IsScalar()) {
          plain.wrong(entry.first, type::vars);
          continue;
        }
        vars[entry.first.Scalar()] = entry.second.Scalar();
      }
    }
  }
  std::vector<std::string> known;
  for (const auto& [name, value] : vars) known.push_back(name);
  for (const auto& [name, value] : set) {
    const auto var = vars.find(name);
    if (var == vars.end()) {
      findings.error({}, fmt::format("--set {}={}: there is no variable \"{}\" in vars{}", name, value, name,
                                     did_you_mean(name, known)));
    } else {
      var->second = value;
    }
  }
  return vars;
}

// --- the schema ---

using Json = nlohmann::ordered_json;

Json shape_of(const KeyInfo& key) {
  Json shape;
  if (key.section) {
    shape = {{"$ref", fmt::format("#/$defs/{}", key.section->id)}};
    if (key.section->id == "group") shape = {{"type", "object"}, {"additionalProperties", shape}};
    if (key.section->id == "threshold") {
      shape = {{"type", "object"},
               {"minProperties", 1},
               {"maxProperties", 1},
               {"additionalProperties", {{"anyOf", {{{"type", "string"}}, shape}}}}};
    }
    if (key.list && key.section->id != "group") shape = {{"type", "array"}, {"items", shape}};
  } else {
    shape = Json::parse(key.value->json.empty() ? R"({"type":"string"})" : key.value->json);
  }
  shape["description"] = key.help;
  return shape;
}

Json object_of(const SectionInfo& section) {
  Json properties = Json::object(), required = Json::array();
  for (const KeyInfo& key : section.keys) {
    properties[std::string(key.name)] = shape_of(key);
    if (key.required) required.push_back(key.name);
  }
  Json shape{{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  if (!required.empty()) shape["required"] = required;
  if (section.id == "step") shape["maxProperties"] = shape["minProperties"] = 1;
  return shape;
}

void collect(const SectionInfo& section, Json& definitions) {
  for (const KeyInfo& key : section.keys) {
    if (!key.section || definitions.contains(key.section->id)) continue;
    definitions[std::string(key.section->id)] = object_of(*key.section);
    collect(*key.section, definitions);
  }
}

}  // namespace

std::optional<Scenario> read_scenario(const std::string& text, const Overrides& set, Findings& findings) {
  if (text.size() > kScenarioBytesMax) {
    findings.error({}, fmt::format("larger than {} bytes", kScenarioBytesMax));
    return std::nullopt;
  }
  Draft draft;
  try {
    const std::vector<Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      const YAML::Mark mark = documents[1].Mark();
      findings.error({static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)},
                     "a second document begins here (after ---): a file holds one scenario");
      return std::nullopt;
    }
    const Node root = documents.empty() ? Node() : documents.front();
    if (!root.IsMap()) {
      findings.error({1, 1}, "expected a scenario: a map that begins with courier_load: 1");
      return std::nullopt;
    }
    auto vars = read_vars(root, set, findings);
    for (const auto& [name, value] : vars) draft.scenario.vars.emplace_back(name, value);
    YamlReader reader(findings, std::move(vars));
    scenario_section().read(reader, root, draft);
  } catch (const YAML::Exception& bad) {
    const bool known = !bad.mark.is_null();
    findings.error(
        known ? Place{static_cast<uint32_t>(bad.mark.line + 1), static_cast<uint32_t>(bad.mark.column + 1)}
              : Place{},
        dynamic_cast<const YAML::DeepRecursion*>(&bad) != nullptr ? "lists and maps are nested too deeply"
                                                                  : "this is not YAML: " + bad.msg);
  }
  if (findings.has_errors()) return std::nullopt;
  return std::move(draft.scenario);
}

std::string scenario_schema() {
  const SectionInfo& scenario = scenario_section().info();
  Json definitions = Json::object();
  collect(scenario, definitions);
  definitions["jwt"] = object_of(jwt_section().info());
  Json schema = object_of(scenario);
  Json out{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "courier load scenario"}};
  for (auto& [key, value] : schema.items()) out[key] = value;
  out["$defs"] = definitions;
  return out.dump(2) + "\n";
}

}  // namespace courier::load
