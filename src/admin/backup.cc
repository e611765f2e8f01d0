// /v1/backup: a consistent copy of the running node's data.
#include <nlohmann/json.hpp>

#include "admin/errc.h"
#include "admin/limits.h"
#include "admin/routes.h"

namespace courier::admin {
namespace {

constexpr std::string_view kShape =
    "the body is a JSON object: {\"path\": \"/var/backups/courier-2024-05-01\"}";

}  // namespace

void make_backup(const Surroundings& around, const Request& request, const Reply& reply) {
  const auto body = nlohmann::json::parse(request.body, nullptr, false);
  if (!body.is_object()) return reply.send(error_response(400, "the body is not a JSON object", kShape));
  for (const auto& [key, value] : body.items()) {
    if (key != "path") return reply.send(error_response(400, "there is no field " + key, kShape));
  }
  const auto path = body.find("path");
  if (path == body.end() || !path->is_string())
    return reply.send(error_response(400, "there is no text in the field path", kShape));
  const auto folder = path->get<std::string>();
  if (!folder.starts_with('/') || folder.size() > kPathBytesMax || folder.find('\0') != std::string::npos)
    return reply.send(error_response(400, "the path must be absolute",
                                     "it names a new folder on the machine where courierd runs"));
  around.control->backup(folder, [reply, folder](const Result<BackupFacts>& done) {
    if (!done) return reply.send(error_response(done.error()));
    reply.send(json_response(
        nlohmann::ordered_json{{"path", folder}, {"bytes", done->bytes}, {"position", done->position}}));
  });
}

}  // namespace courier::admin
