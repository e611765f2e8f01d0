#include "quota/errc.h"

#include <string>

namespace courier::quota {

const std::error_category& category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "quota"; }
    std::string message(int value) const override {
      switch (static_cast<errc>(value)) {
        case errc::invalid:
          return "a limit is not valid";
      }
      return "unknown error";
    }
  };
  static const Category one;
  return one;
}

}  // namespace courier::quota
