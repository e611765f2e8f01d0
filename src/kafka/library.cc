#include "kafka/library.h"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/log.h"
#include "kafka/errc.h"

namespace courier::kafka {
namespace {

// That a setting is odd was decided here.
void say(const rd_kafka_t*, int level, const char* about, const char* text) {
  static log::Limit limit{{.per_second = 5}};
  if (level <= 4 && std::string_view(about) != "CONFWARN") {
    log::warn(limit, "Kafka", {{"says", text}});
  } else {
    log::debug("Kafka", {{"says", text}});
  }
}

}  // namespace

Result<rd_kafka_t*> start(rd_kafka_type_t type, const Properties& properties,
                          const std::function<void(rd_kafka_conf_t*)>& prepare) {
  std::array<char, 512> why{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) == RD_KAFKA_CONF_OK)
      continue;
    rd_kafka_conf_destroy(conf);
    return fail(errc::bad_options, fmt::format("librdkafka does not take {}: {}", name, why.data()));
  }
  rd_kafka_conf_set_log_cb(conf, say);
  prepare(conf);
  rd_kafka_t* handle = rd_kafka_new(type, conf, why.data(), why.size());
  if (handle) return handle;
  rd_kafka_conf_destroy(conf);
  return fail(errc::bad_options, fmt::format("librdkafka cannot start: {}", why.data()));
}

std::string not_taken(rd_kafka_resp_err_t error, const std::string& topic) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      return "Kafka has no topic " + topic + " and makes none by itself: create it";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return "Kafka does not let us write to the topic " + topic + ": give this user the right to";
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return "Kafka does not know us: check the user name and the password";
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      return "Kafka did not take a message for the topic " + topic + " in time";
    default:
      return "Kafka did not take a message for the topic " + topic + ": " + rd_kafka_err2str(error);
  }
}

}  // namespace courier::kafka
