#include "admission/errc.h"

#include <string>

namespace courier::admission {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "admission"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::bad_ban:
          return "no such ban can be made";
        case errc::too_many:
          return "there are too many bans";
        case errc::bad_file:
          return "the file of bans is not valid";
        case errc::io:
          return "the file of bans cannot be read or written";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::admission
