#include "courier/probe/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "courier/text_table.h"

namespace courier::cli::probe {
namespace {

std::string_view mark(Grade grade) {
  switch (grade) {
    case Grade::works:
      return "ok";
    case Grade::told:
      return "";
    case Grade::absent:
      return "no";
    case Grade::broken:
      return "BROKEN";
    case Grade::skipped:
      return "skipped";
  }
  return "";
}

std::string named(const Report& report, Grade grade) {
  std::vector<std::string> names;
  for (const Finding& each : report.findings) {
    if (each.grade == grade) names.push_back(each.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string_view name(Grade grade) {
  switch (grade) {
    case Grade::works:
      return "works";
    case Grade::told:
      return "told";
    case Grade::absent:
      return "absent";
    case Grade::broken:
      return "broken";
    case Grade::skipped:
      return "skipped";
  }
  return "";
}

bool Report::broken() const {
  return !failure.empty() || std::ranges::find(findings, Grade::broken, &Finding::grade) != findings.end();
}

std::string Report::verdict() const {
  if (!failure.empty()) return "it cannot be used: " + failure;
  const std::string wrong = named(*this, Grade::broken), absent = named(*this, Grade::absent),
                    skipped = named(*this, Grade::skipped);
  std::string text = wrong.empty() ? "it works" : "something is wrong with it: " + wrong;
  if (!absent.empty()) text += "; not offered: " + absent;
  if (!skipped.empty()) text += "; not tried: " + skipped;
  return text;
}

std::string report_text(const Report& report) {
  std::string out = report.server + "\n";
  std::string area;
  for (const Finding& each : report.findings) {
    if (each.area != area) out += "\n" + (area = each.area) + "\n";
    std::string line = fmt::format("  {:<24} {:<7} {}", each.name, mark(each.grade), one_line(each.text));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out + "\nVerdict: " + one_line(report.verdict()) + ".\n";
}

std::string report_json(const Report& report) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const Finding& each : report.findings) {
    findings.push_back(
        {{"area", each.area}, {"name", each.name}, {"grade", name(each.grade)}, {"text", each.text}});
  }
  const nlohmann::ordered_json json = {{"server", report.server},
                                       {"ok", !report.broken()},
                                       {"verdict", report.verdict()},
                                       {"findings", std::move(findings)}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace courier::cli::probe
