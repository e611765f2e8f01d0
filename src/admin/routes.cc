#include "admin/routes.h"

namespace courier::admin {
namespace {

constexpr Route kRoutes[] = {
    {"GET", "/livez", Route::Access::open, get_livez},
    {"GET", "/readyz", Route::Access::open, get_readyz},
    {"GET", "/metrics", Route::Access::open, get_metrics},
    {"GET", "/v1/clients", Route::Access::token, list_clients},
    {"GET", "/v1/clients/{id}", Route::Access::token, show_client},
    {"DELETE", "/v1/clients/{id}", Route::Access::token, kick_client},
    {"GET", "/v1/clients/{id}/why", Route::Access::token, explain_access},
    {"GET", "/v1/clients/{id}/trace", Route::Access::token, trace_client},
    {"GET", "/v1/bans", Route::Access::token, list_bans},
    {"POST", "/v1/bans", Route::Access::token, add_ban, true},
    {"DELETE", "/v1/bans/{id}", Route::Access::token, remove_ban},
    {"GET", "/v1/node", Route::Access::token, show_node},
    {"POST", "/v1/node/drain", Route::Access::token, drain_node},
    {"DELETE", "/v1/node/drain", Route::Access::token, undrain_node},
    {"GET", "/v1/cluster", Route::Access::token, show_cluster},
    {"GET", "/v1/events", Route::Access::token, follow_events},
    {"GET", "/v1/sinks", Route::Access::token, list_sinks},
    {"POST", "/v1/sinks/{id}/test", Route::Access::token, test_sink, true},
    {"POST", "/v1/sinks/{id}/replay", Route::Access::token, replay_sink},
    {"GET", "/v1/listeners", Route::Access::token, list_listeners},
    {"POST", "/v1/config/reload", Route::Access::token, reload_config},
    {"POST", "/v1/backup", Route::Access::token, make_backup, true},
};

// Whether the segments are those of `path`; `id` is what stands for {id}.
bool matches(std::string_view path, const std::vector<std::string>& segments, std::string& id) {
  path.remove_prefix(1);
  for (size_t i = 0; i < segments.size(); ++i) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view wanted = path.substr(0, end);
    if (wanted == "{id}" && !segments[i].empty()) {
      id = segments[i];
    } else if (wanted != segments[i]) {
      return false;
    }
    if (end == path.size()) return i + 1 == segments.size();
    path.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

Found find_route(std::string_view method, const std::vector<std::string>& segments) {
  Found found;
  for (const Route& route : kRoutes) {
    if (!matches(route.path, segments, found.id)) continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) {
      found.route = &route;
      return found;
    }
    if (!found.allowed.empty()) found.allowed += ", ";
    found.allowed += route.method;
    if (route.method == "GET") found.allowed += ", HEAD";
  }
  return found;
}

bool needs_token(const std::vector<std::string>& segments) {
  return segments.front() == "v1";
}

}  // namespace courier::admin
