// A load test as its file describes it: groups of clients, and stages whose steps they play. Plain values;
// scenario_file.h reads and checks them, docs/load-testing.md teaches them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/scheme.h"
#include "load/limits.h"
#include "load/quantity.h"
#include "load/text_template.h"
#include "mqtt/packet.h"
#include "mqtt/protocol.h"

namespace courier::load {

// Where something stands in the file, for findings. Line and column from 1; 0: nowhere.
struct Place {
  uint32_t line = 0, column = 0;
};

struct Broker {
  struct Address {
    std::string host;
    uint16_t port = 1883;
  };
  client::Scheme scheme = client::Scheme::mqtt;
  std::vector<Address> addresses;  // one at least: each attempt to connect tries them in this order
  std::string path;                // of ws and wss; "/mqtt" if none was written
  std::string text;                // as it was written
};

// For brokers with mqtts and wss. Files are those of the machine that plays, PEM.
struct TargetTls {
  std::string ca_file;  // empty: the authorities that the machine trusts
  bool insecure = false;
  std::string certificate, key;  // all clients' own; empty: none
  Place place;                   // line 0: not in the file
};

enum class ProxyProtocol : uint8_t { none, v1, v2 };

struct Target {
  std::vector<Broker> brokers;  // clients go to them in turn
  TargetTls tls;
  ProxyProtocol proxy_protocol = ProxyProtocol::none;
  // The addresses that clients connect from, in turn; empty: the system chooses.
  std::vector<std::string> sources;
  std::vector<std::string> scrape;          // http://host:port/metrics
  std::vector<std::string> scrape_metrics;  // shown beside those that are known
};

struct Jwt {
  std::string algorithm;  // HS256
  std::string key_env;    // the environment variable that holds the key
  std::vector<std::pair<std::string, TextTemplate>> claims;
  int64_t ttl_ms = 3'600'000;
};

struct MqttOptions {
  mqtt::Version version = mqtt::Version::v3_1_1;
  bool clean_session = true;
  uint32_t session_expiry_seconds = 0;  // 5.0
  bool session_expiry_given = false;
  uint16_t keep_alive_seconds = 60;
  uint16_t receive_maximum = 65'535;  // 5.0
  // Whether sessions outlive their connections.
  bool stored() const {
    return !clean_session &&
           (version != mqtt::Version::v5 || !session_expiry_given || session_expiry_seconds > 0);
  }
  // Whether that has an end by itself.
  bool expires() const {
    return version == mqtt::Version::v5 && session_expiry_given && session_expiry_seconds != UINT32_MAX;
  }
};

struct Reconnect {
  bool enabled = true;
  int64_t first_ms = 1000, max_ms = 60'000;
  bool jitter = true;
};

struct LoadSubscription {
  TextTemplate filter;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  Place place;
};

// What a message carries. Either of given size, with the id in its first bytes, or filled-in text.
struct PayloadSpec {
  std::optional<size_t> size_bytes;
  TextTemplate text;
};

// How long a client takes until it answers: log-normal, by its median and 99th percentile.
struct ThinkTime {
  double median_ms = 0, p99_ms = 0;
};

struct Reaction {
  TextTemplate match;  // a filter
  ThinkTime think;
  TextTemplate topic;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  PayloadSpec payload;
  Place place;
};

struct LoadWill {
  TextTemplate topic;
  TextTemplate payload;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  bool retain = false;
};

struct Group {
  std::string name;
  uint64_t count = 0;
  TextTemplate client_id;
  TextTemplate username;
  std::optional<TextTemplate> password;
  std::optional<Jwt> jwt;  // instead of a password
  MqttOptions mqtt;
  Reconnect reconnect;
  std::vector<LoadSubscription> subscribe;
  std::vector<Reaction> on_message;
  std::optional<LoadWill> will;
  ThinkTime read_delay;  // a slow consumer: how long it takes over each message before it reads the next
  Place place;
};

// --- steps ---

enum class Shape : uint8_t { linear, poisson, step, front_loaded };

// Connects clients that are not connected, and subscribes them.
struct ConnectStep {
  std::vector<size_t> groups;  // indices
  int64_t over_ms = 0;         // 0: as fast as it goes
  Shape shape = Shape::linear;
};

// Disconnects them in order. Their sessions stay, if they are stored.
struct DisconnectStep {
  std::vector<size_t> groups;
  int64_t over_ms = 0;
  double share = 1;
};

enum class Distribution : uint8_t { uniform, zipf, sequential };

struct Pick {
  size_t group = 0;
  Distribution distribution = Distribution::uniform;
  double exponent = 1.0;  // zipf's
};

struct ExpectReply {
  TextTemplate topic;
  int64_t within_ms = 0;
};

// Open loop: each message has its time, and whatever is measured counts from it.
struct PublishStep {
  size_t group = 0;
  RateCurve rate;  // of the whole group
  TextTemplate topic;
  std::optional<Pick> pick;
  mqtt::Qos qos = mqtt::Qos::at_most_once;
  bool retain = false;
  PayloadSpec payload;
  std::optional<ExpectReply> expect_reply;
  std::optional<uint64_t> count;  // ends after so many
};

enum class FlapHow : uint8_t { tcp_reset, silent, disconnect };

// A share of the group goes and comes back, over and over, until the stage ends.
struct FlapStep {
  size_t group = 0;
  double share = 0;
  DurationRange up, down;
  std::vector<FlapHow> how;
};

struct Step {
  std::variant<ConnectStep, DisconnectStep, PublishStep, FlapStep> what;
  Place place;
};

// A stage may end before its time when this holds.
struct Until {
  enum class What : uint8_t { connected, drained };
  What what = What::connected;
  double share = 1;             // of the group, of `connected`
  std::optional<size_t> group;  // empty: all groups
};

struct Stage {
  std::string name;
  std::optional<int64_t> duration_ms;  // it lasts that long
  std::optional<int64_t> timeout_ms;   // with `until`: it fails after that
  std::vector<Step> steps;
  std::optional<Until> until;
  Place place;
};

// --- what must hold ---

enum class Comparison : uint8_t { less, less_equal, greater, greater_equal, equal };

struct Threshold {
  std::optional<size_t> stage;  // empty: all of them together
  std::string metric;           // metrics.h names them
  std::string statistic;        // p50, p99, p99.9, max, mean; empty for counts and ratios
  Comparison comparison{};
  double limit = 0;      // in the metric's unit: seconds, a part of 1, a number
  std::string text;      // as it was written
  bool abort = false;    // ends the run as soon as it is broken
  int64_t grace_ms = 0;  // but not before it was broken for so long
  Place place;
};

struct Output {
  std::string html, json;  // file names; empty: none
};

struct Scenario {
  std::string name;
  uint64_t seed = 1;
  std::vector<std::pair<std::string, std::string>> vars;  // as they are in force
  Target target;
  std::vector<Group> groups;
  std::vector<Stage> stages;
  std::vector<Threshold> thresholds;
  Output output;
  int64_t drain_ms = 10'000;       // how long the end waits for what is still on its way
  int64_t lag_ms_max = kLagMsMax;  // of the generator, 99th percentile: more makes the result invalid

  uint64_t clients() const {
    uint64_t sum = 0;
    for (const Group& group : groups) sum += group.count;
    return sum;
  }
};

}  // namespace courier::load
