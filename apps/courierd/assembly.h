// From settings to the options of each part: the only place that knows both.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "admin/server.h"
#include "admission/admission.h"
#include "admission/flapping.h"
#include "auth/authenticator.h"
#include "auth/webhook/webhooks.h"
#include "base/metrics.h"
#include "base/result.h"
#include "broker/limits.h"
#include "broker/node.h"
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
admin::ServerOptions admin_options_of(const config::Settings& settings);
log::Options log_options_of(const config::Settings& settings);

// Null: no hook is configured. Errors: settings that could never work.
Result<std::unique_ptr<auth::webhook::Webhooks>> webhooks_of(const config::Settings& settings,
                                                             Registry& registry);

// The chain of authenticators. `webhooks` must outlive it; null if there are none. Errors: a password file
// that cannot be read.
Result<std::unique_ptr<auth::Authenticator>> authenticator_of(const config::Settings& settings,
                                                              auth::webhook::Webhooks* webhooks,
                                                              Registry& registry);

}  // namespace courier::courierd
