#include "load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace courier::load {

namespace {

constexpr int kUnitBits = 10;  // a unit is 1,024 ns
constexpr int kStepBits = 7;
constexpr uint64_t kSteps = uint64_t{1} << kStepBits;
constexpr uint64_t kUnitsMax = uint64_t{3'600} * 1'000'000'000 >> kUnitBits;

// The first 2·128 units one by one; then 128 steps for each power of two.
constexpr uint32_t bucket_of(uint64_t units) {
  if (units < 2 * kSteps) return static_cast<uint32_t>(units);
  const int power = std::bit_width(units) - 1 - kStepBits;  // ≥ 1
  return static_cast<uint32_t>(static_cast<uint64_t>(power) * kSteps + (units >> power));
}

constexpr uint32_t kBuckets = bucket_of(kUnitsMax) + 1;

}  // namespace

uint32_t Histogram::index_of(int64_t nanoseconds) {
  const uint64_t units = static_cast<uint64_t>(std::max<int64_t>(0, nanoseconds)) >> kUnitBits;
  return bucket_of(std::min(units, kUnitsMax));
}

double Histogram::bucket_end(uint32_t index) {
  uint64_t units = index;
  if (index >= 2 * kSteps) {
    const uint32_t power = index / kSteps - 1;
    units = ((index - uint64_t{power} * kSteps + 1) << power) - 1;
  }
  return static_cast<double>((units + 1) << kUnitBits) / 1e9;
}

void Histogram::record(int64_t nanoseconds, uint64_t times) {
  nanoseconds = std::max<int64_t>(0, nanoseconds);
  const uint32_t index = index_of(nanoseconds);
  if (index >= times_.size()) times_.resize(index + 1);
  times_[index] += times;
  count_ += times;
  max_ns_ = std::max(max_ns_, nanoseconds);
  sum_ns_ += static_cast<double>(nanoseconds) * static_cast<double>(times);
}

void Histogram::merge(const Histogram& other) {
  if (other.times_.size() > times_.size()) times_.resize(other.times_.size());
  for (size_t i = 0; i < other.times_.size(); ++i) times_[i] += other.times_[i];
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
}

double Histogram::quantile(double part) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<uint64_t>(
      std::max(1.0, std::ceil(std::clamp(part, 0.0, 1.0) * static_cast<double>(count_))));
  uint64_t seen = 0;
  for (uint32_t i = 0; i < times_.size(); ++i) {
    seen += times_[i];
    if (seen >= rank) return std::min(bucket_end(i), max());
  }
  return max();
}

uint64_t Histogram::count_below(double seconds) const {
  uint64_t seen = 0;
  for (uint32_t i = 0; i < times_.size() && bucket_end(i) <= seconds; ++i) seen += times_[i];
  return seen;
}

std::vector<Histogram::Bucket> Histogram::buckets() const {
  std::vector<Bucket> filled;
  for (uint32_t i = 0; i < times_.size(); ++i) {
    if (times_[i] != 0) filled.push_back({i, times_[i]});
  }
  return filled;
}

bool Histogram::restore(const std::vector<Bucket>& buckets, int64_t max_ns, double sum_ns) {
  Histogram made;
  for (const Bucket& bucket : buckets) {
    if (bucket.index >= kBuckets) return false;
    if (bucket.index >= made.times_.size()) made.times_.resize(bucket.index + 1);
    made.times_[bucket.index] += bucket.times;
    made.count_ += bucket.times;
  }
  if (max_ns < 0 || !(sum_ns >= 0) || (made.count_ == 0) != (max_ns == 0 && sum_ns == 0 && buckets.empty())) {
    return false;
  }
  made.max_ns_ = max_ns;
  made.sum_ns_ = sum_ns;
  *this = std::move(made);
  return true;
}

}  // namespace courier::load
