// The target's own metrics, read once a second beside a run: CPU, memory, commits. Prometheus text format.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace courier::load {

// One plot's worth.
struct Scraped {
  std::string source;  // the address, when there is more than one
  std::string name;    // the metric's
  std::string title, unit;
  std::vector<std::pair<double, double>> points;  // seconds from the start of the run, value
};

// What a page of metrics says: a value by name, labels summed up.
std::map<std::string, double, std::less<>> read_metrics(std::string_view page);

// One page after the other, to plots. A counter is shown by its rate, a histogram by the mean of what came.
// `wanted`: further metrics to show, beside those that are known. Pure.
class ScrapedSeries {
 public:
  ScrapedSeries(std::string source, std::vector<std::string> wanted);
  void add(double at, std::string_view page);
  const std::vector<Scraped>& plots() const { return plots_; }

 private:
  void point(const std::string& name, std::string_view title, std::string_view unit, double at, double value);

  const std::string source_;
  const std::vector<std::string> wanted_;
  double before_at_ = 0;
  std::map<std::string, double, std::less<>> before_;
  std::vector<Scraped> plots_;
};

// Reads pages on a thread of its own, so that a target that does not answer delays nothing.
class Scraper {
 public:
  Scraper(std::vector<std::string> urls, std::vector<std::string> wanted);
  ~Scraper() { stop(); }
  Scraper(const Scraper&) = delete;
  Scraper& operator=(const Scraper&) = delete;

  // `origin_ns`: the start of the run, of the monotonic clock.
  void start(MonoNs origin_ns);
  void stop();
  // After stop().
  std::vector<Scraped> plots() const;
  // What went wrong, one line an address.
  const std::vector<std::string>& troubles() const { return troubles_; }

 private:
  void run(MonoNs origin_ns);
  bool wait_a_second();

  const std::vector<std::string> urls_;
  std::vector<ScrapedSeries> series_;
  std::vector<std::string> troubles_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace courier::load
