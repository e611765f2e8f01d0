#include "load/yaml_reader.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/shown_text.h"
#include "config/quantity.h"
#include "config/suggest.h"
#include "load/limits.h"

namespace courier::load {

namespace type {

// A value that is a variable, ${name}, fits everywhere.
#define OR_VARIABLE(schema) R"({"anyOf":[)" schema R"(,{"type":"string","pattern":"\\$\\{"}]})"

const ValueType text{"text", R"({"type":["string","number"]})"};
const ValueType filled_text{"text, in which {n} stands for the client's number",
                            R"({"type":["string","number"]})"};
const ValueType flag{"true or false", OR_VARIABLE(R"({"type":"boolean"})")};
const ValueType count{"a whole number", OR_VARIABLE(R"({"type":"integer","minimum":0})")};
const ValueType seed{"a whole number", OR_VARIABLE(R"({"type":"integer","minimum":0})")};
const ValueType number{"a number", OR_VARIABLE(R"({"type":"number","minimum":0})")};
const ValueType duration{"a duration such as 500ms, 30s, 5m or 1h",
                         OR_VARIABLE(R"({"type":["string","number"],"pattern":"^[0-9.]+ ?(ms|s|m|h|d)?$"})")};
const ValueType duration_range{
    "a range of durations such as 20s..90s, or one duration",
    OR_VARIABLE(
        R"({"type":["string","number"],"pattern":"^[0-9.]+(ms|s|m|h|d)?(\\.\\.[0-9.]+(ms|s|m|h|d)?)?$"})")};
const ValueType rate{"a rate such as 200/s or 30/min",
                     OR_VARIABLE(R"({"type":"string","pattern":"^[0-9.]+/(s|m|min|h)$"})")};
const ValueType rate_curve{
    "a rate such as 200/s, or a list of stretches: [ { over: 2m, from: 0/s, to: 200/s }, { hold: 10m } ]",
    R"({"anyOf":[{"type":"string"},{"type":"array","minItems":1,"items":{"anyOf":[{"type":"object","required":["over","from","to"],"properties":{"over":{},"from":{},"to":{}},"additionalProperties":false},{"type":"object","required":["hold"],"properties":{"hold":{},"rate":{}},"additionalProperties":false}]}}]})"};
const ValueType size{"a size such as 600B or 16KB",
                     OR_VARIABLE(R"({"type":["string","integer"],"pattern":"^[0-9.]+ ?[KMGT]?i?B?$"})")};
const ValueType share{"a share such as 99.9%", OR_VARIABLE(R"({"type":"string","pattern":"^[0-9.]+%$"})")};
const ValueType qos{"0, 1 or 2", OR_VARIABLE(R"({"enum":[0,1,2]})")};
const ValueType version{"3.1, 3.1.1 or 5", OR_VARIABLE(R"({"enum":["3.1","3.1.1","5","5.0",3.1,5,5.0]})")};
const ValueType names{
    "a group's name, or a list of them",
    R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"minItems":1}]})"};
const ValueType brokers{
    "a broker such as mqtt://127.0.0.1:1883 or wss://broker.example.com/mqtt, or a list of them",
    R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"},"minItems":1}]})"};
const ValueType sources{"an address, a range such as 127.0.0.2-127.0.0.40, or a list of them",
                        R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]})"};
const ValueType urls{"a list of addresses such as http://127.0.0.1:9464/metrics",
                     R"({"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]})"};
const ValueType payload{
    "text, or { size: 600B }",
    R"({"anyOf":[{"type":["string","number"]},{"type":"object","required":["size"],"properties":{"size":{"type":["string","integer"]}},"additionalProperties":false}]})"};
const ValueType password{
    "text, or { jwt: { … } }",
    R"({"anyOf":[{"type":["string","number"]},{"type":"object","required":["jwt"],"properties":{"jwt":{"$ref":"#/$defs/jwt"}},"additionalProperties":false}]})"};
const ValueType jitter{"full or none", OR_VARIABLE(R"({"enum":["full","none"]})")};
const ValueType shape{"linear, poisson, step or front_loaded",
                      OR_VARIABLE(R"({"enum":["linear","poisson","step","front_loaded"]})")};
const ValueType distribution{"uniform, zipf or sequential",
                             OR_VARIABLE(R"({"enum":["uniform","zipf","sequential"]})")};
const ValueType flap_how{
    "tcp_reset, silent or disconnect, or a list of them",
    R"({"anyOf":[{"enum":["tcp_reset","silent","disconnect"]},{"type":"array","minItems":1,"items":{"enum":["tcp_reset","silent","disconnect"]}}]})"};
const ValueType comparison{"a condition such as \"delivery.e2e p99 < 250ms\" or \"delivery.lost == 0\"",
                           R"({"type":"string"})"};
const ValueType vars{"names and their values",
                     R"({"type":"object","additionalProperties":{"type":["string","number","boolean"]}})"};
const ValueType until_what{"{ connected: 99.9%, group: … } or { drained: true }", R"({"type":"object"})"};

#undef OR_VARIABLE

}  // namespace type

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const auto near = config::suggest(word, known);
  return near ? fmt::format("; did you mean \"{}\"?", shown(*near, kShownWordMax)) : std::string();
}

