// /v1/events: what happens, as it happens, as lines of JSON, until the API client hangs up.
#include <algorithm>

#include "admin/line_stream.h"
#include "admin/routes.h"
#include "events/catalogue/fields.h"
#include "events/catalogue/json.h"
#include "mqtt/topic.h"

namespace courier::admin {
namespace {

// "connect,drop"; nothing: one of them is no event, which is then in `stranger`.
std::optional<events::Kinds> kinds_in(std::string_view list, std::string& stranger) {
  events::Kinds kinds;
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    const auto kind = events::kind_of(name);
    if (!kind) {
      stranger = name;
      return std::nullopt;
    }
    kinds |= events::Kinds::of(*kind);
  }
  return kinds;
}

}  // namespace

void follow_events(const Surroundings& around, const Request& request, const Reply& reply) {
  if (const auto stranger = request.query.stranger({"client", "topic", "kind"}))
    return reply.send(
        error_response(400, "there is no parameter " + *stranger, "known: client, topic, kind"));
  const std::optional<std::string> client = request.query.find("client"),
                                   filter = request.query.find("topic");
  if (filter && !mqtt::is_topic_filter(*filter)) {
    return reply.send(
        error_response(400, "topic is no topic filter: " + *filter, "as in orders/# or phones/+/status"));
  }
  events::Kinds kinds = events::Kinds::all();
  if (const auto list = request.query.find("kind")) {
    std::string stranger;
    const auto some = kinds_in(*list, stranger);
    if (!some || some->empty()) {
      return reply.send(
          error_response(400, "there is no event \"" + stranger + "\"", "courier events kinds lists them"));
    }
    kinds = *some;
  }
  auto number = std::make_shared<uint64_t>(0);
  Control& control = *around.control;
  auto lines = std::make_shared<LineStream>([&control, number] { control.end_events(*number); });
  if (!reply.stream(lines)) return;
  *number = control.begin_events(kinds, [lines, client, filter](const events::EventPtr& event) {
    if (client && events::text_of(event->bytes, events::Field::client_id) != *client) return;
    if (filter) {
      const std::string_view topic = events::text_of(event->bytes, events::Field::topic);
      if (topic.empty() || !mqtt::matches(*filter, topic)) return;
    }
    lines->push(event->bytes.size(), [event] {
      std::string line;
      events::append_json(line, event->bytes);
      return line;
    });
  });
  lines->push(0, [] { return std::string(R"({"event":"started"})"); });
}

}  // namespace courier::admin
