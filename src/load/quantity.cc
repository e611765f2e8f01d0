#include "load/quantity.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include "config/quantity.h"

namespace courier::load {

namespace {

// A plain decimal number, nothing around it.
std::optional<double> number(std::string_view text) {
  if (text.empty() || text.size() > 20 || text.find_first_not_of("0123456789.") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string digits(text);
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  if (*end != '\0' || digits == ".") return std::nullopt;
  return value;
}

}  // namespace

std::optional<double> parse_rate(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto events = number(text.substr(0, slash));
  const std::string_view unit = text.substr(slash + 1);
  if (!events) return std::nullopt;
  if (unit == "s") return *events;
  if (unit == "min" || unit == "m") return *events / 60;
  if (unit == "h") return *events / 3600;
  return std::nullopt;
}

std::string format_rate(double per_second) {
  if (per_second >= 1e5) return fmt::format("{:.0f}/s", per_second);
  if (per_second >= 1 || per_second == 0) return fmt::format("{:g}/s", per_second);
  if (per_second * 60 >= 1) return fmt::format("{:g}/min", per_second * 60);
  return fmt::format("{:g}/h", per_second * 3600);
}

std::optional<double> parse_share(std::string_view text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  const auto percent = number(text.substr(0, text.size() - 1));
  if (!percent || *percent > 100) return std::nullopt;
  return *percent / 100;
}

std::optional<DurationRange> parse_duration_range(std::string_view text) {
  const size_t dots = text.find("..");
  const auto from = config::parse_duration_ms(text.substr(0, dots));
  const auto to = dots == std::string_view::npos ? from : config::parse_duration_ms(text.substr(dots + 2));
  if (!from || !to || *from > *to) return std::nullopt;
  return DurationRange{*from, *to};
}

double RateCurve::rate_at(double seconds) const {
  if (stretches_.empty()) return 0;
  double begins = 0;
  for (const Stretch& stretch : stretches_) {
    const double length = static_cast<double>(stretch.over_ms) / 1e3;
    if (seconds < begins + length) {
      return stretch.from + (stretch.to - stretch.from) * (seconds - begins) / length;
    }
    begins += length;
  }
  return stretches_.back().to;
}

double RateCurve::events_until(double seconds) const {
  double begins = 0, events = 0;
  for (const Stretch& stretch : stretches_) {
    const double length = static_cast<double>(stretch.over_ms) / 1e3;
    const double inside = std::clamp(seconds - begins, 0.0, length);
    if (length > 0) {
      const double at_end = stretch.from + (stretch.to - stretch.from) * inside / length;
      events += inside * (stretch.from + at_end) / 2;
    }
    begins += length;
  }
  if (!stretches_.empty() && seconds > begins) events += (seconds - begins) * stretches_.back().to;
  return events;
}

double RateCurve::time_of(double n) const {
  double begins = 0, events = 0;
  for (const Stretch& stretch : stretches_) {
    const double length = static_cast<double>(stretch.over_ms) / 1e3;
    const double inside = length * (stretch.from + stretch.to) / 2;
    if (events + inside >= n && inside > 0) {
      // from·t + slope·t²/2 = missing; the form that does not cancel when the slope is small.
      const double missing = n - events, slope = (stretch.to - stretch.from) / length;
      const double root = std::sqrt(std::max(0.0, stretch.from * stretch.from + 2 * slope * missing));
      return begins + std::min(length, 2 * missing / (stretch.from + root));
    }
    events += inside;
    begins += length;
  }
  const double rate = stretches_.empty() ? 0 : stretches_.back().to;
  if (rate <= 0) return std::numeric_limits<double>::infinity();
  return begins + (n - events) / rate;
}

double RateCurve::highest() const {
  double highest = 0;
  for (const Stretch& stretch : stretches_) highest = std::max({highest, stretch.from, stretch.to});
  return highest;
}

}  // namespace courier::load
