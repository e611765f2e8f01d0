// What a scenario says in figures: rates, ranges, shares, rate curves; and text with places to fill in. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace courier::load {

// "2000/s", "10/min", "600/h", "0.5/s"; in events per second. Never negative.
std::optional<double> parse_rate(std::string_view text);
std::string format_rate(double per_second);

// "99.9%"; as a part of 1, from 0 to 1.
std::optional<double> parse_share(std::string_view text);

// "20s..90s", or "5s" for both ends. In milliseconds.
struct DurationRange {
  int64_t from_ms = 0, to_ms = 0;
  bool operator==(const DurationRange&) const = default;
};
std::optional<DurationRange> parse_duration_range(std::string_view text);

// How often something happens, over time: stretches in a row, each from one rate straight to another. After
// the last one it stays as it was.
class RateCurve {
 public:
  struct Stretch {
    int64_t over_ms = 0;
    double from = 0, to = 0;  // per second
    bool operator==(const Stretch&) const = default;
  };
  RateCurve() = default;
  explicit RateCurve(std::vector<Stretch> stretches) : stretches_(std::move(stretches)) {}
  static RateCurve constant(double per_second) { return RateCurve({{0, per_second, per_second}}); }

  double rate_at(double seconds) const;
  // How many events are due from the start until then.
  double events_until(double seconds) const;
  // When event number `n` (from 1) is due, in seconds from the start; infinity when it never is.
  double time_of(double n) const;
  double highest() const;
  const std::vector<Stretch>& stretches() const { return stretches_; }
  bool operator==(const RateCurve&) const = default;

 private:
  std::vector<Stretch> stretches_;
};

}  // namespace courier::load
