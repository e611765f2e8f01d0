// Tries out what an MQTT server offers, step by step, as a client that knows nothing of it.
//
// Bounded: each answer is awaited kAnswerMs at most and all of it until the deadline; kRoundTrips messages
// for each QoS, packets up to packet_bytes_max. All topics lie below a random one, all client ids begin with
// a random name; what is stored (a retained message, a session) is deleted at the end, and ends by itself
// within kLeftoverSeconds at servers that speak 5.0, should that fail. On the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "client/blocking_client.h"
#include "courier/probe/report.h"

namespace courier::cli::probe {

inline constexpr int64_t kAnswerMs = 5'000;
inline constexpr size_t kRoundTrips = 200;
inline constexpr uint32_t kLeftoverSeconds = 60;
inline constexpr uint32_t kPacketBytesMax = 1024 * 1024;

struct ProbeOptions {
  client::ClientSetup setup;  // how to connect; its version is not looked at
  std::string server;         // "mqtts://localhost:8883"
  std::string topic;          // all topics are below it, without a slash at its end
  int64_t time_ms = 60'000;
  uint32_t packet_bytes_max = kPacketBytesMax;
  // For a connection that could not be made: why, and what to do about it.
  std::function<std::string(const client::Ending&)> sentence;
};

struct Outcome {
  Report report;
  std::optional<client::Ending> ending;  // when there was no MQTT connection at all
};

class Probe {
 public:
  explicit Probe(ProbeOptions options);
  Outcome run();

 private:
  using Blocking = client::BlockingClient;
  struct Connected {
    std::unique_ptr<Blocking> client;
    double ms = 0;
    bool session_present = false;
  };

  // --- connections ---
  client::ClientSetup setup(const std::string& name,
                            const std::function<void(client::ConnectOptions&)>& change = {}) const;
  Result<Connected> connect(const client::ClientSetup& setup);
  std::unique_ptr<Blocking> any(const std::string& name);
  int64_t answer_ms() const;
  bool out_of_time() const;
  std::string at(std::string_view name) const { return topic_ + "/" + std::string(name); }

  // --- what is found ---
  void found(std::string name, Grade grade, std::string text = {});
  void failed(std::string name, const Error& error);
  // Runs a step, unless there is no time for it.
  void step(const char* name, void (Probe::*run)());

  // --- steps.cc ---
  bool versions();
  void tcp();
  void tls(Blocking& client);
  void limits(Blocking& client);
  void assigned_id();
  void qos(client::Qos qos);
  void qos_0() { qos(client::Qos::at_most_once); }
  void qos_1() { qos(client::Qos::at_least_once); }
  void qos_2() { qos(client::Qos::exactly_once); }
  void retained();
  void wildcards();
  void shared();
  void identifiers();
  void aliases();
  void will();
  void offline();
  void session_expiry();
  void sys();
  void packet_size();
  void latency();
  // Whether the client gets a message with that payload in time; others are passed over.
  bool arrives(Blocking& client, std::string_view payload, client::ReceivedMessage* message = nullptr);
  // Whether a subscription was granted; says why not.
  bool granted(const char* name, Blocking& client, const std::string& filter, client::Qos qos,
               std::optional<uint32_t> identifier = {});

  const ProbeOptions options_;
  const MonoNs deadline_;
  std::string id_, topic_;
  std::string area_;
  client::Version version_ = client::Version::v5;
  Outcome outcome_;
};

}  // namespace courier::cli::probe
