#include "base/errc.h"

#include <string>

namespace courier {

const std::error_category& base_category() {
  struct Category final : std::error_category {
    const char* name() const noexcept override { return "base"; }
    std::string message(int value) const override {
      switch (static_cast<BaseErrc>(value)) {
        case BaseErrc::log_destination:
          return "the log file cannot be opened";
        case BaseErrc::unreadable:
          return "the file cannot be read";
      }
      return "unknown error";
    }
  };
  static const Category category;
  return category;
}

}  // namespace courier
