// Errors as values. Nothing of ours throws: a function that can fail returns Result<T>.
//
// An Error carries a code from its folder's errc.h (an std::error_code with that folder's category) and a
// sentence for a person: what happened, where, and what to do.
#pragma once

#include <string>
#include <system_error>
#include <utility>

#include <tl/expected.hpp>

namespace courier {

struct Error {
  std::error_code code;
  std::string message;

  Error(std::error_code c, std::string m) : code(c), message(std::move(m)) {}
  // The sentence with more context in front: "cannot start: " + message.
  Error within(std::string_view context) const { return {code, std::string(context) + ": " + message}; }
};

template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Failure = tl::unexpected<Error>;

// return fail(errc::disk_full, "cannot write …");
template <typename Code>
Failure fail(Code code, std::string message) {
  return Failure(Error(make_error_code(code), std::move(message)));
}
inline Failure fail(Error error) {
  return Failure(std::move(error));
}

}  // namespace courier
