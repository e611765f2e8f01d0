#include "store/errc.h"

#include <string>

namespace courier::store {

const std::error_category& category() {
  class Category : public std::error_category {
    const char* name() const noexcept override { return "store"; }
    std::string message(int code) const override {
      switch (static_cast<errc>(code)) {
        case errc::damaged:
          return "the store is damaged";
        case errc::newer_format:
          return "the store was written by a newer version";
        case errc::not_a_store:
          return "not a store";
        case errc::in_use:
          return "the store is in use";
        case errc::disk_full:
          return "no space left";
        case errc::io:
          return "input/output error";
        case errc::unavailable:
          return "the store is unavailable for the moment";
        case errc::already_there:
          return "the target exists";
        case errc::another_log:
          return "the state of another log";
      }
      return "unknown error";
    }
  };
  static const Category category;
  return category;
}

}  // namespace courier::store
