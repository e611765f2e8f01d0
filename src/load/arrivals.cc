#include "load/arrivals.h"

#include <algorithm>
#include <cmath>

namespace courier::load {

namespace {

// splitmix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
constexpr uint64_t mixed(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// The inverse of the normal distribution. Acklam's rational approximation, relative error below 1.2e-9.
double normal_quantile(double p) {
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                          3.754408661907416e+00};
  const auto tail = [&](double q) {
    return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
           ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  };
  if (p < 0.02425) return tail(std::sqrt(-2 * std::log(p)));
  if (p > 1 - 0.02425) return -tail(std::sqrt(-2 * std::log(1 - p)));
  const double q = p - 0.5, r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

constexpr double kNormal99 = 2.3263478740408408;

}  // namespace

uint64_t derived(uint64_t seed, uint64_t a, uint64_t b) {
  return mixed(mixed(mixed(seed) ^ a) ^ b);
}

uint64_t part_of_count(uint64_t count, uint64_t before, uint64_t size, uint64_t all) {
  const auto up_to = [&](uint64_t part) {
    const long double share = static_cast<long double>(count) * static_cast<long double>(part);
    return static_cast<uint64_t>(std::ceil(share / static_cast<long double>(all)));
  };
  return up_to(before + size) - up_to(before);
}

double connect_time_ms(const ConnectStep& step, uint64_t rank, uint64_t count, uint64_t seed) {
  const auto over = static_cast<double>(step.over_ms);
  const double part = count == 0 ? 0 : static_cast<double>(rank) / static_cast<double>(count);
  switch (step.shape) {
    case Shape::linear:
      return over * part;
    case Shape::poisson:
      // Given their number, a Poisson process's events lie independently and evenly.
      return over * derived_part(seed, rank, 1);
    case Shape::step:
      return over * std::floor(part * 10) / 10;
    case Shape::front_loaded:
      return over * (part < 0.5 ? part * 0.4 : 0.2 + (part - 0.5) * 1.6);
  }
  return 0;
}

Picker::Picker(const Pick& pick, uint64_t count, uint64_t seed, uint32_t worker, uint32_t workers)
    : distribution_(pick.distribution),
      exponent_(pick.exponent),
      count_(count),
      seed_(derived(seed, 2)),
      worker_(worker),
      workers_(workers) {
  if (distribution_ != Distribution::zipf) return;
  low_ = harmonic(1.5) - 1;
  high_ = harmonic(static_cast<double>(count_) + 0.5);
  shortcut_ = 2 - harmonic_inverse(harmonic(2.5) - std::pow(2.0, -exponent_));
}

// H(x), an integral of x^-exponent, and its inverse.
double Picker::harmonic(double x) const {
  const double log_x = std::log(x), y = (1 - exponent_) * log_x;
  return log_x * (std::abs(y) > 1e-8 ? std::expm1(y) / y : 1 + y / 2);
}
double Picker::harmonic_inverse(double x) const {
  const double y = std::max(-1.0, x * (1 - exponent_));
  return std::exp(x * (std::abs(y) > 1e-8 ? std::log1p(y) / y : 1 - y / 2));
}

uint64_t Picker::next() {
  // The place of the message among those of all workers, when they have as many of the group each.
  const uint64_t place = worker_ + workers_ * drawn_++;
  switch (distribution_) {
    case Distribution::uniform:
      return derived(seed_, place) % count_;
    case Distribution::sequential:
      return place % count_;
    case Distribution::zipf:
      // Rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone
      // discrete distributions", 1996): a constant number of steps, no table. Number 0 is picked most.
      for (uint64_t attempt = 0;; ++attempt) {
        const double u = high_ + derived_part(seed_, place, attempt) * (low_ - high_);
        const double x = harmonic_inverse(u);
        const double k = std::clamp(std::round(x), 1.0, static_cast<double>(count_));
        if (k - x <= shortcut_ || u >= harmonic(k + 0.5) - std::pow(k, -exponent_)) {
          return static_cast<uint64_t>(k) - 1;
        }
      }
  }
  return 0;
}

double think_ms(const ThinkTime& think, double part) {
  if (think.median_ms <= 0) return 0;
  if (think.p99_ms <= think.median_ms) return think.median_ms;
  const double sigma = std::log(think.p99_ms / think.median_ms) / kNormal99;
  return think.median_ms * std::exp(sigma * normal_quantile(std::clamp(part, 1e-9, 1 - 1e-9)));
}

}  // namespace courier::load
