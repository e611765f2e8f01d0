#include "base/metrics.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/check.h"

namespace courier {
namespace {

// A double's bits above this shift are its exponent and the three highest bits of its mantissa, which is
// exactly "which power of two, and which eighth of it". They grow with the value, so they number the buckets.
constexpr int kStepBits = 3;
static_assert(1 << kStepBits == Histogram::kSteps);
constexpr int kShift = 52 - kStepBits;
constexpr int kExponentBias = 1023;

int exponent_min(Histogram::Unit unit) {
  return unit == Histogram::Unit::seconds ? -20 : 0;
}
int exponent_max(Histogram::Unit unit) {
  return unit == Histogram::Unit::seconds ? 7 : 30;
}

bool is_metric_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

void append_escaped(std::string& out, std::string_view text, bool quote_too) {
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '"':
        out += quote_too ? "\\\"" : "\"";
        break;
      default:
        out += c;
    }
  }
}

// {a="1",b="2"} without the braces; also the key under which a family keeps the series.
std::string label_text(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    CHECK(is_metric_name(name));
    if (!out.empty()) out += ',';
    out += name;
    out += "=\"";
    append_escaped(out, value, true);
    out += '"';
  }
  return out;
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (value == std::floor(value) && std::fabs(value) < 1e15) {
    fmt::format_to(std::back_inserter(out), "{}", static_cast<int64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void append_sample(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
                   double value) {
  out += name;
  out += suffix;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  append_number(out, value);
  out += '\n';
}

}  // namespace

// --- Histogram ---

Histogram::Histogram(Unit unit)
    : unit_(unit),
      exponent_min_(exponent_min(unit)),
      // One bucket for everything up to the first bound, one without an upper bound.
      buckets_(static_cast<size_t>((exponent_max(unit) - exponent_min_) * kSteps + 2)) {}

void Histogram::observe(double value) {
  if (std::isnan(value)) return;
  value = value > 0 ? value : 0;
  size_t index = 0;
  if (value > std::ldexp(1.0, exponent_min_)) {
    // One bit less puts a value that equals a bound below it: `le` means "less or equal".
    const uint64_t bits = std::bit_cast<uint64_t>(value) - 1;
    const uint64_t first = static_cast<uint64_t>(exponent_min_ + kExponentBias) << kStepBits;
    index = static_cast<size_t>((bits >> kShift) - first) + 1;
    if (index > buckets_.size() - 1) index = buckets_.size() - 1;
  }
  buckets_[index].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t n = 0;
  for (const auto& bucket : buckets_) n += bucket.load(std::memory_order_relaxed);
  return n;
}

double Histogram::bound(size_t index) const {
  const auto power = static_cast<int>(index) / kSteps;
  const auto step = static_cast<int>(index) % kSteps;
  return std::ldexp(1.0 + static_cast<double>(step) / kSteps, exponent_min_ + power);
}

double Histogram::quantile(double q) const {
  const uint64_t all = count();
  if (all == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(q * static_cast<double>(all)));
  uint64_t seen = 0;
  for (size_t i = 0; i + 1 < buckets_.size(); ++i) {
    seen += bucket(i);
    if (seen > 0 && seen >= wanted) return bound(i);
  }
  return bound(buckets_.size() - 2);
}

// --- Registry ---

struct Registry::Series {
  std::string labels;
  std::vector<std::unique_ptr<Counter>> counters;
  std::vector<std::unique_ptr<Gauge>> gauges;
  std::vector<std::unique_ptr<Histogram>> histograms;
  std::vector<std::function<double()>> callbacks;

  double sum() const {
    double out = 0;
    for (const auto& counter : counters) out += static_cast<double>(counter->value());
    for (const auto& gauge : gauges) out += static_cast<double>(gauge->value());
    for (const auto& histogram : histograms) out += static_cast<double>(histogram->count());
    for (const auto& callback : callbacks) out += callback();
    return out;
  }

  void append_histogram(std::string& out, std::string_view name) const {
    const Histogram& first = *histograms.front();
    const std::string prefix = labels.empty() ? "" : labels + ",";
    uint64_t cumulative = 0;
    for (size_t i = 0; i < first.bucket_count(); ++i) {
      for (const auto& histogram : histograms) cumulative += histogram->bucket(i);
      const bool last = i + 1 == first.bucket_count();
      if (!last && i % Histogram::kShownEvery != 0) continue;
      const std::string le = last ? "+Inf" : fmt::format("{}", first.bound(i));
      append_sample(out, name, "_bucket", prefix + "le=\"" + le + "\"", static_cast<double>(cumulative));
    }
    double total = 0;
    for (const auto& histogram : histograms) total += histogram->sum();
    append_sample(out, name, "_sum", labels, total);
    append_sample(out, name, "_count", labels, static_cast<double>(cumulative));
  }
};

struct Registry::Family {
  Type type;
  std::string help;
  std::map<std::string, Series, std::less<>> series;
};

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Family& Registry::family(std::string_view name, std::string_view help, Type type) {
  auto it = families_.find(name);
  if (it == families_.end()) {
    CHECK(is_metric_name(name));
    auto made = std::make_unique<Family>();
    made->type = type;
    made->help = help;
    it = families_.emplace(std::string(name), std::move(made)).first;
  }
  CHECK(it->second->type == type);
  return *it->second;
}

Registry::Series& Registry::series(std::string_view name, std::string_view help, Type type, Labels labels) {
  Family& owner = family(name, help, type);
  std::string key = label_text(labels);
  if (!owner.series.contains(key) && owner.series.size() >= kSeriesMax) {
    for (auto& [label, value] : labels) value = "other";
    key = label_text(labels);
  }
  Series& made = owner.series[key];
  made.labels = key;
  return made;
}

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  auto& counters = series(name, help, Type::counter, std::move(labels)).counters;
  return *counters.emplace_back(std::make_unique<Counter>());
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
  const std::lock_guard lock(mutex_);
  auto& gauges = series(name, help, Type::gauge, std::move(labels)).gauges;
  return *gauges.emplace_back(std::make_unique<Gauge>());
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, Labels labels,
                               Histogram::Unit unit) {
  const std::lock_guard lock(mutex_);
  auto& histograms = series(name, help, Type::histogram, std::move(labels)).histograms;
  CHECK(histograms.empty() || histograms.front()->unit() == unit);
  return *histograms.emplace_back(std::make_unique<Histogram>(unit));
}

