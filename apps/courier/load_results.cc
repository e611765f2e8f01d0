// courier load compare, courier load report: results that were kept.
#include <memory>

#include <fmt/format.h>

#include "courier/load_command.h"
#include "load/compare.h"
#include "load/report.h"

namespace courier::cli {
namespace {

std::optional<load::RunResult> read_result(const std::string& file) {
  const auto text = read_text_file("load", file);
  if (!text) return std::nullopt;
  auto result = load::from_json(*text);
  if (result) return std::move(*result);
  note("load", fmt::format("{}: {}", file, result.error().message));
  return std::nullopt;
}

struct CompareFlags {
  std::string before, after;
  double tolerance_percent = 10;
};

int compare(const CompareFlags& flags) {
  const auto before = read_result(flags.before), after = read_result(flags.after);
  if (!before || !after) return kUsage;
  const load::ResultComparison compared = load::compare(*before, *after, flags.tolerance_percent / 100);
  fmt::print("{}", compared.text);
  return compared.worse ? kWorse : kOk;
}

struct ReportFlags {
  std::string file, html;
};

int report(const ReportFlags& flags) {
  const auto result = read_result(flags.file);
  if (!result) return kUsage;
  std::string html = flags.html;
  if (html.empty())
    html =
        (flags.file.ends_with(".json") ? flags.file.substr(0, flags.file.size() - 5) : flags.file) + ".html";
  if (!write_text_file("load", html, load::to_html(*result))) return kFailure;
  if (html != kStandardOutput) fmt::print("{}\n", html);
  return kOk;
}

}  // namespace

Run set_up_load_compare(CLI::App& app) {
  auto flags = std::make_shared<CompareFlags>();
  app.add_option("BEFORE", flags->before, "A result, as --json writes it")->required();
  app.add_option("AFTER", flags->after, "Another")->required();
  app.add_option("--tolerance", flags->tolerance_percent, "How much higher a p99 may be, in percent")
      ->type_name("PERCENT")
      ->capture_default_str()
      ->check(between(0, 10'000));
  app.footer(
      "Exit codes: 0 no worse, 99 worse: a p99 beyond the tolerance, or losses, disorder or damage that were "
      "not there\n"
      "before; 2 a result cannot be read.\n\n"
      "Example:\n  courier load compare yesterday.json today.json --tolerance 20");
  return [flags] { return compare(*flags); };
}

Run set_up_load_report(CLI::App& app) {
  auto flags = std::make_shared<ReportFlags>();
  app.add_option("FILE", flags->file, "A result, as --json writes it")->required();
  app.add_option("-o,--output", flags->html, "The report; FILE with .html if not given")->type_name("FILE");
  app.footer("Example:\n  courier load report storm.json -o storm.html");
  return [flags] { return report(*flags); };
}

}  // namespace courier::cli
