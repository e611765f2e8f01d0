// The edge to yaml-cpp: values of a scenario, each checked where it is read and, when it is wrong, reported
// with its place in the file. Variables, ${name}, are put in here.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "load/findings.h"
#include "load/quantity.h"
#include "load/text_template.h"

namespace courier::load {

// What a value may be: for messages and for the JSON Schema.
struct ValueType {
  std::string_view expected;  // "a duration such as 30s, 5m or 1h"
  std::string_view json;      // its JSON Schema
};
namespace type {
extern const ValueType text, filled_text, flag, count, seed, duration, duration_range, rate, rate_curve, size,
    share, qos, version, names, brokers, sources, urls, payload, password, jitter, shape, distribution,
    flap_how, comparison, vars, number, until_what;
}  // namespace type

class YamlReader {
 public:
  YamlReader(Findings& findings, std::map<std::string, std::string, std::less<>> vars)
      : findings_(findings), vars_(std::move(vars)) {}

  static Place place_of(const YAML::Node& node);
  Findings& findings() { return findings_; }
  // Variables that no value has asked for so far.
  std::vector<std::string> unused_vars() const;
  void wrong(const YAML::Node& node, const ValueType& expected);  // says what stands there instead
  void error(const YAML::Node& node, std::string message) {
    findings_.error(place_of(node), std::move(message));
  }

  // Each returns nullopt after it has reported what is wrong.
  std::optional<std::string> text(const YAML::Node& node, const ValueType& expected = type::text);
  // Text that messages, summary and report show: one line that no terminal obeys.
  std::optional<std::string> name(const YAML::Node& node, const ValueType& expected = type::text);
  std::optional<TextTemplate> filled_text(const YAML::Node& node);
  std::optional<bool> flag(const YAML::Node& node);
  std::optional<uint64_t> count(const YAML::Node& node, uint64_t least, uint64_t most);
  std::optional<double> number(const YAML::Node& node, double least, double most);
  std::optional<int64_t> duration_ms(const YAML::Node& node);
  std::optional<DurationRange> duration_range(const YAML::Node& node);
  std::optional<double> rate(const YAML::Node& node);
  std::optional<uint64_t> bytes(const YAML::Node& node, uint64_t most);
  std::optional<double> share(const YAML::Node& node);
  // One of `names`, as its index.
  std::optional<size_t> choice(const YAML::Node& node, const std::vector<std::string>& names,
                               const ValueType& expected);
  // Whether a map has these keys and no others, each once; what else it has is reported.
  bool has_only(const YAML::Node& map, std::string_view what, const std::vector<std::string>& known);
  // Calls `each` for the items of a list, or for the one value that is not a list.
  void each(const YAML::Node& node, size_t most, const std::function<void(const YAML::Node&)>& each);

 private:
  std::optional<std::string_view> value_of(std::string_view written) const;

  Findings& findings_;
  std::map<std::string, std::string, std::less<>> vars_;
  std::set<std::string, std::less<>> used_;
};

// "; did you mean "x"?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace courier::load
