#include "load/tally.h"

#include <algorithm>

#include "load/thresholds.h"

namespace courier::load {

void Tally::add_reason(const std::string& words, uint64_t times) {
  const auto known = reasons.find(words);
  if (known != reasons.end()) {
    known->second += times;
  } else if (reasons.size() < kReasonsMax) {
    reasons.emplace(words, times);
  } else {
    reasons["other reasons"] += times;
  }
}

double Tally::ratio(Ratio metric) const {
  const uint64_t whole = this->whole(metric);
  return whole == 0 ? 1 : static_cast<double>((*this)[info(metric).part]) / static_cast<double>(whole);
}

uint64_t Tally::whole(Ratio metric) const {
  const RatioInfo& ratio = info(metric);
  const uint64_t all = (*this)[ratio.whole];
  return ratio.less ? all - std::min(all, (*this)[*ratio.less]) : all;
}

void Tally::merge(const Tally& other) {
  for (size_t i = 0; i < latencies.size(); ++i) latencies[i].merge(other.latencies[i]);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  for (const auto& [words, times] : other.reasons) add_reason(words, times);
}

double Tally::value(const Threshold& threshold) const {
  if (const auto latency = latency_named(threshold.metric)) {
    const auto statistic = statistic_named(threshold.statistic);
    const Histogram& histogram = (*this)[*latency];
    if (!statistic) return 0;
    return statistic->mean ? histogram.mean() : histogram.quantile(statistic->quantile);
  }
  if (const auto metric = ratio_named(threshold.metric)) return ratio(*metric);
  if (const auto count = count_named(threshold.metric)) return static_cast<double>((*this)[*count]);
  return 0;
}

bool Tally::has(const Threshold& threshold) const {
  if (const auto latency = latency_named(threshold.metric)) return (*this)[*latency].count() > 0;
  if (const auto metric = ratio_named(threshold.metric)) return whole(*metric) > 0;
  const auto count = count_named(threshold.metric);
  if (!count) return false;
  const Count of = info(*count).of;
  return of == *count || (*this)[of] > 0 || (*this)[*count] > 0;
}

}  // namespace courier::load
