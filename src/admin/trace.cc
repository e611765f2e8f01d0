// /v1/clients/{id}/trace: one client's packets as they come and go, as lines of JSON, until the API client
// hangs up.
#include "admin/line_stream.h"
#include "admin/routes.h"

namespace courier::admin {

void trace_client(const Surroundings& around, const Request& request, const Reply& reply) {
  if (const auto stranger = request.query.stranger({"mountpoint"}))
    return reply.send(error_response(400, "there is no parameter " + *stranger, "known: mountpoint"));
  const ClientName name{request.query.find("mountpoint").value_or(""), request.id};
  Control& control = *around.control;
  auto lines = std::make_shared<LineStream>(
      [&control, name](const LineStream& stream) { control.end_trace(name, stream); });
  if (reply.stream(lines)) control.begin_trace(name, std::move(lines));
}

}  // namespace courier::admin
