// /v1/config: taking over changed settings.
#include <nlohmann/json.hpp>

#include "admin/routes.h"

namespace courier::admin {

void reload_config(const Surroundings& around, const Request&, const Reply& reply) {
  around.control->reload_config([reply](const Result<ReloadFacts>& done) {
    if (!done) return reply.send(error_response(done.error(), "nothing was taken over"));
    reply.send(json_response(nlohmann::ordered_json{
        {"applied", done->applied}, {"need_restart", done->need_restart}, {"read", done->read}}));
  });
}

}  // namespace courier::admin
