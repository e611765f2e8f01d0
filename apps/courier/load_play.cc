#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>

#include <fmt/format.h>

#include "courier/load_command.h"
#include "courier/transport_flags.h"
#include "load/errc.h"
#include "load/report.h"

namespace courier::cli {
namespace {

constexpr size_t kColumnsWide = 106;  // of a whole line of progress
constexpr size_t kColumnsWithoutTerminal = 80;

volatile std::sig_atomic_t interrupts = 0;

// Of the terminal; what does not fit into a line that is written over itself would fill the screen.
size_t columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kColumnsWithoutTerminal;
  return size.ws_col;
}

// To stderr, whatever has become of it: fmt::print would throw.
template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string progress(const load::Second& second, const load::Conductor& conductor, bool narrow) {
  const auto& stages = conductor.scenario().stages;
  const bool playing =
      conductor.phase() == load::Conductor::Phase::playing && conductor.stage() < stages.size();
  const load::Tally& tally = second.tally;
  const load::Histogram& delivery = tally[load::Latency::delivery_e2e];
  const load::Histogram& lag = tally[load::Latency::generator_lag];
  const auto milliseconds = [](const load::Histogram& histogram) {
    return histogram.count() == 0 ? "-" : fmt::format("{:.1f} ms", histogram.quantile(0.99) * 1e3);
  };
  if (narrow) {
    return fmt::format("{:.0f} s {:.9}  {} up  {}/s sent  {}/s arrived  p99 {}  lag {}", second.at,
                       playing ? stages[conductor.stage()].name : "the end", second.connected,
                       tally[load::Count::publish_sent], tally[load::Count::delivery_received],
                       milliseconds(delivery), milliseconds(lag));
  }
  return fmt::format(
      "{:>5.0f} s  {:<14.14}  {:>7} connected  {:>7}/s sent  {:>7}/s arrived  p99 {:>8}  lag {:>8}",
      second.at, playing ? stages[conductor.stage()].name : "the end", second.connected,
      tally[load::Count::publish_sent], tally[load::Count::delivery_received], milliseconds(delivery),
      milliseconds(lag));
}

}  // namespace

const char* const kLoadExitCodes =
    "Exit codes: 0 everything held, 99 a threshold did not, 2 the scenario makes no sense,\n"
    "3 the broker cannot be reached, 4 this machine was too slow and the result is invalid,\n"
    "130 interrupted: the report is of what there was up to then.\n";

std::string load_token() {
  const char* value = std::getenv(kLoadTokenVariable);
  return value == nullptr ? "" : value;
}

void watch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupts = 1; };
  action.sa_flags = SA_RESETHAND;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return interrupts != 0;
}

std::optional<std::string> read_text_file(std::string_view command, const std::string& name,
                                          size_t bytes_max) {
  const auto cannot = [&] {
    note(command, fmt::format("{} cannot be read: {}", name, std::strerror(errno)));
    return std::nullopt;
  };
  std::FILE* file = std::fopen(name.c_str(), "rb");
  if (file == nullptr) return cannot();
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> closed(file, std::fclose);
  std::string text;
  char chunk[64 * 1024];
  while (const size_t read = std::fread(chunk, 1, sizeof chunk, file)) {
    text.append(chunk, read);
    if (text.size() <= bytes_max) continue;
    note(command, fmt::format("{} is larger than {} MB: is it the right file?", name, bytes_max / 1'000'000));
    return std::nullopt;
  }
  if (std::ferror(file) != 0) return cannot();
  return text;
}

bool can_be_written(std::string_view command, const std::string& name) {
  if (name == kStandardOutput) return true;
  const bool was_there = ::access(name.c_str(), F_OK) == 0;
  std::FILE* file = std::fopen(name.c_str(), "ab");
  if (file == nullptr) {
    note(command, fmt::format("{} cannot be written: {}", name, std::strerror(errno)));
    return false;
  }
  std::fclose(file);
  if (!was_there) ::unlink(name.c_str());
  return true;
}

bool write_text_file(std::string_view command, const std::string& name, std::string_view text) {
  if (name == kStandardOutput) return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  std::ofstream file(name, std::ios::binary);
  file << text;
  if (file.flush()) return true;
  note(command, fmt::format("{} cannot be written: {}", name, std::strerror(errno)));
  return false;
}

std::optional<ReadScenario> read_scenario(const std::string& file, const std::string& text,
                                          const std::vector<std::string>& set) {
  ReadScenario read;
  for (const std::string& each : set) {
    const size_t equals = each.find('=');
    if (equals == std::string::npos) {
      note("load", fmt::format("--set {}: expected NAME=VALUE", each));
      return std::nullopt;
    }
    read.set.emplace_back(each.substr(0, equals), each.substr(equals + 1));
  }
  load::Findings findings(file, text);
  auto scenario = load::read_scenario(text, read.set, findings);
  if (scenario) load::check_sense(*scenario, findings);
  std::fputs(findings.describe().c_str(), stderr);
  if (findings.has_errors()) return std::nullopt;
  read.scenario = std::move(*scenario);
  return read;
}

