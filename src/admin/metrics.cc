// /metrics: everything that the node counts, for Prometheus.
#include "admin/routes.h"

namespace courier::admin {

void get_metrics(const Surroundings& around, const Request&, const Reply& reply) {
  reply.send(
      {.content_type = std::string(Registry::kContentType), .body = around.registry.prometheus_text()});
}

}  // namespace courier::admin
