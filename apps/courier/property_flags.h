// -D COMMAND PROPERTY VALUE: the properties of MQTT 5.0, spelled as mosquitto spells them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "client/options.h"

namespace courier::cli {

struct PropertyFlags {
  client::MessageProperties publish, will;
  std::optional<uint16_t> topic_alias;
  uint32_t will_delay_seconds = 0;
  std::optional<uint32_t> subscription_identifier;
  client::UserPropertyList subscribe, unsubscribe;
  client::Farewell disconnect;
  // What goes into CONNECT.
  std::optional<uint32_t> session_expiry_seconds, maximum_packet_size;
  std::optional<uint16_t> receive_maximum;
  uint16_t topic_alias_maximum = 0;
  bool request_problem_information = true, request_response_information = false;
  std::optional<std::string> authentication_method, authentication_data;
  client::UserPropertyList connect;

  // Each of `flags` is one -D with its words joined by kWordSeparator. The sentence of an error names the
  // flag.
  static Result<PropertyFlags> parse(const std::vector<std::string>& flags);
  void apply_to(client::ConnectOptions& options) const;
};

}  // namespace courier::cli
