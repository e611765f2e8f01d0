// What can go wrong in a load test, beside what clients report.
#pragma once

#include <system_error>

namespace courier::load {

enum class errc {
  invalid_scenario = 1,  // it cannot be read, or makes no sense: exit code 2
  unreachable,           // no target, agent or worker answers: exit code 3
  bad_frame,             // the other process does not speak our language
  bad_report,            // a result file cannot be read
  cannot_write,          // an output file
};

const std::error_category& load_category();
std::error_code make_error_code(errc code);

}  // namespace courier::load

template <>
struct std::is_error_code_enum<courier::load::errc> : std::true_type {};
