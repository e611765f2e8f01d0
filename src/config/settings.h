// Everything that an operator can set, as typed values: what load() gives and apps/ hand out.
//
// The defaults stand here and only here; names, ranges and help stand in schema.cc, whose table binds to
// these members. Other folders do not include this: apps/ copy what each part needs. Plain values, freely
// copied.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace courier::config {

using Milliseconds = std::chrono::milliseconds;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""h;

inline constexpr uint64_t kKilobyte = 1024;
inline constexpr uint64_t kMegabyte = 1024 * kKilobyte;

enum class ProxyProtocol : uint8_t { off, optional, required };
enum class SessionOwner : uint8_t { username, anybody };
enum class InboxPolicy : uint8_t { drop_oldest, refuse };
enum class Protocol : uint8_t { mqtt, mqtts, ws, wss };
enum class TlsVersion : uint8_t { tls1_2, tls1_3 };
enum class ClientCertificates : uint8_t { off, optional, required };

inline bool over_tls(Protocol protocol) {
  return protocol == Protocol::mqtts || protocol == Protocol::wss;
}
inline bool over_websocket(Protocol protocol) {
  return protocol == Protocol::ws || protocol == Protocol::wss;
}

struct Listener {
  std::string name;  // load() gives a nameless one "listener-INDEX"
  std::string bind;
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  std::vector<std::string> proxy_trusted = {"0.0.0.0/0", "::/0"};  // CIDRs
  uint32_t connections_max = 0;                                    // 0: no limit of its own
  std::string mountpoint;
  bool v3_1_1_extensions = false;
  Protocol protocol = Protocol::mqtt;
  std::vector<std::string> tls_certificates, tls_keys, tls_ocsp_files;
  TlsVersion tls_version_min = TlsVersion::tls1_2;
  std::string tls_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
  std::string tls_ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
  std::vector<std::string> tls_alpn;
  ClientCertificates tls_client_certificates = ClientCertificates::off;
  std::string tls_client_ca_file;
  std::vector<std::string> tls_crl_files;
  Milliseconds tls_ticket_lifetime = 12h;
  std::string websocket_path = "/mqtt";
  std::vector<std::string> websocket_origins;
  bool websocket_subprotocol_required = true;
  uint64_t websocket_frame_bytes_max = 16 * kMegabyte;
  bool operator==(const Listener&) const = default;
};

enum class ClientIdRule : uint8_t { equal, prefix, assign };

struct Jwt {
  std::string secret_file;
  bool secret_base64 = false;
  std::vector<std::string> key_files;
  std::string jwks_url;
  std::string jwks_ca_file;
  Milliseconds jwks_refresh = 600s;
  Milliseconds jwks_timeout = 5s;
  std::vector<std::string> algorithms;
  std::string issuer;
  std::vector<std::string> audiences;
  Milliseconds leeway = 5s;
  std::vector<std::string> required_claims;
  std::string username_claim = "rid";
  std::string username;
  std::string client_id;
  ClientIdRule client_id_rule = ClientIdRule::equal;
  std::string mountpoint;
  std::string acl_claim = "acl";
  uint32_t workers = 2;
  uint32_t queue_max = 1000;
  uint32_t cache_tokens_max = 100'000;

  bool is_set() const { return !secret_file.empty() || !key_files.empty() || !jwks_url.empty(); }
  bool operator==(const Jwt&) const = default;
};

// By name, in the order in which they are asked unless auth.order says otherwise.
inline constexpr std::string_view kAuthenticators[] = {"certificate", "jwt", "password", "anonymous",
                                                       "webhook"};

struct Auth {
  std::vector<std::string> order;
  bool allow_anonymous = false;
  std::string password_file;
  uint32_t password_workers = 2;
  uint32_t password_queue_max = 1000;
  std::string certificate_username, certificate_mountpoint;
  Jwt jwt;
  std::string acl_file;
  SessionOwner session_owner = SessionOwner::username;
  bool operator==(const Auth&) const = default;
};

enum class OnFailure : uint8_t { deny, allow };

