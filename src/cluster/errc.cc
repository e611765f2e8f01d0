#include "cluster/errc.h"

#include <string>

namespace courier::cluster {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "cluster"; }
  std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::garbled:
        return "garbled";
      case errc::cut:
        return "cut";
      case errc::newer_format:
        return "newer format";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& category() {
  static const Category instance;
  return instance;
}

}  // namespace courier::cluster
