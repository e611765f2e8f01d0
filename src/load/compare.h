// Two results of runs beside each other, and whether the second one is worse.
// Pure: it reads no file.
#pragma once

#include <string>

#include "load/result.h"

namespace courier::load {

struct ResultComparison {
  std::string text;    // a table, and what makes the two hard to compare
  bool worse = false;  // a p99, or a count of losses, is worse than the tolerance allows
};

// `tolerance`: 0.1 lets a p99 of `after` be 10% above that of `before`.
ResultComparison compare(const RunResult& before, const RunResult& after, double tolerance);

}  // namespace courier::load
