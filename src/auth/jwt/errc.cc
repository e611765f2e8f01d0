#include "auth/jwt/errc.h"

#include <string>

namespace courier::auth::jwt {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "auth/jwt"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::bad_options:
          return "the settings for tokens are not valid";
        case errc::bad_template:
          return "the template is not valid";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::auth::jwt
