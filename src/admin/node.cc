// /v1/node: how the node is, in numbers; and whether it has clients.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "admin/routes.h"

namespace courier::admin {
namespace {

constexpr uint32_t kDrainPerSecond = 500, kDrainPerSecondMax = 1'000'000;
constexpr size_t kReferenceBytesMax = 256;
constexpr std::string_view kDrainShape =
    "the body is empty or a JSON object: {\"connections_per_second\": 500, \"server_reference\": "
    "\"mqtt-2.example.com:1883\"}, the rate 1 to 1,000,000, the reference up to 256 characters without "
    "spaces";

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

Response to_response(const DrainFacts& facts) {
  return json_response(nlohmann::ordered_json{
      {"draining", facts.draining}, {"connections", facts.connections}, {"servers", facts.servers}});
}

// What a Server Reference says is the client's and the server's own affair: section 4.11.
bool is_reference(std::string_view text) {
  return !text.empty() && text.size() <= kReferenceBytesMax &&
         std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

void drain_node(const Surroundings& around, const Request& request, const Reply& reply) {
  const auto body =
      request.body.empty() ? nlohmann::json::object() : nlohmann::json::parse(request.body, nullptr, false);
  if (!body.is_object()) return reply.send(error_response(400, "the body is not a JSON object", kDrainShape));
  DrainOrder order{.connections_per_second = kDrainPerSecond, .servers = {}};
  for (const auto& [key, value] : body.items()) {
    if (key == "connections_per_second" && value.is_number_unsigned() && value.get<uint64_t>() > 0 &&
        value.get<uint64_t>() <= kDrainPerSecondMax) {
      order.connections_per_second = value.get<uint32_t>();
    } else if (key == "server_reference" && value.is_string() &&
               is_reference(value.get_ref<const std::string&>())) {
      order.servers = {value.get<std::string>()};
    } else {
      return reply.send(
          error_response(400, "the field " + key + " is not known, or has no such value", kDrainShape));
    }
  }
  around.control->drain(std::move(order), [reply](const DrainFacts& done) { reply.send(to_response(done)); });
}

void undrain_node(const Surroundings& around, const Request&, const Reply& reply) {
  around.control->drain(std::nullopt, [reply](const DrainFacts& done) { reply.send(to_response(done)); });
}

void show_node(const Surroundings& around, const Request&, const Reply& reply) {
  around.control->describe_node(
      [reply](NodeFacts now) { reply.send([facts = std::move(now)] { return to_response(facts); }); });
}

}  // namespace courier::admin
