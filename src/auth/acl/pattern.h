// The filter of one rule, taken apart: levels that are text, wildcards, or text with variables in it.
//
//   %u %c %m       user name, client id, mountpoint        %%   a plain %
//   %(c, :, 3)     the third piece of the client id, which is split on ":"
//
// A variable stands for text within one level, whatever its value holds. A value that is empty, or has a '/',
// '+' or '#' in it, cannot be that: the rule then does not apply to this client. The same holds for a value
// that begins with '$' at the very front of a filter. So no client widens a rule by the name it chose. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "auth/acl/question.h"

namespace courier::auth::acl {

struct Variable {
  enum class Field : uint8_t { username, client_id, mountpoint };

  Field field{};
  std::string delimiter;  // "": the whole value
  uint32_t piece = 0;     // from 1
  bool operator==(const Variable&) const = default;
};

// "%c", "%(c, :, 3)"
std::string spelt(const Variable& variable);
// "the client id"
std::string_view meaning(Variable::Field field);

// The value, a view of the subject's; empty also when there is no such piece.
std::string_view value_of(const Variable& variable, const Subject& subject);
// Whether it can stand for text within a level.
bool fits_in_level(std::string_view value);

struct Level {
  enum class Kind : uint8_t { text, any, rest, variable };
  struct Part {
    std::string text;
    std::optional<Variable> variable;
    bool operator==(const Part&) const = default;
  };

  Kind kind{};
  std::vector<Part> parts;  // text: one; variable: one of them at least is a variable
};

using Pattern = std::vector<Level>;

// Which variables a filter may hold.
enum class Allowed : uint8_t { none, whole_values, pieces };

struct Misplaced {
  size_t at = 0;  // the byte of the filter
  std::string message;
};

// A filter as it stands in a line `topic` (none), `pattern` (whole_values) or `token` (pieces).
tl::expected<Pattern, Misplaced> parse_pattern(std::string_view filter, Allowed allowed);

}  // namespace courier::auth::acl
