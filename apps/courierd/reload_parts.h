// The parts of a running node that take over changed settings, for reload.h.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "admin/server.h"
#include "admission/flapping.h"
#include "assembly.h"
#include "auth/acl/rules.h"
#include "auth/replaceable.h"
#include "auth/replaceable_hooks.h"
#include "broker/node.h"
#include "gateway/gateway.h"
#include "reload.h"
#include "transports.h"

namespace courier::courierd {

// They outlive the Reload, and are touched by the main thread only while it runs.
struct RunningParts {
  Registry& registry;
  Transports& transports;
  gateway::Gateway& gateway;
  broker::Node& node;
  auth::Replaceable& authenticator;
  Authenticators& authenticators;  // what it was made of
  auth::acl::Rules& rules;
  auth::ReplaceableHooks& hooks;
  admission::Flapping& flapping;
  const std::unique_ptr<admin::Server>& admin;  // none: [admin] bind is empty
  // The certificates that are served from now on.
  std::function<void(const config::Settings&, const std::vector<Transports::Door>&)> tell;
};

Reload reload_of(RunningParts running);

}  // namespace courier::courierd
