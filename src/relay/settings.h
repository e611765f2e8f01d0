// What a relay can be told, as typed values, and the one table of their keys. The defaults stand here.
//
// `courier relay --example` prints the table; load() checks a file against it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "relay/event.h"

namespace courier::relay {

using config::kMegabyte;
using config::Milliseconds;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// What a request's body is.
enum class Batch : uint8_t {
  array,        // a JSON array
  cloudevents,  // a batch of CloudEvents
  none,         // one event
};
enum class Method : uint8_t { post, put, patch };

struct KafkaSettings {
  config::KafkaConnection connection;
  std::string group;
  std::vector<std::string> topics;
  Format format = Format::automatic;
  uint32_t buffer_events_max = 50'000;
  uint64_t buffer_bytes_max = 64 * kMegabyte;
  uint32_t ahead_max = 200'000;
};

struct FilterSettings {
  std::vector<std::string> events, topics, labels;  // empty: all
  std::string client_id_prefix;
};

struct HttpSettings {
  std::string url;
  Method method = Method::post;
  std::vector<std::string> headers;  // "Name: value"
  std::string authorization_file;
  std::string body;
  Batch batch = Batch::array;
  uint32_t batch_events_max = 500;
  uint64_t batch_bytes_max = kMegabyte;
  Milliseconds linger = 5ms;
  Milliseconds timeout = 10s;
  uint32_t parallel = 16;
  std::string ca_file, certificate_file, key_file;
  bool allow_link_local = false;
};

struct RetrySettings {
  Milliseconds first = 10ms;
  Milliseconds max = 60s;
  uint32_t attempts = 0;  // 0: for ever
};

struct Settings {
  KafkaSettings kafka;
  FilterSettings filter;
  HttpSettings http;
  RetrySettings retry;
  std::string dead_letter_topic;              // empty: none
  std::string admin_bind = "127.0.0.1:9465";  // empty: off
  Milliseconds stop_timeout = 10s;
};

inline constexpr size_t kFileBytesMax = 1024 * 1024;

// A file of settings, TOML. Errors: config::errc::unreadable, or invalid with all that is wrong, each with
// its file, line and key.
Result<Settings> load(const std::string& path);
// The same for text; `file` is what messages call it.
Result<Settings> parse(std::string_view text, std::string_view file);
// "credential:NAME" becomes a path, as config/credentials.h says.
Result<void> resolve_credentials(Settings& settings, const char* directory);

// A file that parses, with every key, its meaning and its default.
std::string example();

}  // namespace courier::relay
