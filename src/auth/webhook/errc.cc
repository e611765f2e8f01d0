#include "auth/webhook/errc.h"

#include <string>

namespace courier::auth::webhook {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "auth/webhook"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::bad_options:
          return "the settings of hooks are not valid";
        case errc::unsayable:
          return "JSON cannot hold the question";
        case errc::not_json:
          return "the answer is not one that a hook gives";
        case errc::bad_modifier:
          return "the answer has a modifier that is not valid";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::auth::webhook