Result<client::TransportMaker> load_transport(const load::Broker& broker, const load::TargetTls& tls) {
  net::tls::ClientOptions options;
  options.ca_file = tls.ca_file;
  options.insecure = tls.insecure;
  options.certificate = tls.certificate;
  options.key = tls.key;
  options.resume = false;
  if (broker.scheme == Scheme::wss) options.alpn = {"http/1.1"};
  const auto& [host, port] = broker.addresses.front();
  const bool ipv6 = host.find(':') != std::string::npos;
  const std::string where = fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
  return transport_maker(broker.scheme, std::move(options), host, where, broker.path);
}

void add_play_flags(CLI::App& command, Play& play) {
  command
      .add_option("--json", play.json,
                  "Write everything that was measured; - is stdout, and the summary goes to stderr")
      ->type_name("FILE");
  command.add_option("--html", play.html, "Write a report with plots; - likewise")->type_name("FILE");
  command
      .add_option("--workers", play.workers,
                  "Processes to spread the clients over; as many as needed if not given")
      ->type_name("N")
      ->check(between(1, 1'000));
  command.add_option("--agent", play.agents, "Play on that machine instead of this one; may be repeated")
      ->type_name("HOST:PORT");
  command.add_flag("--quiet", play.quiet, "Show no progress");
}

int play(const std::string& name, const std::string& text, const Play& flags) {
  const auto read = read_scenario(name, text, flags.set);
  if (!read) return kScenarioInvalid;
  const load::Scenario& scenario = read->scenario;
  const std::string json = flags.json.empty() ? scenario.output.json : flags.json;
  const std::string html = flags.html.empty() ? scenario.output.html : flags.html;
  if (!json.empty() && json == html) {
    note("load", fmt::format("{} cannot be both the figures and the report", json));
    return kScenarioInvalid;
  }
  // Before the run: nobody wants to hear after an hour that its result cannot be kept.
  for (const std::string& output : {json, html}) {
    if (!output.empty() && !can_be_written("load", output)) return kScenarioInvalid;
  }
  load::RunOptions options{.file = name,
                           .text = text,
                           .set = read->set,
                           .workers = flags.workers,
                           .agents = flags.agents,
                           .token = load_token(),
                           .program = "/proc/self/exe",
                           .version = COURIER_VERSION,
                           .transports = load_transport};
  const bool live = !flags.quiet && ::isatty(STDERR_FILENO) == 1;
  if (!flags.quiet) {
    options.on_second = [&](const load::Second& second, const load::Conductor& conductor) {
      if (live) {
        const size_t fit = columns();
        say("\r\x1b[K{:.{}}", progress(second, conductor, fit < kColumnsWide), fit - 1);
      } else {
        say("{}\n", progress(second, conductor, false));
      }
      std::fflush(stderr);
    };
    options.on_stage = [&](const load::StageResult& stage) {
      say("{}stage {}: {}\n", live ? "\r\x1b[K" : "", stage.name,
          stage.trouble.empty() ? fmt::format("{:.1f} s", stage.ended - stage.began) : stage.trouble);
    };
  }
  watch_interrupts();
  // Whoever reads our output may have gone long before the end; the files are written all the same.
  ::signal(SIGPIPE, SIG_IGN);
  options.interrupted = interrupted;
  const auto result = load::run(scenario, options);
  if (live) say("\r\x1b[K");
  if (!result) {
    note("load", result.error().message);
    if (interrupted()) return load::exit_code(load::Outcome::interrupted);
    return result.error().code == load::make_error_code(load::errc::invalid_scenario) ? kScenarioInvalid
                                                                                      : kTargetUnreachable;
  }
  bool written = true;
  if (!json.empty() && (written = write_text_file("load", json, load::to_json(*result))) &&
      json != kStandardOutput) {
    say("figures: {}\n", json);
  }
  if (!html.empty() && (written = write_text_file("load", html, load::to_html(*result)) && written) &&
      html != kStandardOutput) {
    say("report: {}\n", html);
  }
  // The files first: whoever reads the summary may be gone.
  const std::string summary = load::summary(*result);
  const bool taken = json == kStandardOutput || html == kStandardOutput;
  std::fwrite(summary.data(), 1, summary.size(), taken ? stderr : stdout);
  const int code = load::exit_code(result->outcome);
  return code == 0 && !written ? kFailure : code;
}

}  // namespace courier::cli
