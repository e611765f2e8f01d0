// "Did you mean …?" for a word that is nearly a known one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace courier::config {

// How many insertions, deletions, replacements and swaps of neighbours turn one word into the other.
// Source: the optimal string alignment distance.
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest known word, if it is near enough to be what was meant: at most a third of it is wrong.
std::optional<std::string> suggest(std::string_view word, const std::vector<std::string>& known);

}  // namespace courier::config
