#include "client/errc.h"

#include <string>

namespace courier::client {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "client"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::invalid_argument:
        return "invalid argument";
      case errc::not_connected:
        return "not connected";
      case errc::queue_full:
        return "too many messages are waiting for the server";
      case errc::message_too_large:
        return "message is larger than the server accepts";
      case errc::not_supported:
        return "the server does not offer this";
      case errc::session_lost:
        return "the server has lost the session";
      case errc::refused:
        return "refused by the server";
      case errc::protocol_violation:
        return "the server broke the protocol";
      case errc::timed_out:
        return "timed out";
      case errc::connection_lost:
        return "connection lost";
      case errc::cannot_connect:
        return "cannot connect";
      case errc::closed:
        return "closed";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& client_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), client_category()};
}

}  // namespace courier::client
