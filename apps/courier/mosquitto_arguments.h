// Two habits of mosquitto's command line that a general parser does not have, brought into a form that it
// understands:
//
//   - the value of -m, -F, -P, --will-payload … is whatever comes next, also when it begins with a dash;
//   - -D takes three words, or four: COMMAND user-property NAME VALUE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace courier::cli {

// Between the words of one -D in the result.
inline constexpr char kWordSeparator = '\x1f';

// `arguments` without the program's name. Those of commands other than pub and sub are left as they are.
std::vector<std::string> join_arguments(std::vector<std::string> arguments);

}  // namespace courier::cli