void Registry::gauge_callback(std::string_view name, std::string_view help, Labels labels,
                              std::function<double()> value) {
  const std::lock_guard lock(mutex_);
  series(name, help, Type::gauge, std::move(labels)).callbacks.push_back(std::move(value));
}

void Registry::counter_callback(std::string_view name, std::string_view help, Labels labels,
                                std::function<double()> value) {
  const std::lock_guard lock(mutex_);
  series(name, help, Type::counter, std::move(labels)).callbacks.push_back(std::move(value));
}

std::string Registry::prometheus_text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, owner] : families_) {
    out += "# HELP " + name + " ";
    append_escaped(out, owner->help, false);
    out += "\n# TYPE " + name;
    switch (owner->type) {
      case Type::counter:
        out += " counter\n";
        break;
      case Type::gauge:
        out += " gauge\n";
        break;
      case Type::histogram:
        out += " histogram\n";
        break;
    }
    for (const auto& [labels, one] : owner->series) {
      if (owner->type == Type::histogram) {
        one.append_histogram(out, name);
      } else {
        append_sample(out, name, "", labels, one.sum());
      }
    }
  }
  return out;
}

std::optional<double> Registry::value(std::string_view name, const Labels& labels) const {
  const std::lock_guard lock(mutex_);
  const auto owner = families_.find(name);
  if (owner == families_.end()) return std::nullopt;
  const auto found = owner->second->series.find(label_text(labels));
  if (found == owner->second->series.end()) return std::nullopt;
  return found->second.sum();
}

double Registry::total(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto owner = families_.find(name);
  if (owner == families_.end()) return 0;
  double out = 0;
  for (const auto& [labels, one] : owner->second->series) out += one.sum();
  return out;
}

}  // namespace courier
