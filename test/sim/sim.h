// One simulation: a node, some clients, a seed that decides everything, and the judge's verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace courier::sim {

struct Verdict {
  std::vector<std::string> faults;
  size_t accepted = 0, delivered = 0;
  int crashes = 0;
};

// The same seed gives the same run, on any machine.
Verdict simulate(uint64_t seed, bool verbose = false);

}  // namespace courier::sim
