#include "record/errc.h"

namespace courier::record {

const std::error_category& category() {
  class Category : public std::error_category {
    const char* name() const noexcept override { return "record"; }
    std::string message(int code) const override {
      switch (static_cast<errc>(code)) {
        case errc::truncated:
          return "ends in the middle";
        case errc::checksum:
          return "bytes changed since they were written";
        case errc::unknown_type:
          return "a record of a type that this version does not know";
        case errc::unknown_version:
          return "written by a newer version";
        case errc::out_of_range:
          return "a field holds what it cannot";
      }
      return "unknown error";
    }
  };
  static const Category category;
  return category;
}

}  // namespace courier::record
