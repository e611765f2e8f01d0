#include "auth/acl/errc.h"

#include <string>

namespace courier::auth::acl {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "auth.acl"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::invalid:
          return "the ACL file is not valid";
        case errc::bad_grant:
          return "an access rule that came with the client is not valid";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::auth::acl
