// One value for one key: from its spelling to the member that the schema binds it to.
//
// Files give typed values, the environment and the command line give bare text; both end here, and both are
// refused with the same sentences. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/schema.h"

namespace courier::config {

// Text without a type, as the environment and the command line have it.
struct Bare {
  std::string text;
};
// What no key takes: "a table", "a date".
struct Unfit {
  std::string_view what;
};
using Value = std::variant<bool, int64_t, double, std::string, std::vector<std::string>, Bare, Unfit>;

// Sets the key's member in `owner` and returns nullopt, or says why the value does not fit and sets nothing.
std::optional<std::string> assign(const Key& key, void* owner, const Value& value);

}  // namespace courier::config
