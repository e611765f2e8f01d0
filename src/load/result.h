// What a run came to: for the summary, the JSON file and the report. JSON in and out.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "load/scenario.h"
#include "load/scrape.h"
#include "load/tally.h"

namespace courier::load {

// The order is that of severity: of several the last counts.
enum class Outcome : uint8_t {
  passed,       // exit code 0
  failed,       // 99: a threshold, or a stage's timeout
  invalid,      // 4: the generator lagged or lost a worker; what was measured says nothing about the broker
  unreachable,  // 3
  interrupted,  // 130
};
int exit_code(Outcome outcome);
std::string_view name(Outcome outcome);

// One second of the run.
struct Second {
  double at = 0;  // seconds from the start, of its end
  size_t stage = 0;
  uint64_t connected = 0, ready = 0, awaited = 0, overdue = 0;
  double generator_cpu_seconds = 0;  // spent by all workers
  Tally tally;
};

struct StageResult {
  std::string name;
  double began = 0, ended = 0;  // seconds from the start
  Tally tally;
  std::string trouble;  // why it ended otherwise than it should: a timeout, an abort
};

struct Verdict {
  std::string stage, condition;
  bool held = false, judged = false;  // not judged: nothing of the kind was measured
  double value = 0;
  std::string shown;  // the value, as people write it
};

struct RunResult {
  std::string scenario, version;
  uint64_t seed = 0, clients = 0, workers = 1;
  std::vector<std::pair<std::string, std::string>> vars;
  int64_t started_at_ms = 0;  // wall clock
  double seconds = 0;
  Outcome outcome{};
  std::string trouble;  // of the run as a whole
  std::vector<StageResult> stages;
  Tally total;
  std::vector<Second> series;
  std::vector<Verdict> verdicts;
  std::vector<std::string> notes;    // what went wrong beside the run
  std::vector<std::string> missing;  // some of the lost messages
  std::vector<Scraped> scraped;      // the target's own metrics
  uint64_t lost_unknown = 0;         // awaited by clients that were away at the end: nobody can say
};

std::string to_json(const RunResult& result);
Result<RunResult> from_json(std::string_view text);

// The table at the end of a run. `width` columns.
std::string summary(const RunResult& result);

}  // namespace courier::load
