// What the node counts, and how it tells Prometheus.
//
// A Registry owns every metric and outlives whoever counts. The hot path touches one relaxed atomic: a shard
// thread asks once, at start, for instances of its own, so that no two threads share a cache line; instances
// of the same name and labels are one series, summed when somebody reads. Names start with `courier_`, are in
// base units and end on `_total` when they only grow; labels are few and bounded (a listener, a reason, a
// QoS): never a client id, never a topic.
//
//   Counter& dropped = registry.counter("courier_messages_dropped_total", "Messages …", {{"reason",
//   "expired"}}); dropped.add(1);
//
// 1. counter(), gauge() and histogram() make a new instance each time: call them at start, not per event.
// 2. A name has one type and one help text; asking for another type is a bug (CHECK).
// 3. A name has at most kSeriesMax label sets; what comes after shares the series whose labels all say
// "other".
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace courier {

// In the order in which they are written. Names are [a-z_][a-z0-9_]*; values may be anything.
using Labels = std::vector<std::pair<std::string, std::string>>;

// Only grows. Any thread; an instance per thread is cheapest.
class alignas(64) Counter {
 public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Goes up and down. Instances of one series are summed, so each thread sets its own share.
class alignas(64) Gauge {
 public:
  void set(int64_t n) { value_.store(n, std::memory_order_relaxed); }
  void add(int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// How often which size was seen. Buckets are log-linear: every power of two is cut into kSteps equal parts,
// so a quantile is off by an eighth at most, and finding the bucket is a shift, not a logarithm.
class Histogram {
 public:
  enum class Unit : uint8_t {
    seconds,  // 2^-20 s (about 1 µs) to 128 s
    plain,    // 1 to 2^30: counts, bytes
  };
  static constexpr int kSteps = 8;
  // Only every fourth bound is shown to Prometheus: two per power of two.
  static constexpr int kShownEvery = 4;

  explicit Histogram(Unit unit);

  // Negative values count as 0; NaN is not counted.
  void observe(double value);

  uint64_t count() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  // The upper bound of the bucket that holds the q-th part of all values (q in [0, 1]); 0 when empty. Values
  // above the last bound are reported as that bound.
  double quantile(double q) const;

  Unit unit() const { return unit_; }
  size_t bucket_count() const { return buckets_.size(); }  // the last one has no upper bound
  uint64_t bucket(size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }
  // Bucket i holds (bound(i-1), bound(i)]; the last one is open. Only for i < bucket_count() - 1.
  double bound(size_t index) const;

 private:
  Unit unit_;
  int exponent_min_;
  std::vector<std::atomic<uint64_t>> buckets_;
  std::atomic<double> sum_{0};
};

// Thread-safe. The references it gives are valid for as long as it lives.
class Registry {
 public:
  static constexpr size_t kSeriesMax = 256;

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& counter(std::string_view name, std::string_view help, Labels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, Labels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, Labels labels = {},
                       Histogram::Unit unit = Histogram::Unit::seconds);

  // Asked at every exposition, on the thread that exposes. The function must not use this registry, must be
  // quick, and what it captures must live until the last exposition.
  void gauge_callback(std::string_view name, std::string_view help, Labels labels,
                      std::function<double()> value);
  // The same for a number that only grows and is counted elsewhere (by the store, by the kernel).
  void counter_callback(std::string_view name, std::string_view help, Labels labels,
                        std::function<double()> value);

  // The text format 0.0.4: families and series in the order of their names.
  std::string prometheus_text() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // The sum of one series (a histogram: how many values); nullopt when there is no such series.
  std::optional<double> value(std::string_view name, const Labels& labels = {}) const;
  // The sum over all series of a name; 0 when there is none.
  double total(std::string_view name) const;

 private:
  enum class Type : uint8_t { counter, gauge, histogram };
  struct Series;
  struct Family;

  Family& family(std::string_view name, std::string_view help, Type type);
  Series& series(std::string_view name, std::string_view help, Type type, Labels labels);

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Family>, std::less<>> families_;  // guarded by mutex_
};

}  // namespace courier
