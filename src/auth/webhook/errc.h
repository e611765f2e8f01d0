// What can be wrong with the settings of hooks, with a question, and with an answer.
#pragma once

#include <system_error>

namespace courier::auth::webhook {

enum class errc {
  bad_options = 1,  // settings that contradict each other, or say too little
  unsayable,        // a question that JSON cannot hold: a text that is not UTF-8
  not_json,         // an answer that is not a JSON object, or has no result that is known
  bad_modifier,     // an answer that says ok, and then something that cannot be done
};

const std::error_category& category();

inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::auth::webhook

template <>
struct std::is_error_code_enum<courier::auth::webhook::errc> : std::true_type {};
