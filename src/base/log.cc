#include "base/log.h"

#include <spdlog/async.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "base/errc.h"

namespace courier::log {
namespace {

// Lines arrive whole, so spdlog adds nothing but the line feed.
spdlog::sink_ptr prepared(spdlog::sink_ptr sink) {
  sink->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, "\n"));
  return sink;
}

// The one destination of the process.
class Destination {
 public:
  Destination() : logger_(made(prepared(std::make_shared<spdlog::sinks::stderr_sink_mt>()), nullptr)) {}

  Result<void> configure(const Options& options) {
    try {
      spdlog::sink_ptr sink;
      if (options.file.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
      } else {
        sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
      }
      std::shared_ptr<spdlog::details::thread_pool> pool;
      if (options.asynchronous) pool = std::make_shared<spdlog::details::thread_pool>(kQueueLinesMax, 1);
      auto logger = made(prepared(std::move(sink)), pool);
      replace(std::move(logger), std::move(pool), options);
    } catch (const spdlog::spdlog_ex& e) {
      return fail(BaseErrc::log_destination,
                  "cannot open the log file " + options.file + ": " + std::string(e.what()));
    }
    return {};
  }

  Options options() {
    const std::lock_guard lock(mutex_);
    return options_;
  }

  std::pair<std::shared_ptr<spdlog::logger>, Format> current() {
    const std::lock_guard lock(mutex_);
    return {logger_, options_.format};
  }

  bool enabled(Level level) const { return level >= level_.load(std::memory_order_relaxed); }

  void set_level(Level level) {
    const std::lock_guard lock(mutex_);
    options_.level = level;
    level_.store(level, std::memory_order_relaxed);
  }

  uint64_t lines_lost() {
    const std::lock_guard lock(mutex_);
    return pool_ ? pool_->overrun_counter() : 0;
  }

 private:
  static std::shared_ptr<spdlog::logger> made(spdlog::sink_ptr sink,
                                              const std::shared_ptr<spdlog::details::thread_pool>& pool) {
    std::shared_ptr<spdlog::logger> logger;
    if (pool) {
      logger = std::make_shared<spdlog::async_logger>("courier", std::move(sink), pool,
                                                      spdlog::async_overflow_policy::overrun_oldest);
    } else {
      logger = std::make_shared<spdlog::logger>("courier", std::move(sink));
    }
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
    return logger;
  }

  void replace(std::shared_ptr<spdlog::logger> logger, std::shared_ptr<spdlog::details::thread_pool> pool,
               const Options& options) {
    {
      const std::lock_guard lock(mutex_);
      std::swap(logger_, logger);
      std::swap(pool_, pool);
      options_ = options;
      level_.store(options.level, std::memory_order_relaxed);
    }
    // The old writing thread ends here, outside of the lock, after it wrote what was queued. The queue refers
    // to the logger, and the logger only weakly to its threads, so the threads go first.
    pool.reset();
  }

  std::mutex mutex_;
  std::shared_ptr<spdlog::logger> logger_;              // guarded by mutex_
  std::shared_ptr<spdlog::details::thread_pool> pool_;  // guarded by mutex_
  Options options_;                                     // guarded by mutex_
  std::atomic<Level> level_{Level::info};
};

// Never destroyed: other threads and destructors of statics may still log.
Destination& destination() {
  static auto* const one = new Destination;
  return *one;
}

void emit(Level level, std::string_view message, Fields fields, uint64_t suppressed) {
  const auto [logger, format] = destination().current();
  const std::string line = format_line(format, system_clock().wall_ms(), level, message, fields, suppressed);
  logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

std::string_view name(Level level) {
  switch (level) {
    case Level::trace:
      return "trace";
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
    case Level::off:
      return "off";
  }
  return "info";
}

std::optional<Level> parse_level(std::string_view text) {
  for (const auto level : {Level::trace, Level::debug, Level::info, Level::warn, Level::error, Level::off}) {
    if (text == name(level)) return level;
  }
  return std::nullopt;
}

Result<void> configure(const Options& options) {
  return destination().configure(options);
}
Result<void> reopen() {
  return destination().configure(destination().options());
}
void set_level(Level level) {
  destination().set_level(level);
}
bool enabled(Level level) {
  return destination().enabled(level);
}
uint64_t lines_lost() {
  return destination().lines_lost();
}

void shutdown() {
  Options options = destination().options();
  options.asynchronous = false;
  // If the file can no longer be opened, the last lines stay with the old destination.
  (void)destination().configure(options);
}

Limit::Limit(Rate rate)
    : cost_ns_(1'000'000'000 / std::max<uint32_t>(rate.per_second, 1)),
      depth_ns_(cost_ns_ * (rate.burst > 0 ? rate.burst : std::max<uint32_t>(rate.per_second, 1))),
      paid_until_(0) {}

bool Limit::pass(MonoNs now, uint64_t& suppressed) {
  // The generic cell rate algorithm: the bucket is one moment, up to which lines are paid for.
  MonoNs paid = paid_until_.load(std::memory_order_relaxed);
  MonoNs next = 0;
  do {
    next = std::max(paid, now) + cost_ns_;
    if (next - now > depth_ns_) {
      suppressed_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  } while (!paid_until_.compare_exchange_weak(paid, next, std::memory_order_relaxed));
  suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
  return true;
}

void write(Level level, std::string_view message, Fields fields) {
  if (level == Level::off || !enabled(level)) return;
  emit(level, message, fields, 0);
}

void write(Limit& limit, Level level, std::string_view message, Fields fields) {
  if (level == Level::off || !enabled(level)) return;
  uint64_t suppressed = 0;
  if (!limit.pass(system_clock().mono_ns(), suppressed)) return;
  emit(level, message, fields, suppressed);
}

}  // namespace courier::log
