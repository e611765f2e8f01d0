// How long messages took: a histogram of microseconds in steps of 1/32 of their size, and its percentiles.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace courier::bench {

class Latencies {
 public:
  void add(uint64_t us) {
    ++counts_[slot(us)];
    ++total_;
    if (us > max_) max_ = us;
  }
  void clear() { *this = {}; }
  uint64_t total() const { return total_; }
  uint64_t max_us() const { return max_; }
  // The smallest time that this share of all (0 to 1) did not exceed, to 1/32 of it.
  uint64_t at(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return bound(i) < max_ ? bound(i) : max_;
    }
    return max_;
  }

 private:
  static constexpr size_t kSteps = 32;

  static size_t slot(uint64_t us) {
    if (us < kSteps) return us;
    const auto shift = static_cast<size_t>(std::bit_width(us)) - 6;
    const size_t at = (shift + 1) * kSteps + (us >> shift) - kSteps;
    return at < kSlots ? at : kSlots - 1;
  }
  static uint64_t bound(size_t slot) {
    if (slot < 2 * kSteps) return slot;
    const size_t shift = slot / kSteps - 1;
    return ((slot % kSteps + kSteps + 1) << shift) - 1;
  }

  static constexpr size_t kSlots = 32 * kSteps;
  std::array<uint64_t, kSlots> counts_{};
  uint64_t total_ = 0;
  uint64_t max_ = 0;
};

}  // namespace courier::bench
