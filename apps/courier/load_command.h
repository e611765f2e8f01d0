// What the commands of `courier load` share: reading a scenario, playing it, writing what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "courier/command.h"
#include "load/run.h"

namespace courier::cli {

// Exit codes of `courier load`; load::exit_code() has those of a run's outcome.
inline constexpr int kScenarioInvalid = 2, kTargetUnreachable = 3, kWorse = 99;
extern const char* const kLoadExitCodes;

inline constexpr const char* kLoadTokenVariable = "COURIER_LOAD_TOKEN";
std::string load_token();

// SIGINT and SIGTERM end a run in order, a second one at once.
void watch_interrupts();
bool interrupted();

inline constexpr size_t kResultBytesMax = 2'000'000'000;
// nullopt, with a note, when it cannot be read.
std::optional<std::string> read_text_file(std::string_view command, const std::string& name,
                                          size_t bytes_max = kResultBytesMax);
// The name of a file that is none: standard output.
inline constexpr const char* kStandardOutput = "-";
// False, with a note, when it cannot. Leaves it as it is.
bool can_be_written(std::string_view command, const std::string& name);
// False, with a note, when it cannot be written.
bool write_text_file(std::string_view command, const std::string& name, std::string_view text);

// What a scenario's text says, as it was understood.
struct ReadScenario {
  load::Overrides set;
  load::Scenario scenario;
};
// Findings go to stderr; nullopt when the scenario makes no sense. `set`: NAME=VALUE.
std::optional<ReadScenario> read_scenario(const std::string& file, const std::string& text,
                                          const std::vector<std::string>& set);

// Flags of everything that plays.
struct Play {
  std::vector<std::string> set, agents;
  uint32_t workers = 0;
  std::string json, html;
  bool quiet = false;
};
void add_play_flags(CLI::App& command, Play& play);
// Plays it, shows how it goes and what came of it, writes the outputs; the exit code.
int play(const std::string& file, const std::string& text, const Play& flags);

// What workers speak with brokers that want TLS or WebSocket. Every handshake is a full one: the clients of a
// worker share no tickets.
Result<client::TransportMaker> load_transport(const load::Broker& broker, const load::TargetTls& tls);

// Each is a subcommand of `courier load`.
Run set_up_load_quick(CLI::App& app);
Run set_up_load_compare(CLI::App& app);
Run set_up_load_report(CLI::App& app);

}  // namespace courier::cli
