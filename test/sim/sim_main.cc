// sim --seeds=N [--first=M]   runs N seeds and says which failed
// sim --seed=N                replays one, and says what happened
// With --cluster: of several nodes over one simulated etcd.
// Exit code 0: no fault. With --expect-fault (sabotage builds): 0 only if a fault was found.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/log.h"
#include "cluster_sim.h"
#include "sim.h"

int main(int argc, char** argv) {
  uint64_t first = 1, count = 200, one = 0;
  bool expect_fault = false, cluster = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--seeds=")) {
      count = std::strtoull(argv[i] + 8, nullptr, 10);
    } else if (arg.starts_with("--first=")) {
      first = std::strtoull(argv[i] + 8, nullptr, 10);
    } else if (arg.starts_with("--seed=")) {
      one = std::strtoull(argv[i] + 7, nullptr, 10);
    } else if (arg == "--expect-fault") {
      expect_fault = true;
    } else if (arg == "--cluster") {
      cluster = true;
    } else {
      std::fprintf(stderr, "usage: sim [--cluster] [--seeds=N] [--first=M] [--seed=N] [--expect-fault]\n");
      return 2;
    }
  }
  courier::log::set_level(one != 0 ? courier::log::Level::info : courier::log::Level::off);
  if (one != 0) {
    first = one;
    count = 1;
  }
  size_t failed = 0, accepted = 0, delivered = 0;
  int crashes = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const courier::sim::Verdict verdict =
        cluster ? courier::sim::simulate_cluster(seed, one != 0) : courier::sim::simulate(seed, one != 0);
    accepted += verdict.accepted;
    delivered += verdict.delivered;
    crashes += verdict.crashes;
    if (verdict.faults.empty()) continue;
    ++failed;
    std::printf("seed %llu:\n", static_cast<unsigned long long>(seed));
    for (size_t i = 0; i < verdict.faults.size() && (i < 5 || one != 0); ++i) {
      std::printf("  %s\n", verdict.faults[i].c_str());
    }
    std::printf("  replay: sim%s --seed=%llu\n", cluster ? " --cluster" : "",
                static_cast<unsigned long long>(seed));
    if (expect_fault) break;
    if (failed >= 20) break;
  }
  std::printf("%zu seeds failed; %d crashes, %zu messages accepted, %zu delivered\n", failed, crashes,
              accepted, delivered);
  if (expect_fault && failed == 0) {
    std::printf("a fault was built in on purpose and not found\n");
    return 1;
  }
  return expect_fault ? 0 : failed != 0;
}
