// What others have written (a client id, a topic, a line of a file) as a terminal may show it: on one line,
// obeyed by nothing, and not without end. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace courier {

// Control characters, bytes that are not UTF-8 and characters that reorder text become \xNN or \u{…}. What
// is wider than `columns` is cut, and ends with "…". What has been shown once is shown the same again.
std::string shown(std::string_view text, size_t columns = SIZE_MAX);

// How many columns a shown text takes: a character is one.
size_t columns_of(std::string_view shown);

}  // namespace courier
