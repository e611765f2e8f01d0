// What keeps Kafka from being told. The sentence beside the code says which broker or topic, and what to do.
#pragma once

#include <system_error>

namespace courier::kafka {

enum class errc {
  bad_options = 1,  // librdkafka does not take a setting
  away,             // it does not answer, or refuses for now: events wait
};

const std::error_category& category();
inline std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), category()};
}

}  // namespace courier::kafka
