#include "kafka/errc.h"

#include <string>

namespace courier::kafka {

const std::error_category& category() {
  class Category : public std::error_category {
    const char* name() const noexcept override { return "kafka"; }
    std::string message(int code) const override {
      switch (static_cast<errc>(code)) {
        case errc::bad_options:
          return "a setting that cannot be";
        case errc::away:
          return "Kafka cannot be told now";
      }
      return "unknown error";
    }
  };
  static const Category category;
  return category;
}

}  // namespace courier::kafka
