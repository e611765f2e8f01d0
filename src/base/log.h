// Structured log lines: a fixed sentence, and fields.
//
//   log::info("connection closed", {{"client_id", id}, {"reason", "keep_alive_timeout"}, {"bytes_in", n}});
//   ts=2024-05-01T10:00:00.123Z level=info msg="connection closed" client_id=phone-7 reason=… bytes_in=512
//
// Values are hostile input: client ids, topics and user names come from the network. Whatever they hold, one
// call writes one line that parses back to what was meant, without control characters, without bytes that are
// not UTF-8, without characters that reorder text on a terminal, and cut at kValueBytesMax.
//
// Thread-safe. With `asynchronous` a line is queued (bounded; the oldest are lost first, and counted) and
// written by a thread of its own, so that a shard thread never waits for a terminal or a disk. What a client
// can cause at will goes through a Limit.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/clock.h"
#include "base/result.h"

namespace courier::log {

enum class Level : uint8_t { trace, debug, info, warn, error, off };
enum class Format : uint8_t { logfmt, json };

std::string_view name(Level level);
std::optional<Level> parse_level(std::string_view text);

struct Options {
  Level level = Level::info;
  Format format = Format::logfmt;
  std::string file;  // empty: stderr
  bool asynchronous = false;
};

// Values longer than this are cut; they then end on "…".
inline constexpr size_t kValueBytesMax = 1024;
// Lines that wait for the writing thread, when there is one.
inline constexpr size_t kQueueLinesMax = 4096;

// Takes effect for all threads, at any time. A failure leaves the old destination in place.
// Errors: BaseErrc::log_destination.
Result<void> configure(const Options& options);
// Opens the destination anew, after the file was rotated.
Result<void> reopen();
void set_level(Level level);
bool enabled(Level level);
// Waits until queued lines are written, and writes directly from then on. For the end of main().
void shutdown();
// Lines lost because the queue was full, since the last configure().
uint64_t lines_lost();

// One key and its value; borrows both until the call returns. Keys are ours, snake_case.
struct Field {
  using Value = std::variant<std::string_view, int64_t, uint64_t, double, bool>;

  std::string_view key;
  Value value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  template <typename T>
  requires std::is_arithmetic_v<T> Field(std::string_view k, T v) : key(k), value(number(v)) {}

 private:
  template <typename T>
  static Value number(T v) {
    if constexpr (std::is_same_v<T, bool>) {
      return v;
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(v);
    } else if constexpr (std::is_signed_v<T>) {
      return static_cast<int64_t>(v);
    } else {
      return static_cast<uint64_t>(v);
    }
  }
};
using Fields = std::initializer_list<Field>;

// A token bucket, one per call site: static log::Limit limit{.per_second = 10}. Lines beyond it are counted,
// and the next line that passes says how many (`suppressed=41`). Any thread; never blocks.
class Limit {
 public:
  struct Rate {
    uint32_t per_second = 10;
    uint32_t burst = 0;  // 0: as many as per_second
  };
  explicit Limit(Rate rate);

  // Whether a line may pass now. If so, `suppressed` is how many were held back since the last one that
  // passed.
  bool pass(MonoNs now, uint64_t& suppressed);

 private:
  const MonoNs cost_ns_;   // what one line takes from the bucket
  const MonoNs depth_ns_;  // how far ahead of the clock the bucket may be
  std::atomic<MonoNs> paid_until_;
  std::atomic<uint64_t> suppressed_{0};
};

void write(Level level, std::string_view message, Fields fields);
void write(Limit& limit, Level level, std::string_view message, Fields fields);

inline void trace(std::string_view message, Fields fields = {}) {
  write(Level::trace, message, fields);
}
inline void debug(std::string_view message, Fields fields = {}) {
  write(Level::debug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
  write(Level::info, message, fields);
}
inline void warn(std::string_view message, Fields fields = {}) {
  write(Level::warn, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
  write(Level::error, message, fields);
}
inline void debug(Limit& limit, std::string_view message, Fields fields = {}) {
  write(limit, Level::debug, message, fields);
}
inline void info(Limit& limit, std::string_view message, Fields fields = {}) {
  write(limit, Level::info, message, fields);
}
inline void warn(Limit& limit, std::string_view message, Fields fields = {}) {
  write(limit, Level::warn, message, fields);
}
inline void error(Limit& limit, std::string_view message, Fields fields = {}) {
  write(limit, Level::error, message, fields);
}

// One line, without its line feed; what write() sends to the destination. Pure.
std::string format_line(Format format, WallMs time, Level level, std::string_view message, Fields fields,
                        uint64_t suppressed = 0);
// "2024-05-01T10:00:00.123Z"
std::string iso8601(WallMs time);

}  // namespace courier::log
