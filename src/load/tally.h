// What was measured over some stretch: a worker's last moment, a second, a stage, the run. Tallies merge.
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "load/histogram.h"
#include "load/metrics.h"
#include "load/scenario.h"

namespace courier::load {

inline constexpr size_t kReasonsMax = 200;

struct Tally {
  std::array<Histogram, kLatencies> latencies;
  std::array<uint64_t, kCounts> counts{};
  std::map<std::string, uint64_t> reasons;  // why connects, publishes and connections failed; in words

  Histogram& operator[](Latency metric) { return latencies[static_cast<size_t>(metric)]; }
  const Histogram& operator[](Latency metric) const { return latencies[static_cast<size_t>(metric)]; }
  uint64_t& operator[](Count metric) { return counts[static_cast<size_t>(metric)]; }
  uint64_t operator[](Count metric) const { return counts[static_cast<size_t>(metric)]; }
  void add_reason(const std::string& words, uint64_t times = 1);
  // A part of 1; 1 when there was nothing.
  double ratio(Ratio metric) const;
  // What a ratio is of.
  uint64_t whole(Ratio metric) const;

  void merge(const Tally& other);
  // What a threshold looks at, in its unit.
  double value(const Threshold& threshold) const;
  // Whether anything was measured that it looks at: an empty histogram passes no judgement, nor does a count
  // of what could not happen.
  bool has(const Threshold& threshold) const;
};

}  // namespace courier::load