// One endpoint of one hook.
struct Hook {
  std::string name;  // of the hook; several may have the same
  std::string endpoint;
  Milliseconds timeout = 5s;
  OnFailure on_failure = OnFailure::deny;
  bool base64_payload = true;
  bool no_payload = false;
  std::string ca_file, certificate_file, key_file;
  bool operator==(const Hook&) const = default;
};

// Of all hooks together.
struct HookLimits {
  uint32_t connections_max = 100;
  uint32_t queue_max = 10'000;
  uint32_t cache_entries_max = 100'000;
  Milliseconds refusals_kept = 1s;
  uint32_t circuit_failures = 10;
  Milliseconds circuit_open = 2s;
  bool operator==(const HookLimits&) const = default;
};

struct Admin {
  std::string bind = "127.0.0.1:9464";  // empty: off
  std::vector<std::string> tokens;
  std::string token_file;
  bool operator==(const Admin&) const = default;
};

struct Admission {
  uint32_t connects_per_second = 0;  // 0: any
  uint32_t connects_burst = 0;       // 0: a second's worth
  uint32_t source_connects_per_second = 0;
  uint32_t source_connects_burst = 0;
  uint32_t source_prefix_v4 = 32;
  uint32_t source_prefix_v6 = 64;
  uint32_t source_connections_max = 0;
  uint32_t source_strangers_max = 4096;
  Milliseconds delay_max = 2s;
  uint32_t delayed_max = 10'000;
  bool operator==(const Admission&) const = default;
};

struct Flapping {
  uint32_t connects = 0;  // 0: off
  Milliseconds within = 60s;
  Milliseconds ban = 300s;
  bool operator==(const Flapping&) const = default;
};

struct Limits {
  uint32_t client_id_bytes_max = 256;
  uint32_t topic_levels_max = 128;
  uint32_t topic_bytes_max = 4096;
  uint32_t connect_bytes_max = 3 * kKilobyte;
  uint32_t packet_bytes_max = kMegabyte;
  uint16_t inflight_max = 256;
  uint16_t receive_maximum = 1024;
  uint16_t topic_alias_max = 32;
  uint32_t inbox_messages_max = 10'000;
  uint64_t inbox_bytes_max = 16 * kMegabyte;
  InboxPolicy inbox_policy = InboxPolicy::drop_oldest;
  uint32_t shared_inbox_messages_max = 100'000;
  uint64_t shared_inbox_bytes_max = 128 * kMegabyte;
  uint32_t subscriptions_per_client_max = 1000;
  uint64_t retained_messages_max = 1'000'000;
  uint64_t retained_bytes_max = 512 * kMegabyte;
  uint64_t output_bytes_max = 4 * kMegabyte;
  Milliseconds session_expiry_max = 0ms;  // 0: what the client asks for
  Milliseconds keep_alive_max = 0ms;      // 0: what the client asks for
  Milliseconds connect_timeout = 5s;
  Milliseconds authenticate_timeout = 15s;
  Milliseconds packet_timeout = 60s;
  uint64_t memory_max = 0;  // 0: 70% of memory_bytes() (machine.h)
  bool operator==(const Limits&) const = default;
};

enum class LimitPer : uint8_t { connection, identity, listener, all };

// [[limit]]
struct LimitRule {
  std::string name;
  std::string listener = "*", mountpoint = "*", username = "*";
  std::string label;
  LimitPer per = LimitPer::connection;
  uint32_t connections_max = 0;
  uint64_t connects_per_second = 0, connect_burst = 0;
  uint64_t messages_per_second = 0, messages_burst = 0;
  uint64_t bytes_per_second = 0, bytes_burst = 0;
  Milliseconds delay_max = 10s;
  uint32_t inflight_max = 0;
  uint32_t subscriptions_max = 0;
  uint32_t retained_messages_max = 0;
  uint32_t payload_bytes_max = 0;
  bool operator==(const LimitRule&) const = default;
};

