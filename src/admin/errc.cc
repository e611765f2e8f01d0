#include "admin/errc.h"

#include <string>

namespace courier::admin {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "admin"; }
  std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::bad_request:
        return "the request cannot be understood";
      case errc::not_found:
        return "not found";
      case errc::conflict:
        return "not possible in this state";
      case errc::storage_full:
        return "no space left";
      case errc::storage:
        return "the store or the disk failed";
      case errc::settings:
        return "the settings are no good";
      case errc::unreachable:
        return "no answer";
      case errc::listen:
        return "cannot listen";
      case errc::tokens:
        return "the tokens cannot be used";
    }
    return "unknown";
  }
};

}  // namespace

const std::error_category& category() {
  static const Category the_category;
  return the_category;
}

}  // namespace courier::admin
