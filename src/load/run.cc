#include "load/run.h"

#include <algorithm>

#include "load/local_hand.h"

namespace courier::load {

namespace {

constexpr int64_t kTickMs = 100;

// The shortest grace that a threshold gives to lost messages.
int64_t overdue_ms(const Scenario& scenario) {
  int64_t least = 30'000;
  for (const Threshold& threshold : scenario.thresholds) {
    if (threshold.metric == "delivery.lost" && threshold.grace_ms > 0)
      least = std::min(least, threshold.grace_ms);
  }
  return least;
}

}  // namespace

Result<RunResult> run(const Scenario& scenario, const RunOptions& options) {
  auto loop = client::ClientLoop::open(derived(scenario.seed, 1, 3));
  if (!loop) return fail(std::move(loop.error()));
  const auto run_number = static_cast<uint32_t>(derived(static_cast<uint64_t>(system_clock().wall_ms()), 4));
  auto worker = Worker::make(
      scenario, {.index = 0, .count = 1, .run = run_number, .overdue_ms = overdue_ms(scenario)}, **loop);
  if (!worker) return fail(std::move(worker.error()));
  std::vector<std::unique_ptr<Hand>> hands;
  hands.push_back(std::make_unique<LocalHand>(std::move(*worker)));
  Conductor conductor(scenario, std::move(hands), system_clock());
  conductor.on_second = options.on_second;
  conductor.on_stage = options.on_stage;
  client::Timer timer([&] {
    if (options.interrupted && options.interrupted()) conductor.interrupt();
    conductor.tick();
    if (!conductor.over()) (*loop)->arm(timer, kTickMs);
  });
  conductor.start();
  (*loop)->arm(timer, kTickMs);
  while (!conductor.over()) (*loop)->run_once();
  (*loop)->cancel(timer);
  return conductor.result();
}

}  // namespace courier::load
