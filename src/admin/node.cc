// /v1/node: how the node is, in numbers.
#include <nlohmann/json.hpp>

#include "admin/routes.h"

namespace courier::admin {
namespace {

Response to_response(const NodeFacts& facts) {
  nlohmann::ordered_json log = {{"accepting", facts.log_accepting}, {"tail_bytes", facts.log_tail_bytes}};
  if (!facts.log_accepting) log["reason"] = facts.log_reason;
  nlohmann::ordered_json body = {
      {"version", facts.version},
      {"uptime_seconds", facts.uptime_seconds},
      {"ready", facts.health.ready},
      {"draining", facts.draining},
      {"shards", facts.shards},
      {"connections", facts.connections},
      {"sessions", facts.sessions},
      {"subscriptions", facts.subscriptions},
      {"shared_groups", facts.shared_groups},
      {"retained", {{"messages", facts.retained_messages}, {"bytes", facts.retained_bytes}}},
      {"inboxes", {{"messages", facts.inbox_messages}, {"bytes", facts.inbox_bytes}}},
      {"log", std::move(log)},
      {"checkpoint", {{"position", facts.checkpoint_position}, {"running", facts.checkpoint_running}}}};
  if (!facts.health.ready) body["reason"] = facts.health.reason;
  return json_response(body);
}

}  // namespace

void show_node(const Surroundings& around, const Request&, const Reply& reply) {
  around.control.describe_node(
      [reply](NodeFacts now) { reply.send([facts = std::move(now)] { return to_response(facts); }); });
}

}  // namespace courier::admin
