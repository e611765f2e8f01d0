#include "config/errc.h"

#include <string>

namespace courier::config {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "config"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::unreadable:
          return "the configuration file cannot be read";
        case errc::invalid:
          return "the configuration is not valid";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::config
