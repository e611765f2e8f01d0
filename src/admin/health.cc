// /livez: the process answers, and its work goes on. /readyz: send clients here, or say why not. For load
// balancers and systemd; without a token.
#include "admin/routes.h"

namespace courier::admin {
namespace {

Response text(unsigned status, std::string line) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(line) + "\n"};
}

}  // namespace

void get_livez(const Surroundings& around, const Request&, const Reply& reply) {
  reply.send(around.vitals.alive() ? text(200, "alive") : text(503, "stuck"));
}

void get_readyz(const Surroundings& around, const Request&, const Reply& reply) {
  const Health health = around.vitals.health();
  reply.send(health.ready ? text(200, "ready") : text(503, "not ready: " + health.reason));
}

}  // namespace courier::admin
