#include "courier/doctor/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "courier/doctor/rules.h"
#include "courier/text_table.h"

namespace courier::cli::doctor {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kIndent = 11;  // "  problem  "

// Words into lines that begin at `indent`; the first one stands there already.
std::string wrapped(std::string_view text, size_t indent) {
  std::string out;
  size_t column = indent;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (column > indent && column + 1 + word.size() > kReportColumns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

std::string_view shown(Level level) {
  return level == Level::problem ? "PROBLEM" : name_of(level);
}

// A settings file with several mistakes says them on lines of their own.
std::string harmless_lines(std::string_view text, std::string_view indent) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (!out.empty()) out += indent;
    out += one_line(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string finding_text(const Finding& finding) {
  const std::string indent(kIndent, ' ');
  std::string out = fmt::format("  {:<9}", shown(finding.level));
  out += finding.found.find('\n') == std::string::npos ? wrapped(one_line(finding.found), kIndent)
                                                       : harmless_lines(finding.found, indent);
  if (!finding.why.empty()) out += indent + wrapped(finding.why, kIndent);
  std::string where;
  for (const Remedy& remedy : finding.mend) {
    // The line stands alone, so that it can be copied.
    if (remedy.where != where) out += fmt::format("{}-> {}:\n", indent, one_line(remedy.where));
    where = remedy.where;
    out += fmt::format("{}     {}\n", indent, one_line(remedy.line));
  }
  return out;
}

std::string size_line(const Diagnosis& diagnosis) {
  const Size& size = diagnosis.size;
  std::string out =
      fmt::format("{} connections, {} stored sessions, {} filter{} each", many(size.connections),
                  size.sessions == size.connections ? "as many" : many(size.sessions), size.filters,
                  size.filters == 1 ? "" : "s");
  if (!diagnosis.asked) out += "; another number with --connections";
  return out;
}

std::string machine_line(const MachineFacts& machine) {
  std::string out;
  const auto add = [&](std::string text) { out += (out.empty() ? "" : ", ") + std::move(text); };
  if (machine.cores) add(fmt::format("{} CPUs", *machine.cores));
  if (machine.memory_bytes) add(bytes_text(*machine.memory_bytes));
  if (machine.kernel) add("Linux " + *machine.kernel);
  if (machine.container) add("in a container");
  if (!machine.nodes.empty()) {
    std::string pids;
    for (const RunningNode& node : machine.nodes) pids += fmt::format(" {}", node.pid);
    add("courierd runs, pid" + pids);
  }
  return out.empty() ? "unknown" : out;
}

bool mends(const Diagnosis& diagnosis, std::string_view where) {
  for (const Finding& finding : diagnosis.findings) {
    for (const Remedy& remedy : finding.mend) {
      if (remedy.where == where) return true;
    }
  }
  return false;
}

std::string counted(size_t count, std::string_view one, std::string_view several) {
  return fmt::format("{} {}", count, count == 1 ? one : several);
}

std::string verdict(const Diagnosis& diagnosis) {
  const std::string wanted = many(diagnosis.size.connections);
  std::string out;
  if (!diagnosis.fit()) {
    out = fmt::format("NOT fit for {} connections", wanted);
  } else if (diagnosis.carries && *diagnosis.carries < diagnosis.size.connections) {
    out = fmt::format("fit for {} connections of {}", many(*diagnosis.carries), wanted);
  } else {
    out = fmt::format("fit for {} connections", wanted);
  }
  return out;
}

std::string counts(const Diagnosis& diagnosis) {
  const size_t unknown = diagnosis.count(Level::unknown);
  std::string out =
      fmt::format("{}, {}", counted(diagnosis.count(Level::problem), "problem", "problems"),
                  counted(diagnosis.count(Level::advice), "piece of advice", "pieces of advice"));
  if (unknown > 0) out += fmt::format(", {} unknown", unknown);
  return out;
}

}  // namespace

std::string report_text(const Examined& examined, const Diagnosis& diagnosis) {
  std::string out;
  const auto head = [&](std::string_view name, std::string_view text) {
    out += fmt::format("{:<11}", name) + wrapped(one_line(text), kIndent);
  };
  head("for", size_line(diagnosis));
  head("machine", machine_line(examined.machine));
  Topic topic{};
  for (const Finding& finding : diagnosis.findings) {
    if (&finding == &diagnosis.findings.front() || finding.topic != topic) {
      out += fmt::format("\n{}\n", heading_of(finding.topic));
    }
    topic = finding.topic;
    out += finding_text(finding);
  }
  out += "\n";
  if (mends(diagnosis, kSysctlFile)) {
    head("after", fmt::format("a change of {}: sysctl --system", kSysctlFile));
  }
  if (mends(diagnosis, "systemctl edit courierd")) {
    head("after", "systemctl edit: systemctl restart courierd");
  }
  if (diagnosis.carries) {
    head("limit", fmt::format("{} connections: {} is the first to end", many(*diagnosis.carries),
                              diagnosis.limited_by));
  }
  head("verdict", verdict(diagnosis));
  head("", counts(diagnosis));
  return out;
}

std::string report_json(const Examined& examined, const Diagnosis& diagnosis) {
  Json out = {{"connections", diagnosis.size.connections},
              {"connections_asked", diagnosis.asked},
              {"sessions", diagnosis.size.sessions},
              {"filters", diagnosis.size.filters}};
  out["machine"] = Json::object();
  if (examined.machine.cores) out["machine"]["cpus"] = *examined.machine.cores;
  if (examined.machine.memory_bytes) out["machine"]["memory_bytes"] = *examined.machine.memory_bytes;
  if (examined.machine.kernel) out["machine"]["kernel"] = *examined.machine.kernel;
  out["machine"]["container"] = examined.machine.container;
  const MemoryNeed need =
      memory_need(diagnosis.size, Case(examined, diagnosis.size, diagnosis.asked).memory_terms());
  out["memory_needed"] = {{"courierd_bytes", need.node}, {"kernel_bytes", need.kernel}};
  if (examined.disk.syncs) {
    out["sync"] = {{"count", examined.disk.syncs->count},
                   {"p50_ms", examined.disk.syncs->p50_ms},
                   {"p99_ms", examined.disk.syncs->p99_ms}};
  }
  out["findings"] = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    Json one = {{"id", finding.id}, {"level", name_of(finding.level)}, {"found", finding.found}};
    if (!finding.why.empty()) one["why"] = finding.why;
    if (!finding.mend.empty()) one["mend"] = Json::array();
    for (const Remedy& remedy : finding.mend) {
      one["mend"].push_back({{"where", remedy.where}, {"line", remedy.line}});
    }
    if (finding.carries && *finding.carries != kNoLimit) one["connections_max"] = *finding.carries;
    out["findings"].push_back(std::move(one));
  }
  if (diagnosis.carries && *diagnosis.carries != kNoLimit) {
    out["connections_max"] = *diagnosis.carries;
    out["limited_by"] = diagnosis.limited_by;
  }
  out["fit"] = diagnosis.fit();
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace courier::cli::doctor
