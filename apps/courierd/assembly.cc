#include "assembly.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "auth/anonymous.h"
#include "auth/certificate.h"
#include "auth/chain.h"
#include "auth/webhook/webhook_authenticator.h"
#include "base/check.h"
#include "base/file.h"
#include "config/machine.h"
#include "jose/algorithm.h"
#include "net/proxy_policy.h"
#include "quota/rules.h"

namespace courier::courierd {

namespace {

constexpr size_t kPasswordBytesMax = 4096;

// "0: what the client asks for" in the settings.
uint32_t seconds_or(config::Milliseconds value, uint32_t when_zero) {
  if (value.count() == 0) return when_zero;
  return static_cast<uint32_t>(std::clamp<int64_t>(value.count() / 1000, 1, record::kNeverExpires - 1));
}

broker::InboxPolicy policy_of(config::InboxPolicy policy) {
  switch (policy) {
    case config::InboxPolicy::drop_oldest:
      return broker::InboxPolicy::drop_oldest;
    case config::InboxPolicy::refuse:
      return broker::InboxPolicy::refuse;
  }
  return broker::InboxPolicy::drop_oldest;
}

quota::Per per_of(config::LimitPer per) {
  switch (per) {
    case config::LimitPer::connection:
      return quota::Per::connection;
    case config::LimitPer::identity:
      return quota::Per::identity;
    case config::LimitPer::listener:
      return quota::Per::listener;
    case config::LimitPer::all:
      return quota::Per::all;
  }
  return quota::Per::connection;
}

net::ProxyMode mode_of(config::ProxyProtocol mode) {
  switch (mode) {
    case config::ProxyProtocol::off:
      return net::ProxyMode::off;
    case config::ProxyProtocol::optional:
      return net::ProxyMode::optional;
    case config::ProxyProtocol::required:
      return net::ProxyMode::required;
  }
  return net::ProxyMode::off;
}

auth::jwt::ClientIdRule rule_of(config::ClientIdRule rule) {
  switch (rule) {
    case config::ClientIdRule::equal:
      return auth::jwt::ClientIdRule::equal;
    case config::ClientIdRule::prefix:
      return auth::jwt::ClientIdRule::prefix;
    case config::ClientIdRule::assign:
      return auth::jwt::ClientIdRule::assign;
  }
  return auth::jwt::ClientIdRule::equal;
}

Result<auth::jwt::Options> jwt_options_of(const config::Jwt& from) {
  auth::jwt::Options to;
  to.secret_file = from.secret_file;
  to.secret_base64 = from.secret_base64;
  to.key_files = from.key_files;
  to.jwks_url = from.jwks_url;
  to.jwks_ca_file = from.jwks_ca_file;
  to.jwks_refresh_ms = from.jwks_refresh.count();
  to.jwks_timeout_ms = from.jwks_timeout.count();
  for (const std::string& name : from.algorithms) {
    const auto algorithm = jose::parse_algorithm(name);
    if (!algorithm) {
      return fail(std::errc::invalid_argument,
                  "auth.jwt.algorithms: \"" + name + "\" is no algorithm that signs tokens");
    }
    to.algorithms.push_back(*algorithm);
  }
  to.issuer = from.issuer;
  to.audiences = from.audiences;
  to.leeway_ms = from.leeway.count();
  to.required_claims = from.required_claims;
  to.username_claim = from.username_claim;
  to.username = from.username;
  to.client_id = from.client_id;
  to.client_id_rule = rule_of(from.client_id_rule);
  to.mountpoint = from.mountpoint;
  to.acl_claim = from.acl_claim;
  to.workers = from.workers;
  to.queue_max = from.queue_max;
  to.cache_tokens_max = from.cache_tokens_max;
  return to;
}

auth::webhook::Options webhook_options_of(const config::Settings& settings) {
  const config::HookLimits& from = settings.hook_limits;
  auth::webhook::Options to;
  to.connections_max = from.connections_max;
  to.queue_max = from.queue_max;
  to.cache_entries_max = from.cache_entries_max;
  to.refusals_kept_ms = from.refusals_kept.count();
  to.circuit_failures = from.circuit_failures;
  to.circuit_open_ms = from.circuit_open.count();
  for (const config::Hook& hook : settings.hooks) {
    const auto name = auth::webhook::parse_hook(hook.name);
    CHECK(name.has_value());  // the schema knows them
    const bool allow = hook.on_failure == config::OnFailure::allow;
    to.hooks.push_back({*name, hook.endpoint, hook.timeout.count(),
                        allow ? auth::webhook::OnFailure::allow : auth::webhook::OnFailure::deny,
                        hook.base64_payload, hook.no_payload, hook.ca_file, hook.certificate_file,
                        hook.key_file});
  }
  return to;
}

}  // namespace

broker::Limits limits_of(const config::Settings& settings) {
  const config::Limits& from = settings.limits;
  broker::Limits to;
  to.client_id_bytes_max = from.client_id_bytes_max;
  to.topic_levels_max = from.topic_levels_max;
  to.topic_bytes_max = from.topic_bytes_max;
  to.packet_bytes_max = from.packet_bytes_max;
  to.inflight_max = from.inflight_max;
  to.receive_maximum = from.receive_maximum;
  to.topic_alias_max = from.topic_alias_max;
  to.inbox_messages_max = from.inbox_messages_max;
  to.inbox_bytes_max = from.inbox_bytes_max;
  to.inbox_policy = policy_of(from.inbox_policy);
  to.shared_inbox_messages_max = from.shared_inbox_messages_max;
  to.shared_inbox_bytes_max = from.shared_inbox_bytes_max;
  to.subscriptions_per_client_max = from.subscriptions_per_client_max;
  to.retained_messages_max =
      static_cast<uint32_t>(std::min<uint64_t>(from.retained_messages_max, UINT32_MAX));
  to.retained_bytes_max = from.retained_bytes_max;
  to.output_bytes_max = from.output_bytes_max;
  to.session_expiry_seconds_max = seconds_or(from.session_expiry_max, record::kNeverExpires);
  to.keep_alive_seconds_max = seconds_or(from.keep_alive_max, 0);
  to.memory_bytes_max = config::memory_max(from);
  to.sessions_have_owners = settings.auth.session_owner == config::SessionOwner::username;
  return to;
}

broker::NodeOptions node_options_of(const config::Settings& settings, uint64_t seed) {
  broker::NodeOptions options;
  options.shard_count = config::threads(settings);
  options.seed = seed;
  options.checkpoint_interval_ms = settings.store.checkpoint_interval.count();
  options.log_bytes_max = settings.store.log_bytes_max;
  options.sys_interval_ms = settings.sys.interval.count();
  options.version = COURIER_VERSION;
  options.name = settings.cluster.node;
  return options;
}

gateway::GatewayOptions gateway_options_of(const config::Settings& settings) {
  gateway::GatewayOptions options;
  options.threads = config::threads(settings);
  options.connections.connect_timeout_ns = settings.limits.connect_timeout.count() * kNsPerMs;
  options.connections.authenticate_timeout_ns = settings.limits.authenticate_timeout.count() * kNsPerMs;
  options.connections.connect_bytes_max =
      std::min(settings.limits.connect_bytes_max, settings.limits.packet_bytes_max);
  options.admission = admission_of(settings);
  options.connections.packet_timeout_ns = settings.limits.packet_timeout.count() * kNsPerMs;
  options.connections.packet_bytes_max = settings.limits.packet_bytes_max;
  options.connections.output_bytes_max = settings.limits.output_bytes_max / 4 * 5;
  return options;
}

admission::Options admission_of(const config::Settings& settings) {
  const config::Admission& from = settings.admission;
  admission::Options to;
  to.connects_per_second = from.connects_per_second;
  to.connects_burst = from.connects_burst;
  to.source_connects_per_second = from.source_connects_per_second;
  to.source_connects_burst = from.source_connects_burst;
  to.source_prefix_v4 = from.source_prefix_v4;
  to.source_prefix_v6 = from.source_prefix_v6;
  to.source_connections_max = from.source_connections_max;
  to.source_strangers_max = from.source_strangers_max;
  // Who has waited still needs time for its CONNECT.
  to.delay_max_ns = std::min(from.delay_max, settings.limits.connect_timeout / 2).count() * kNsPerMs;
  to.delayed_max = from.delayed_max;
  return to;
}

admission::FlappingOptions flapping_of(const config::Settings& settings) {
  const config::Flapping& from = settings.flapping;
  return {from.connects, from.within.count() * kNsPerMs, from.ban.count()};
}

Result<std::vector<gateway::ListenerOptions>> listeners_of(const config::Settings& settings) {
  std::vector<gateway::ListenerOptions> listeners;
  for (const config::Listener& from : settings.listeners) {
    const std::string context = "listener \"" + from.name + "\"";
    auto bind = net::SocketAddress::parse(from.bind);
    if (!bind) return fail(bind.error().within(context));
    auto proxy = net::ProxyPolicy::open(mode_of(from.proxy_protocol), from.proxy_trusted);
    if (!proxy) return fail(proxy.error().within(context));
    gateway::ListenerOptions to;
    to.name = from.name;
    to.bind = *std::move(bind);
    to.proxy = *std::move(proxy);
    to.connections_max = from.connections_max;
    to.mountpoint = from.mountpoint;
    to.v3_1_1_extensions = from.v3_1_1_extensions;
    to.slow_handshake = config::over_tls(from.protocol);
    listeners.push_back(std::move(to));
  }
  return listeners;
}

Result<std::vector<quota::Rule>> limit_rules_of(const config::Settings& settings) {
  std::vector<quota::Rule> rules;
  for (const config::LimitRule& from : settings.limit_rules) {
    quota::Rule to;
    to.name = from.name;
    to.listener = from.listener;
    to.mountpoint = from.mountpoint;
    to.username = from.username;
    to.label = from.label;
    to.per = per_of(from.per);
    to.connections_max = from.connections_max;
    to.connects = {from.connects_per_second, from.connect_burst};
    to.messages = {from.messages_per_second, from.messages_burst};
    to.bytes = {from.bytes_per_second, from.bytes_burst};
    to.delay_max_ns = from.delay_max.count() * kNsPerMs;
    to.inflight_max = from.inflight_max;
    to.subscriptions_max = from.subscriptions_max;
    to.retained_messages_max = from.retained_messages_max;
    to.payload_bytes_max = from.payload_bytes_max;
    rules.push_back(std::move(to));
  }
  if (auto checked = quota::Rules::check(rules); !checked) return fail(std::move(checked).error());
  return rules;
}

Result<cluster::etcd::Client::Options> etcd_options_of(const config::Settings& settings) {
  const config::Cluster& from = settings.cluster;
  cluster::etcd::Client::Options to;
  to.endpoints = from.etcd;
  to.user = from.etcd_username;
  if (!from.etcd_password_file.empty()) {
    auto password = read_file(from.etcd_password_file, kPasswordBytesMax);
    if (!password) return fail(std::move(password).error());
    to.password = *std::move(password);
    while (!to.password.empty() && (to.password.back() == '\n' || to.password.back() == '\r'))
      to.password.pop_back();
  }
  if (!from.etcd_ca_file.empty())
    to.tls = {from.etcd_ca_file, from.etcd_certificate_file, from.etcd_key_file, {}};
  return to;
}

admin::ServerOptions admin_options_of(const config::Settings& settings) {
  admin::ServerOptions options;
  options.bind = settings.admin.bind;
  options.tokens = settings.admin.tokens;
  options.token_file = settings.admin.token_file;
  return options;
}

log::Options log_options_of(const config::Settings& settings) {
  return {settings.log.level, settings.log.format, settings.log.file, true};
}

Result<Authenticators> authenticators_of(const config::Settings& settings, Registry& registry,
                                         const Authenticators* running,
                                         const config::Settings* settings_then) {
  using Link = std::shared_ptr<auth::Authenticator>;
  const config::Auth& from = settings.auth;
  const config::Auth* const then = settings_then ? &settings_then->auth : nullptr;
  Authenticators made;
  if (settings_then && settings_then->hooks == settings.hooks &&
      settings_then->hook_limits == settings.hook_limits) {
    made.webhooks = running->webhooks;
  } else if (!settings.hooks.empty()) {
    auto opened = auth::webhook::Webhooks::open(webhook_options_of(settings), registry);
    if (!opened) return fail(std::move(opened).error());
    made.webhooks = *std::move(opened);
  }
  const auto passwords = [&]() -> Result<Link> {
    if (then && running->passwords && then->password_file == from.password_file &&
        then->password_workers == from.password_workers &&
        then->password_queue_max == from.password_queue_max) {
      made.passwords = running->passwords;
      return made.passwords;
    }
    auto opened = auth::file::FileAuthenticator::open(
        {from.password_file, from.password_workers, from.password_queue_max}, registry);
    if (!opened) return fail(std::move(opened).error());
    made.passwords = *std::move(opened);
    return made.passwords;
  };
  const auto tokens = [&]() -> Result<Link> {
    const auto* previous = running ? running->tokens.get() : nullptr;
    if (then && previous && then->jwt == from.jwt) {
      made.tokens = running->tokens;
      return made.tokens;
    }
    auto options = jwt_options_of(from.jwt);
    if (!options) return fail(std::move(options).error());
    auto opened = auth::jwt::JwtAuthenticator::open(*options, registry, system_clock(), previous);
    if (!opened) return fail(std::move(opened).error());
    made.tokens = *std::move(opened);
    return made.tokens;
  };
  const auto make = [&](std::string_view name) -> Result<Link> {
    if (name == "certificate") {
      auto opened = auth::Certificate::open(from.certificate_username, from.certificate_mountpoint);
      if (!opened) return fail(std::move(opened).error());
      return Link(*std::move(opened));
    }
    if (name == "jwt") return tokens();
    if (name == "password") return passwords();
    if (name == "webhook") return Link(std::make_shared<auth::webhook::WebhookAuthenticator>(made.webhooks));
    // A name that somebody else could have checked, and did not, is not let in as nobody's.
    const bool names_are_checked = std::ranges::any_of(config::kAuthenticators, [&](std::string_view other) {
      return other != "anonymous" && config::is_configured(settings, other);
    });
    return Link(std::make_shared<auth::Anonymous>(names_are_checked ? auth::Anonymous::Names::not_for_me
                                                                    : auth::Anonymous::Names::unchecked));
  };
  std::vector<std::string_view> order(from.order.begin(), from.order.end());
  if (order.empty()) order.assign(std::begin(config::kAuthenticators), std::end(config::kAuthenticators));
  std::vector<Link> links;
  for (const std::string_view name : order) {
    if (!config::is_configured(settings, name)) continue;
    auto link = make(name);
    if (!link) return fail(std::move(link).error());
    links.push_back(*std::move(link));
  }
  made.chain = std::make_unique<auth::Chain>(std::move(links));
  return made;
}

}  // namespace courier::courierd
