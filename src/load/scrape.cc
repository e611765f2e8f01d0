#include "load/scrape.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "load/limits.h"

namespace courier::load {

namespace {

enum class Kind : uint8_t { value, rate, mean };
struct Known {
  std::string_view name;
  Kind kind;
  std::string_view title, unit;
};
constexpr Known kKnown[] = {
    {"process_cpu_seconds_total", Kind::rate, "The broker's CPU", "cores"},
    {"process_resident_memory_bytes", Kind::value, "The broker's memory", "bytes"},
    {"courier_commit_seconds", Kind::mean, "The broker's commits", "seconds"},
    {"courier_commit_batch_events", Kind::mean, "The broker's batches", "records"},
    {"courier_loop_lag_seconds", Kind::mean, "The broker's turns", "seconds"},
    {"courier_queue_messages", Kind::value, "Queued at the broker", "messages"},
};

size_t take_page(char* data, size_t, size_t size, void* into) {
  auto& page = *static_cast<std::string*>(into);
  if (page.size() + size > kMetricsPageBytesMax) return 0;
  page.append(data, size);
  return size;
}

}  // namespace

std::map<std::string, double, std::less<>> read_metrics(std::string_view page) {
  std::map<std::string, double, std::less<>> values;
  while (!page.empty()) {
    const size_t end = page.find('\n');
    std::string_view line = page.substr(0, end);
    page.remove_prefix(end == std::string_view::npos ? page.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const size_t name_end = line.find_first_of("{ \t");
    if (name_end == 0 || name_end == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, name_end);
    if (name.ends_with("_bucket")) continue;
    // A label's value may hold spaces and braces; what follows the last of either is the sample.
    const size_t labels_end = line[name_end] == '{' ? line.rfind('}') : name_end;
    if (labels_end == std::string_view::npos) continue;
    const size_t from = line.find_first_not_of(" \t", labels_end + (line[name_end] == '{' ? 1 : 0));
    if (from == std::string_view::npos) continue;
    double value = 0;
    const auto [rest, error] = std::from_chars(line.data() + from, line.data() + line.size(), value);
    if (error != std::errc() || !std::isfinite(value)) continue;
    if (values.size() < kMetricsMax || values.contains(name)) values[std::string(name)] += value;
  }
  return values;
}

ScrapedSeries::ScrapedSeries(std::string source, std::vector<std::string> wanted)
    : source_(std::move(source)), wanted_(std::move(wanted)) {}

void ScrapedSeries::point(const std::string& name, std::string_view title, std::string_view unit, double at,
                          double value) {
  auto plot = std::find_if(plots_.begin(), plots_.end(), [&](const Scraped& s) { return s.name == name; });
  if (plot == plots_.end()) {
    plots_.push_back({source_, name, std::string(title), std::string(unit), {}});
    plot = plots_.end() - 1;
  }
  plot->points.emplace_back(at, value);
}

void ScrapedSeries::add(double at, std::string_view page) {
  auto values = read_metrics(page);
  const auto change = [&](const std::string& name) -> std::optional<double> {
    const auto now = values.find(name), then = before_.find(name);
    if (now == values.end() || then == before_.end() || now->second < then->second) return std::nullopt;
    return now->second - then->second;
  };
  const auto show = [&](const std::string& name, Kind kind, std::string_view title, std::string_view unit) {
    switch (kind) {
      case Kind::value:
        if (const auto now = values.find(name); now != values.end())
          point(name, title, unit, at, now->second);
        return;
      case Kind::rate:
        if (const auto more = change(name)) point(name, title, unit, at, *more / (at - before_at_));
        return;
      case Kind::mean: {
        const auto sum = change(name + "_sum"), count = change(name + "_count");
        if (sum && count && *count > 0) point(name, title, unit, at, *sum / *count);
        return;
      }
    }
  };
  for (const Known& known : kKnown) show(std::string(known.name), known.kind, known.title, known.unit);
  for (const std::string& name : wanted_) {
    const bool counts = name.ends_with("_total");
    show(name, counts ? Kind::rate : Kind::value, name, counts ? "per second" : "");
  }
  before_ = std::move(values);
  before_at_ = at;
}

Scraper::Scraper(std::vector<std::string> urls, std::vector<std::string> wanted) : urls_(std::move(urls)) {
  for (const std::string& url : urls_) series_.emplace_back(urls_.size() > 1 ? url : "", wanted);
  troubles_.resize(urls_.size());
}

void Scraper::start(MonoNs origin_ns) {
  if (!urls_.empty()) thread_ = std::thread([this, origin_ns] { run(origin_ns); });
}

void Scraper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::erase(troubles_, "");
}

std::vector<Scraped> Scraper::plots() const {
  std::vector<Scraped> all;
  for (const ScrapedSeries& each : series_) all.insert(all.end(), each.plots().begin(), each.plots().end());
  return all;
}

void Scraper::run(MonoNs origin_ns) {
  const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> curl(::curl_easy_init(), &::curl_easy_cleanup);
  if (!curl) return;
  std::string page;
  ::curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_page);
  ::curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &page);
  ::curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kScrapeMsMax);
  ::curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  ::curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  ::curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  // Once at least, and a last time when the run is over.
  for (bool last = false;; last = wait_a_second()) {
    for (size_t i = 0; i < urls_.size(); ++i) {
      page.clear();
      ::curl_easy_setopt(curl.get(), CURLOPT_URL, urls_[i].c_str());
      const CURLcode code = ::curl_easy_perform(curl.get());
      if (code == CURLE_OK) {
        series_[i].add(static_cast<double>(system_clock().mono_ns() - origin_ns) / 1e9, page);
      } else if (troubles_[i].empty()) {
        troubles_[i] =
            fmt::format("the metrics of {} could not be read: {}", urls_[i], ::curl_easy_strerror(code));
      }
    }
    if (last) return;
  }
}

// True when there is nothing more to wait for.
bool Scraper::wait_a_second() {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; });
}

}  // namespace courier::load
