// When clients come, whom a message goes to, how long an answer takes. All of it follows from the seed. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "load/scenario.h"

namespace courier::load {

// A number that follows from seed and what it is asked for, the same on every worker.
uint64_t derived(uint64_t seed, uint64_t a, uint64_t b = 0);
inline double derived_part(uint64_t seed, uint64_t a, uint64_t b = 0) {  // in [0, 1)
  return static_cast<double>(derived(seed, a, b) >> 11) * 0x1p-53;
}

// When the client in place `rank` of `count` is to connect, in milliseconds from the step's start.
double connect_time_ms(const ConnectStep& step, uint64_t rank, uint64_t count, uint64_t seed);

// A count is shared by parts of one whole, each as it is large: what falls to the part of `size` of `all`
// that stands behind `before`. Together it is the count exactly.
uint64_t part_of_count(uint64_t count, uint64_t before, uint64_t size, uint64_t all);

// Numbers of a group's clients by a distribution. Workers take turns: what they pick together is what one
// would have picked alone.
class Picker {
 public:
  Picker(const Pick& pick, uint64_t count, uint64_t seed, uint32_t worker, uint32_t workers);
  uint64_t next();

 private:
  double harmonic(double x) const;
  double harmonic_inverse(double x) const;

  Distribution distribution_;
  double exponent_;
  uint64_t count_, seed_;
  uint64_t drawn_ = 0;
  uint32_t worker_, workers_;
  double low_ = 0, high_ = 0, shortcut_ = 0;
};

// Log-normal, by median and 99th percentile. `part` in [0, 1).
double think_ms(const ThinkTime& think, double part);

}  // namespace courier::load
