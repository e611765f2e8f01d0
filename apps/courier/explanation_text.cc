#include "courier/explanation_text.h"

#include <fmt/format.h>

#include "courier/text_table.h"

namespace courier::cli {

std::string explanation_text(const nlohmann::ordered_json& why) {
  std::string out;
  const auto line = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) out += fmt::format("{:<11}{}\n", name, one_line(text));
  };
  line("answer", why.value("allowed", false) ? "allowed" : "refused");
  line("because",
       why.value("forbidden", false) ? "what let the client in forbids it" : why.value("text", ""));
  if (const auto hooks = why.find("hooks"); hooks != why.end()) {
    for (const auto& hook : *hooks) line("then asks", hook.get<std::string>());
  }
  for (const char* name : {"rule", "nearest"}) {
    const auto rule = why.find(name);
    if (rule == why.end()) continue;
    const std::string file = rule->value("file", "");
    line(name, fmt::format("{}{} `{}`", file.empty() ? "the client's own rule " : file + ":",
                           rule->value("line", 0), rule->value("text", "")));
    line("label", rule->value("label", ""));
    line("difference", rule->value("difference", ""));
  }
  if (const auto variables = why.find("variables"); variables != why.end()) {
    for (const auto& variable : *variables) {
      line(variable.value("name", ""),
           variable.value("value", "") +
               (variable.value("usable", true) ? "" : " (not usable within a level)"));
    }
  }
  return out;
}

}  // namespace courier::cli
