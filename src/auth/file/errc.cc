#include "auth/file/errc.h"

#include <string>

namespace courier::auth::file {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "auth/file"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::unreadable:
          return "the password file cannot be read";
        case errc::invalid:
          return "the password file is not valid";
        case errc::unwritable:
          return "the password file cannot be written";
        case errc::bad_user_name:
          return "the user name is not valid";
        case errc::bad_password:
          return "the password is not valid";
        case errc::hash_failed:
          return "the password cannot be hashed";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::auth::file
