#include "admin/exchange.h"

#include <nlohmann/json.hpp>

#include "admin/errc.h"

namespace courier::admin {
namespace {

unsigned http_status(const std::error_code& code) {
  if (code.category() != category()) return 500;
  switch (static_cast<errc>(code.value())) {
    case errc::bad_request:
      return 400;
    case errc::not_found:
      return 404;
    case errc::conflict:
      return 409;
    case errc::storage_full:
      return 507;
    case errc::storage:
      return 500;
    case errc::settings:
      return 422;
    case errc::unreachable:
      return 502;
    case errc::listen:
      return 500;
    case errc::tokens:
      return 500;
  }
  return 500;
}

}  // namespace

Response json_response(const nlohmann::ordered_json& body, unsigned status) {
  Response response;
  response.status = status;
  response.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  response.body += '\n';
  return response;
}

Response error_response(unsigned status, std::string_view error, std::string_view hint) {
  nlohmann::ordered_json body = {{"error", error}};
  if (!hint.empty()) body["hint"] = hint;
  return json_response(body, status);
}

Response error_response(const Error& error, std::string_view hint) {
  return error_response(http_status(error.code), error.message, hint);
}

}  // namespace courier::admin
