#include "load/errc.h"

#include <string>

namespace courier::load {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "load"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::invalid_scenario:
        return "invalid scenario";
      case errc::unreachable:
        return "unreachable";
      case errc::bad_frame:
        return "not a frame of a load worker";
      case errc::bad_report:
        return "not a result of courier load";
      case errc::cannot_write:
        return "cannot write";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& load_category() {
  static const Category category;
  return category;
}

std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), load_category()};
}

}  // namespace courier::load