Place YamlReader::place_of(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  if (mark.is_null()) return {};
  return {static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
}

void YamlReader::wrong(const YAML::Node& node, const ValueType& expected) {
  std::string found = "nothing";
  if (node.IsScalar()) {
    found = fmt::format("\"{}\"", shown(node.Scalar(), kShownWordMax));
    if (const auto value = value_of(node.Scalar())) {
      found += fmt::format(", which is \"{}\"", shown(*value, kShownWordMax));
    }
  } else if (node.IsMap()) {
    found = "a map";
  } else if (node.IsSequence()) {
    found = "a list";
  }
  error(node, fmt::format("expected {}, and not {}", expected.expected, found));
}

// What "${name}" stands for; nothing for other text.
std::optional<std::string_view> YamlReader::value_of(std::string_view written) const {
  if (!written.starts_with("${") || written.find('}') != written.size() - 1) return std::nullopt;
  const auto var = vars_.find(written.substr(2, written.size() - 3));
  if (var == vars_.end()) return std::nullopt;
  return var->second;
}

std::optional<std::string> YamlReader::text(const YAML::Node& node, const ValueType& expected) {
  if (!node.IsScalar()) {
    wrong(node, expected);
    return std::nullopt;
  }
  const std::string& written = node.Scalar();
  std::string out;
  for (size_t at = 0; at < written.size();) {
    const size_t dollar = written.find("${", at);
    out.append(written, at, dollar - at);
    if (dollar == std::string::npos) break;
    const size_t end = written.find('}', dollar);
    if (end == std::string::npos) {
      error(node, "\"${\" without its \"}\"");
      return std::nullopt;
    }
    const std::string_view name = std::string_view(written).substr(dollar + 2, end - dollar - 2);
    const auto var = vars_.find(name);
    if (var == vars_.end()) {
      std::vector<std::string> known;
      for (const auto& [each, value] : vars_) known.push_back(each);
      error(node, fmt::format("there is no variable \"{}\" in vars{}", shown(name, kShownWordMax),
                              did_you_mean(name, known)));
      return std::nullopt;
    }
    if (!used_.contains(name)) used_.emplace(name);
    out += var->second;
    at = end + 1;
    if (out.size() > kTextMax) break;
  }
  if (out.size() > kTextMax) {
    error(node, fmt::format("longer than {} bytes", kTextMax));
    return std::nullopt;
  }
  return out;
}

std::optional<std::string> YamlReader::name(const YAML::Node& node, const ValueType& expected) {
  auto written = text(node, expected);
  if (!written) return std::nullopt;
  if (written->size() > kNameMax) {
    error(node, fmt::format("longer than {} bytes", kNameMax));
    return std::nullopt;
  }
  if (shown(*written) != *written) {
    error(node, fmt::format("\"{}\" has characters that cannot be shown", shown(*written, kShownWordMax)));
    return std::nullopt;
  }
  return written;
}

std::optional<TextTemplate> YamlReader::filled_text(const YAML::Node& node) {
  const auto written = text(node, type::filled_text);
  if (!written) return std::nullopt;
  auto parsed = TextTemplate::parse(*written);
  if (!parsed) {
    error(node, parsed.error().message);
    return std::nullopt;
  }
  return std::move(*parsed);
}

std::optional<bool> YamlReader::flag(const YAML::Node& node) {
  const auto written = text(node, type::flag);
  if (!written) return std::nullopt;
  if (*written == "true") return true;
  if (*written == "false") return false;
  wrong(node, type::flag);
  return std::nullopt;
}

std::optional<uint64_t> YamlReader::count(const YAML::Node& node, uint64_t least, uint64_t most) {
  const auto written = text(node, type::count);
  if (!written) return std::nullopt;
  uint64_t value = 0;
  const auto [end, bad] = std::from_chars(written->data(), written->data() + written->size(), value);
  if (bad != std::errc() || end != written->data() + written->size()) {
    wrong(node, type::count);
    return std::nullopt;
  }
  if (value < least || value > most) {
    error(node, fmt::format("expected a whole number from {} to {}, and not {}", least, most, value));
    return std::nullopt;
  }
  return value;
}

std::optional<double> YamlReader::number(const YAML::Node& node, double least, double most) {
  const auto written = text(node, type::number);
  if (!written) return std::nullopt;
  double value = 0;
  const auto [end, bad] = std::from_chars(written->data(), written->data() + written->size(), value);
  if (bad != std::errc() || end != written->data() + written->size() || !std::isfinite(value)) {
    wrong(node, type::number);
    return std::nullopt;
  }
  if (value < least || value > most) {
    error(node, fmt::format("expected a number from {} to {}, and not {}", least, most, value));
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> YamlReader::duration_ms(const YAML::Node& node) {
  const auto written = text(node, type::duration);
  if (!written) return std::nullopt;
  const auto value = config::parse_duration_ms(*written);
  if (!value || *value > kDurationMsMax) {
    wrong(node, type::duration);
    return std::nullopt;
  }
  return value;
}

std::optional<DurationRange> YamlReader::duration_range(const YAML::Node& node) {
  const auto written = text(node, type::duration_range);
  if (!written) return std::nullopt;
  const auto value = parse_duration_range(*written);
  if (!value || value->to_ms > kDurationMsMax) {
    wrong(node, type::duration_range);
    return std::nullopt;
  }
  return value;
}

std::optional<double> YamlReader::rate(const YAML::Node& node) {
  const auto written = text(node, type::rate);
  if (!written) return std::nullopt;
  const auto value = parse_rate(*written);
  if (!value) {
    wrong(node, type::rate);
    return std::nullopt;
  }
  if (*value > kRateMax) {
    error(node, fmt::format("{} is more than {} can be asked for", shown(*written, kShownWordMax),
                            format_rate(kRateMax)));
    return std::nullopt;
  }
  return value;
}

std::optional<uint64_t> YamlReader::bytes(const YAML::Node& node, uint64_t most) {
  const auto written = text(node, type::size);
  if (!written) return std::nullopt;
  const auto value = config::parse_bytes(*written);
  if (!value) {
    wrong(node, type::size);
    return std::nullopt;
  }
  if (static_cast<uint64_t>(*value) > most) {
    error(node,
          fmt::format("{} is larger than {}", *written, config::format_bytes(static_cast<int64_t>(most))));
    return std::nullopt;
  }
  return static_cast<uint64_t>(*value);
}

std::optional<double> YamlReader::share(const YAML::Node& node) {
  const auto written = text(node, type::share);
  if (!written) return std::nullopt;
  const auto value = parse_share(*written);
  if (!value) wrong(node, type::share);
  return value;
}

std::optional<size_t> YamlReader::choice(const YAML::Node& node, const std::vector<std::string>& names,
                                         const ValueType& expected) {
  const auto written = text(node, expected);
  if (!written) return std::nullopt;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == *written) return i;
  }
  error(node, fmt::format("expected {}, and not \"{}\"{}", expected.expected, shown(*written, kShownWordMax),
                          did_you_mean(*written, names)));
  return std::nullopt;
}

bool YamlReader::has_only(const YAML::Node& map, std::string_view what,
                          const std::vector<std::string>& known) {
  std::vector<std::string> seen;
  bool right = true;
  const auto mistake = [&](const YAML::Node& node, std::string message) {
    error(node, std::move(message));
    right = false;
  };
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      mistake(entry.first, "expected a key");
      continue;
    }
    const std::string& name = entry.first.Scalar();
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      mistake(entry.first, fmt::format("\"{}\" stands here twice", shown(name, kShownWordMax)));
    }
    seen.push_back(name);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string near = did_you_mean(name, known);
    mistake(entry.first,
            fmt::format("{} has no key \"{}\"{}", what, shown(name, kShownWordMax),
                        near.empty() ? fmt::format("; there are {}", fmt::join(known, ", ")) : near));
  }
  return right;
}

std::vector<std::string> YamlReader::unused_vars() const {
  std::vector<std::string> unused;
  for (const auto& [name, value] : vars_) {
    if (!used_.contains(name)) unused.push_back(name);
  }
  return unused;
}

void YamlReader::each(const YAML::Node& node, size_t most,
                      const std::function<void(const YAML::Node&)>& each) {
  if (!node.IsSequence()) return each(node);
  if (node.size() > most) return error(node, fmt::format("more than {} items", most));
  for (const auto& item : node) each(item);
}

}  // namespace courier::load
