#include "net/tls/errc.h"

#include <string>

namespace courier::net::tls {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "tls"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::not_tls:
        return "not_tls";
      case errc::no_shared_version:
        return "no_shared_version";
      case errc::no_shared_cipher:
        return "no_shared_cipher";
      case errc::no_shared_protocol:
        return "no_shared_protocol";
      case errc::no_certificate:
        return "no_certificate";
      case errc::bad_certificate:
        return "bad_certificate";
      case errc::expired_certificate:
        return "expired_certificate";
      case errc::revoked_certificate:
        return "revoked_certificate";
      case errc::unknown_ca:
        return "unknown_ca";
      case errc::no_current_crl:
        return "no_current_crl";
      case errc::wrong_name:
        return "wrong_name";
      case errc::too_large:
        return "too_large";
      case errc::key_updates:
        return "key_updates";
      case errc::refused_by_peer:
        return "refused_by_peer";
      case errc::protocol:
        return "protocol";
      case errc::internal:
        return "internal";
      case errc::bad_setting:
        return "bad_setting";
      case errc::bad_file:
        return "bad_file";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& category() {
  static const Category the_category;
  return the_category;
}

}  // namespace courier::net::tls
