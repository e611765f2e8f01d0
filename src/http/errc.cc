#include "http/errc.h"

#include <string>

namespace courier::http {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "http"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::bad_url:
          return "the URL is not valid";
        case errc::unreachable:
          return "the server cannot be reached";
        case errc::tls:
          return "TLS failed";
        case errc::timeout:
          return "the server did not answer in time";
        case errc::too_large:
          return "the answer is too large";
        case errc::forbidden:
          return "the server's address is of the link, or a cloud's metadata";
        case errc::bad_redirect:
          return "the server redirects to where it must not";
        case errc::bad_response:
          return "the answer is not HTTP, or broke off";
        case errc::cancelled:
          return "the request was cancelled";
        case errc::no_memory:
          return "there is no memory for a request";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::http
