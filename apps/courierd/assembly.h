// From settings to the options of each part: the only place that knows both.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "admin/server.h"
#include "admission/admission.h"
#include "admission/flapping.h"
#include "auth/authenticator.h"
#include "auth/file/file_authenticator.h"
#include "auth/jwt/jwt_authenticator.h"
#include "auth/webhook/webhooks.h"
#include "base/metrics.h"
#include "base/result.h"
#include "broker/limits.h"
#include "broker/node.h"
#include "cluster/etcd/client.h"
#include "config/settings.h"
#include "gateway/gateway.h"
#include "quota/rule.h"

namespace courier::courierd {

broker::Limits limits_of(const config::Settings& settings);
broker::NodeOptions node_options_of(const config::Settings& settings, uint64_t seed);
gateway::GatewayOptions gateway_options_of(const config::Settings& settings);
admission::Options admission_of(const config::Settings& settings);
admission::FlappingOptions flapping_of(const config::Settings& settings);
// Errors: a bad address or network, with the listener's name.
Result<std::vector<gateway::ListenerOptions>> listeners_of(const config::Settings& settings);
// Errors: a limit that cannot be, with its name.
Result<std::vector<quota::Rule>> limit_rules_of(const config::Settings& settings);
// Errors: a password file that cannot be read.
Result<cluster::etcd::Client::Options> etcd_options_of(const config::Settings& settings);
admin::ServerOptions admin_options_of(const config::Settings& settings);
log::Options log_options_of(const config::Settings& settings);

// The chain of authenticators, and those of its links that a reload goes on with: shared by the chain and its
// successor.
struct Authenticators {
  std::unique_ptr<auth::Authenticator> chain;
  std::shared_ptr<auth::file::FileAuthenticator> passwords;  // null: not configured
  std::shared_ptr<auth::jwt::JwtAuthenticator> tokens;       // null: not configured
  std::shared_ptr<auth::webhook::Webhooks> webhooks;  // null: not configured; all hooks, not only these
};
// Takes what stays the same from `running`, which was made of `settings_then`. Errors: a file that cannot be
// used, settings that could never work.
Result<Authenticators> authenticators_of(const config::Settings& settings, Registry& registry,
                                         const Authenticators* running = nullptr,
                                         const config::Settings* settings_then = nullptr);

}  // namespace courier::courierd
