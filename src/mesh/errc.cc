#include "mesh/errc.h"

namespace courier::mesh {

const std::error_category& category() {
  class Category : public std::error_category {
    const char* name() const noexcept override { return "mesh"; }
    std::string message(int code) const override {
      switch (static_cast<errc>(code)) {
        case errc::no_link:
          return "no_link";
        case errc::link_lost:
          return "link_lost";
        case errc::timed_out:
          return "timed_out";
        case errc::busy:
          return "busy";
        case errc::too_large:
          return "too_large";
        case errc::failed:
          return "failed";
        case errc::stopped:
          return "stopped";
        case errc::bad_frame:
          return "bad_frame";
        case errc::bad_setting:
          return "bad_setting";
      }
      return "unknown";
    }
  };
  static const Category category;
  return category;
}

}  // namespace courier::mesh
