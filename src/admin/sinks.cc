// /v1/sinks: who is told of events, and how that goes.
#include <nlohmann/json.hpp>

#include "admin/errc.h"
#include "admin/routes.h"
#include "base/log.h"

namespace courier::admin {
namespace {

nlohmann::ordered_json to_json(const SinkFacts& sink) {
  nlohmann::ordered_json json = {{"name", sink.name},     {"kind", sink.kind},      {"target", sink.target},
                                 {"events", sink.events}, {"active", sink.active},  {"told", sink.told},
                                 {"missed", sink.missed}, {"trouble", sink.trouble}};
  if (!sink.webhook) return json;
  const SinkFacts::Webhook& webhook = *sink.webhook;
  json["webhook"] = {{"profile", webhook.profile},
                     {"waiting", webhook.waiting},
                     {"under_way", webhook.under_way},
                     {"taken", webhook.taken},
                     {"failed", webhook.failed},
                     {"given_up", webhook.given_up},
                     {"dead_letters", webhook.dead_letters},
                     {"last_failure", webhook.last_failure},
                     {"failing_since", webhook.failing_since == 0
                                           ? nlohmann::ordered_json(nullptr)
                                           : nlohmann::ordered_json(log::iso8601(webhook.failing_since))},
                     {"state", webhook.gone      ? "gone"
                               : webhook.resting ? "resting"
                                                 : "open"}};
  return json;
}

}  // namespace

void list_sinks(const Surroundings& around, const Request&, const Reply& reply) {
  nlohmann::ordered_json sinks = nlohmann::ordered_json::array();
  for (const SinkFacts& one : around.control->sinks()) sinks.push_back(to_json(one));
  reply.send(json_response(nlohmann::ordered_json{{"sinks", std::move(sinks)}}));
}

void test_sink(const Surroundings& around, const Request& request, const Reply& reply) {
  if (const auto stranger = request.query.stranger({"event"}))
    return reply.send(error_response(400, "there is no parameter " + *stranger, "known: event"));
  const std::string event = request.query.find("event").value_or("publish");
  const auto kind = events::kind_of(std::string_view(event));
  if (!kind)
    return reply.send(error_response(400, "there is no event " + event, "courier events kinds lists them"));
  around.control->test_sink(request.id, *kind, [reply](Result<SinkTrial> trial) {
    if (!trial) return reply.send(error_response(trial.error()));
    reply.send(json_response(nlohmann::ordered_json{
        {"status", trial->status}, {"took_ms", trial->took_ms}, {"body", trial->body}}));
  });
}

void replay_sink(const Surroundings& around, const Request& request, const Reply& reply) {
  const auto count = around.control->replay_sink(request.id);
  if (!count) return reply.send(error_response(count.error()));
  reply.send(json_response(nlohmann::ordered_json{{"dead_letters", *count}}, 202));
}

}  // namespace courier::admin
