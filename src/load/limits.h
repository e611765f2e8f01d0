// Every bound of the load tester: what a scenario, a worker, a run and another process
// may ask of it at most.
#pragma once

#include <cstddef>
#include <cstdint>

namespace courier::load {

// A scenario.
inline constexpr size_t kScenarioBytesMax = 1024 * 1024;
inline constexpr size_t kFindingsMax = 50;
inline constexpr size_t kShownLineMax = 120;     // columns
inline constexpr size_t kShownWordMax = 60;      // of a name in a message
inline constexpr size_t kShownMessageMax = 800;  // of a message in all
inline constexpr size_t kGroupsMax = 256;
inline constexpr size_t kStagesMax = 1'000;
inline constexpr size_t kStepsMax = 1'000;
inline constexpr size_t kThresholdsMax = 1'000;
inline constexpr uint64_t kClientsMax = 10'000'000;
inline constexpr size_t kTextMax = 64 * 1024;  // of one value, filled in
inline constexpr size_t kNameMax = 4'096;      // of names, addresses and files
inline constexpr size_t kVarsMax = 1'000;
inline constexpr double kRateMax = 10e6;  // per second
inline constexpr size_t kPayloadBytesMax = 16 * 1024 * 1024;
inline constexpr size_t kSourcesMax = 65'536;
inline constexpr int64_t kDurationMsMax = int64_t{366} * 86'400'000;

// What one process is likely to get done on a machine of today; more is worth a warning.
inline constexpr double kSendsLikely = 100'000;    // messages per second
inline constexpr double kConnectsLikely = 20'000;  // per second
inline constexpr double kSendsEachLikely = 5'000;  // of one client with QoS 1 and 2

// A worker.
inline constexpr size_t kConnectsPerTurn = 500;
inline constexpr size_t kMessagesPerTurn = 1'000;
inline constexpr size_t kPublisherTries = 64;  // clients asked in turn whether they are there
inline constexpr size_t kUnansweredMax =
    10'000;  // of one publisher; what is due then is not sent, and counted
inline constexpr int64_t kUnacknowledgedUs = 1'000'000;  // QoS 0: how long its connection must stand
inline constexpr int64_t kTidyEveryUs = 10'000'000;
inline constexpr int64_t kLookBackEveryUs = 1'000'000;
inline constexpr size_t kAwaitedFew = 10'000;
inline constexpr int64_t kEarlyKeptUs = 120'000'000;

// What processes say to one another.
inline constexpr size_t kFrameBytesMax = 64 * 1024 * 1024;
inline constexpr uint32_t kWorkersMax = 1'000;
inline constexpr uint32_t kClockPings = 8;
inline constexpr int64_t kReportEveryMs = 100;
inline constexpr int64_t kPrepareMsMax = 20'000;
inline constexpr size_t kSessionsMax = 64;            // of one agent
inline constexpr int64_t kLetterDelayUs = 2'000'000;  // how late another worker's word may come

// The target's metrics.
inline constexpr size_t kMetricsPageBytesMax = 16 * 1024 * 1024;
inline constexpr size_t kMetricsMax = 10'000;
inline constexpr long kScrapeMsMax = 900;

// A run.
inline constexpr int kKnockMs = 5'000;
// When no client got anywhere: how long the target is given to say why, and how much of that is shown.
inline constexpr int64_t kGreetingMs = 2'000;
inline constexpr size_t kGreetingBytesMax = 512;
inline constexpr size_t kShownAnswerMax = 80;
inline constexpr size_t kShownReasonsMax = 3;
// The end waits at least so long for what it awaits: QoS 0 is promised a second late, and workers hear of it
// later.
inline constexpr int64_t kDrainMsMin = 3'000;
inline constexpr double kLeaveSecondsMax = 10;
inline constexpr int64_t kStageLeadNs =
    50'000'000;                                 // how long before it begins several workers hear of a stage
inline constexpr double kHearsaySeconds = 0.5;  // after that, workers have heard one another's letters
inline constexpr size_t kMissingShown = 20;
// A generator whose every hundredth message leaves so late says nothing about the broker. A scenario that
// judges counts and no times may allow more: lag_max.
inline constexpr int64_t kLagMsMax = 100;

}  // namespace courier::load