// Of what all sinks are told.
struct Events {
  uint64_t bytes_max = 4096 * kMegabyte;
  std::vector<std::string> sample;  // "label=0.1"
  bool operator==(const Events&) const = default;
};

enum class SinkKind : uint8_t { file, kafka, webhook };
enum class KafkaFormat : uint8_t { protobuf, json };
enum class WebhookProfile : uint8_t { cloudevents, vernemq, otlp };
enum class WebhookMode : uint8_t { structured, binary, batch };
enum class KafkaSecurity : uint8_t { plaintext, ssl, sasl_plaintext, sasl_ssl };

// How Kafka is reached; kafka.h has its keys, and what librdkafka is told.
struct KafkaConnection {
  std::string brokers;
  KafkaSecurity security = KafkaSecurity::plaintext;
  std::string ca_file, certificate_file, key_file;
  std::string sasl_mechanism = "SCRAM-SHA-512", username, password_file;
  std::vector<std::string> properties;  // "name=value"
  bool operator==(const KafkaConnection&) const = default;
};

// One that is told of events.
struct Sink {
  std::string name;
  SinkKind kind = SinkKind::file;
  std::vector<std::string> events{"delivery_complete", "drop"};  // kinds
  bool payload = false;
  std::string path = "-";
  uint64_t file_bytes_max = 64 * kMegabyte;
  uint32_t files_max = 5;
  KafkaConnection kafka;
  std::string topic_prefix = "courier-";
  KafkaFormat format = KafkaFormat::protobuf;
  std::string url;
  WebhookProfile profile = WebhookProfile::cloudevents;
  WebhookMode mode = WebhookMode::structured;
  std::string trace_sample = "0";  // a number from 0 to 1
  std::string secret_file;
  std::vector<std::string> headers;  // "name: value"
  Milliseconds timeout = 5s;
  uint32_t parallel = 32, batch_events_max = 100;
  uint64_t dead_letters_bytes_max = 64 * kMegabyte;
  bool allow_link_local = false;
  bool operator==(const Sink&) const = default;
};

struct Store {
  Milliseconds checkpoint_interval = 1s;
  uint64_t log_bytes_max = 64 * kMegabyte;
  uint64_t cache_bytes = 64 * kMegabyte;
  bool operator==(const Store&) const = default;
};

struct Cluster {
  std::string name;  // empty: a node alone, and nothing else here counts
  std::string node;
  std::vector<std::string> etcd;
  std::string etcd_username, etcd_password_file;
  std::string etcd_ca_file, etcd_certificate_file, etcd_key_file;
  uint64_t etcd_quota_bytes = 2048 * kMegabyte;
  uint32_t partitions = 16;
  Milliseconds lease = 5s;
  Milliseconds patience = 30s;
  std::string mesh_bind = "127.0.0.1:7883", mesh_address;
  std::string mesh_certificate_file, mesh_key_file, mesh_ca_file, mesh_name;
  std::string admin_address, client_address;
  bool operator==(const Cluster&) const = default;
};

struct Log {
  log::Level level = log::Level::info;
  log::Format format = log::Format::logfmt;
  std::string file;  // empty: stderr
  bool operator==(const Log&) const = default;
};

struct Sys {
  Milliseconds interval = 10s;  // 0: no $SYS messages
  bool operator==(const Sys&) const = default;
};

struct Settings {
  std::string data_dir = "/var/lib/courier";
  uint32_t threads = 0;  // 0: one per core (machine.h)
  Milliseconds drain_timeout = 10s;
  std::vector<Listener> listeners;  // never empty after load()
  Auth auth;
  std::vector<Hook> hooks;  // in the order in which endpoints of the same hook are asked
  HookLimits hook_limits;
  Events events;
  std::vector<Sink> sinks;
  Admin admin;
  Admission admission;
  Flapping flapping;
  Limits limits;
  std::vector<LimitRule> limit_rules;
  Store store;
  Cluster cluster;
  Log log;
  Sys sys;
  bool operator==(const Settings&) const = default;
};

bool is_configured(const Settings& settings, std::string_view authenticator);

}  // namespace courier::config
