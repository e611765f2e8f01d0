#include "courier/mosquitto_arguments.h"

#include <algorithm>
#include <array>

namespace courier::cli {
namespace {

constexpr std::array<std::string_view, 10> kFreeText = {
    "-m", "-F", "-P", "-t", "-u", "-i", "-I", "--message", "--password", "--will-payload"};

bool starts_like_an_option(std::string_view word) {
  return word.size() > 1 && word[0] == '-';
}

}  // namespace

std::vector<std::string> join_arguments(std::vector<std::string> arguments) {
  if (arguments.empty() || (arguments[0] != "pub" && arguments[0] != "sub")) return arguments;
  std::vector<std::string> joined{arguments[0]};
  for (size_t i = 1; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const size_t left = arguments.size() - i - 1;
    if (word == "-D" || word == "--property") {
      const bool pair = left >= 2 && arguments[i + 2] == "user-property";
      const size_t count = std::min<size_t>(left, pair ? 4 : 3);
      std::string value;
      for (size_t k = 1; k <= count; ++k) {
        if (k > 1) value += kWordSeparator;
        value += arguments[i + k];
      }
      joined.push_back("--property=" + value);
      i += count;
    } else if (left > 0 && starts_like_an_option(arguments[i + 1]) &&
               std::find(kFreeText.begin(), kFreeText.end(), word) != kFreeText.end()) {
      joined.push_back(word.starts_with("--") ? word + "=" + arguments[i + 1] : word + arguments[i + 1]);
      ++i;
    } else {
      joined.push_back(word);
    }
  }
  return joined;
}

}  // namespace courier::cli
