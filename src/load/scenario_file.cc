#include "load/scenario_file.h"

#include <set>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <nlohmann/json.hpp>

#include "base/shown_text.h"
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
          plain.wrong(entry.first.IsScalar() ? entry.second : entry.first, type::vars);
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

Place place_of_var(const Node& root, const std::string& name) {
  for (const auto& entry : root["vars"]) {
    if (entry.first.IsScalar() && entry.first.Scalar() == name) return YamlReader::place_of(entry.first);
  }
  return {};
}

Place place_at(const YAML::Mark& mark) {
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

// Where the second document of a file begins. Not by YAML::LoadAll(), which reads a stray "}" as one empty
// document after the other until memory ends.
std::optional<Place> second_document(const std::string& text) {
  struct Starts final : YAML::EventHandler {
    YAML::Mark mark;
    void OnDocumentStart(const YAML::Mark& at) override { mark = at; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}
  };
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Starts starts;
  if (!parser.HandleNextDocument(starts) || !parser.HandleNextDocument(starts)) return std::nullopt;
  return place_at(starts.mark);
}

// What YAML says of { count: ${n} } helps nobody.
std::string not_yaml(const std::string& text, const YAML::Exception& bad) {
  const auto at = static_cast<size_t>(std::max(bad.mark.pos, 0));
  const bool variable = at > 0 && at < text.size() && text.compare(at - 1, 2, "${") == 0;
  return "this is not YAML: " + bad.msg +
         (variable ? "; between { } and [ ] a variable stands in quotation marks: \"${name}\"" : "");
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
    if (const auto second = second_document(text)) {
      const bool separated = text.starts_with("---") || text.find("\n---") != std::string::npos;
      findings.error(*second, separated
                                  ? "a second document begins here (after ---): a file holds one scenario"
                                  : "this is not YAML: what stands here belongs to nothing before it");
      return std::nullopt;
    }
    const Node root = YAML::Load(text);
    if (!root.IsMap()) {
      findings.error({1, 1}, "expected a scenario: a map that begins with courier_load: 1");
      return std::nullopt;
    }
    auto vars = read_vars(root, set, findings);
    for (const auto& [name, value] : vars) draft.scenario.vars.emplace_back(name, value);
    YamlReader reader(findings, std::move(vars));
    scenario_section().read(reader, root, draft);
    for (const std::string& unused : reader.unused_vars()) {
      findings.warning(place_of_var(root, unused),
                       fmt::format("the variable \"{}\" is not used: nothing says ${{{}}}",
                                   shown(unused, kShownWordMax), shown(unused, kShownWordMax)));
    }
  } catch (const YAML::Exception& bad) {
    const bool known = !bad.mark.is_null();
    findings.error(known ? place_at(bad.mark) : Place{},
                   dynamic_cast<const YAML::DeepRecursion*>(&bad) != nullptr
                       ? "lists and maps are nested too deeply"
                       : not_yaml(text, bad));
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
