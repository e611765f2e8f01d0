#include "config/quantity.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <span>

namespace courier::config {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

// From small to large; the first spelling of a factor is the one that is written.
constexpr std::array kByteUnits = {
    Unit{"B", 1},           Unit{"KB", 1LL << 10},  Unit{"KiB", 1LL << 10}, Unit{"kB", 1LL << 10},
    Unit{"K", 1LL << 10},   Unit{"MB", 1LL << 20},  Unit{"MiB", 1LL << 20}, Unit{"M", 1LL << 20},
    Unit{"GB", 1LL << 30},  Unit{"GiB", 1LL << 30}, Unit{"G", 1LL << 30},   Unit{"TB", 1LL << 40},
    Unit{"TiB", 1LL << 40}, Unit{"T", 1LL << 40},
};
constexpr std::array kTimeUnits = {
    Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000},
};

std::optional<int64_t> parse(std::string_view text, std::span<const Unit> units, int64_t bare_factor) {
  const size_t digits_end = text.find_first_not_of("0123456789.");
  const std::string digits(text.substr(0, digits_end));
  std::string_view unit = digits_end == std::string_view::npos ? "" : text.substr(digits_end);
  if (!unit.empty() && unit[0] == ' ') unit.remove_prefix(1);
  if (digits.empty() || digits.size() > 20 || digits.front() == '.' || digits.back() == '.') {
    return std::nullopt;
  }

  int64_t factor = 0;
  if (unit.empty() && digits_end == std::string_view::npos) factor = bare_factor;
  for (const Unit& known : units) {
    if (unit == known.name) factor = known.factor;
  }
  if (factor == 0) return std::nullopt;

  char* end = nullptr;
  const long double value = std::strtold(digits.c_str(), &end) * static_cast<long double>(factor);
  if (*end != '\0' || value >= static_cast<long double>(std::numeric_limits<int64_t>::max()))
    return std::nullopt;
  const auto whole = static_cast<int64_t>(std::llroundl(value));
  // "0.5B" is not a size; "0.0001s" is not a duration that we can keep.
  if (std::fabs(static_cast<double>(value - static_cast<long double>(whole))) > 1e-6) return std::nullopt;
  return whole;
}

std::string format(int64_t value, std::span<const Unit> units) {
  Unit best = units.front();
  if (value != 0) {
    for (const Unit& unit : units) {
      if (value % unit.factor == 0 && unit.factor > best.factor) best = unit;
    }
  }
  return std::to_string(value / best.factor) + std::string(best.name);
}

}  // namespace

std::optional<int64_t> parse_bytes(std::string_view text) {
  return parse(text, kByteUnits, 1);
}
std::optional<int64_t> parse_duration_ms(std::string_view text) {
  return parse(text, kTimeUnits, 1000);
}
std::string format_bytes(int64_t bytes) {
  return format(bytes, kByteUnits);
}
std::string format_duration_ms(int64_t ms) {
  return ms == 0 ? "0s" : format(ms, kTimeUnits);
}

}  // namespace courier::config
