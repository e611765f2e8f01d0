// A histogram of times with a relative error of at most 1/128, whatever their size; merged, never averaged.
//
// Buckets are linear within each power of two (HdrHistogram's layout, http://hdrhistogram.org). From 1 µs to
// 1 h in 128 steps a power of two; what is larger counts in the last bucket, but max() stays exact.
#pragma once

#include <cstdint>
#include <vector>

namespace courier::load {

class Histogram {
 public:
  void record(int64_t nanoseconds, uint64_t times = 1);
  void merge(const Histogram& other);

  uint64_t count() const { return count_; }
  // Seconds. 0 when nothing was recorded.
  double max() const { return static_cast<double>(max_ns_) / 1e9; }
  double mean() const { return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_) / 1e9; }
  // The smallest value that this part of all (0 to 1) does not exceed: a bucket's upper end, at most max().
  double quantile(double part) const;
  // How many were at most that.
  uint64_t count_below(double seconds) const;

  // Buckets that hold something, in order: (index, times). For sending and storing.
  struct Bucket {
    uint32_t index = 0;
    uint64_t times = 0;
    bool operator==(const Bucket&) const = default;
  };
  std::vector<Bucket> buckets() const;
  // Upper end of a bucket, in seconds.
  static double bucket_end(uint32_t index);
  // False for an index or a sum that cannot be.
  bool restore(const std::vector<Bucket>& buckets, int64_t max_ns, double sum_ns);
  int64_t max_ns() const { return max_ns_; }
  double sum_ns() const { return sum_ns_; }

  bool operator==(const Histogram&) const = default;

 private:
  static uint32_t index_of(int64_t nanoseconds);

  std::vector<uint64_t> times_;  // as long as needed
  uint64_t count_ = 0;
  int64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace courier::load
