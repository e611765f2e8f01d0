// /v1/listeners: where clients come in.
#include <nlohmann/json.hpp>

#include "admin/routes.h"
#include "base/log.h"

namespace courier::admin {
namespace {

nlohmann::ordered_json to_json(const ListenerFacts& listener) {
  nlohmann::ordered_json certificates = nlohmann::ordered_json::array();
  for (const ListenerFacts::Certificate& one : listener.certificates) {
    certificates.push_back({{"file", one.file},
                            {"subject", one.subject},
                            {"names", one.names},
                            {"not_after", log::iso8601(one.not_after)}});
  }
  return {{"name", listener.name},
          {"bind", listener.bind},
          {"protocol", listener.protocol},
          {"proxy_protocol", listener.proxy_protocol},
          {"mountpoint", listener.mountpoint},
          {"connections", listener.connections},
          {"connections_max", listener.connections_max},
          {"certificates", std::move(certificates)}};
}

}  // namespace

void list_listeners(const Surroundings& around, const Request&, const Reply& reply) {
  nlohmann::ordered_json listeners = nlohmann::ordered_json::array();
  for (const ListenerFacts& one : around.control->listeners()) listeners.push_back(to_json(one));
  reply.send(json_response(nlohmann::ordered_json{{"listeners", std::move(listeners)}}));
}

}  // namespace courier::admin
