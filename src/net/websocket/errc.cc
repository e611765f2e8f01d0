#include "net/websocket/errc.h"

#include <string>

namespace courier::net::websocket {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "websocket"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::not_http:
        return "not_http";
      case errc::bad_request:
        return "bad_request";
      case errc::head_too_large:
        return "head_too_large";
      case errc::not_found:
        return "not_found";
      case errc::bad_method:
        return "bad_method";
      case errc::not_an_upgrade:
        return "not_an_upgrade";
      case errc::origin_forbidden:
        return "origin_forbidden";
      case errc::no_subprotocol:
        return "no_subprotocol";
      case errc::upgrade_refused:
        return "upgrade_refused";
      case errc::bad_answer:
        return "bad_answer";
      case errc::bad_frame:
        return "bad_frame";
      case errc::bad_close:
        return "bad_close";
      case errc::text_frame:
        return "text_frame";
      case errc::bad_utf8:
        return "bad_utf8";
      case errc::too_big:
        return "too_big";
      case errc::bad_setting:
        return "bad_setting";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& category() {
  static const Category the_category;
  return the_category;
}

uint16_t close_status(errc code) {
  switch (code) {
    case errc::text_frame:
      return 1003;
    case errc::bad_utf8:
      return 1007;
    case errc::too_big:
      return 1009;
    case errc::not_http:
    case errc::bad_request:
    case errc::head_too_large:
    case errc::not_found:
    case errc::bad_method:
    case errc::not_an_upgrade:
    case errc::origin_forbidden:
    case errc::no_subprotocol:
    case errc::upgrade_refused:
    case errc::bad_answer:
    case errc::bad_frame:
    case errc::bad_close:
    case errc::bad_setting:
      break;
  }
  return 1002;
}

}  // namespace courier::net::websocket
