// /v1/clients/{id}/trace: one client's packets as they come and go, as lines of JSON, until the API client
// hangs up.
#include <nlohmann/json.hpp>

#include "admin/line_stream.h"
#include "admin/routes.h"
#include "base/log.h"

namespace courier::admin {
namespace {

std::string text_of(const nlohmann::ordered_json& line) {
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

class TraceLines final : public TraceSink {
 public:
  explicit TraceLines(std::shared_ptr<LineStream> lines) : lines_(std::move(lines)) {}
  void on_started(bool connected) override {
    lines_->push(0, [connected] { return text_of({{"event", "started"}, {"connected", connected}}); });
  }
  void on_line(const TraceLine& line) override {
    lines_->push(line.packet.size(), [line] {
      return text_of({{"time", log::iso8601(line.at)},
                      {"direction", line.inbound ? "in" : "out"},
                      {"packet", line.packet}});
    });
  }

 private:
  const std::shared_ptr<LineStream> lines_;
};

}  // namespace

void trace_client(const Surroundings& around, const Request& request, const Reply& reply) {
  if (const auto stranger = request.query.stranger({"mountpoint"}))
    return reply.send(error_response(400, "there is no parameter " + *stranger, "known: mountpoint"));
  const ClientName name{request.query.find("mountpoint").value_or(""), request.id};
  Control& control = *around.control;
  auto ended = std::make_shared<std::weak_ptr<TraceLines>>();
  auto lines = std::make_shared<LineStream>([&control, name, ended] {
    if (const auto sink = ended->lock()) control.end_trace(name, *sink);
  });
  auto sink = std::make_shared<TraceLines>(lines);
  *ended = sink;
  if (reply.stream(std::move(lines))) control.begin_trace(name, std::move(sink));
}

}  // namespace courier::admin
