// How librdkafka is started, by all who use it: settings checked by itself, its log into ours, its errors in
// words. For this folder and events/kafka; others do not see librdkafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace courier::kafka {

// librdkafka's names and values; of a name that comes twice the last counts.
using Properties = std::vector<std::pair<std::string, std::string>>;

// A producer or a consumer, which the caller destroys. `prepare` may set callbacks. Errors: bad_options, in
// librdkafka's words.
Result<rd_kafka_t*> start(rd_kafka_type_t type, const Properties& properties,
                          const std::function<void(rd_kafka_conf_t*)>& prepare);

// Why a message for the topic was not taken, and what to do.
std::string not_taken(rd_kafka_resp_err_t error, const std::string& topic);

}  // namespace courier::kafka
