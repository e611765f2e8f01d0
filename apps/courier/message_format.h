// Received messages as text: mosquitto_sub's -F formats, tables and JSON.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "mqtt/packet.h"

namespace courier::cli {

// `wall_ns`: when the message arrived, in nanoseconds since the epoch. `zone`: seconds east of Greenwich are
// the process's local ones.
struct Arrival {
  const mqtt::Publish& publish;
  int64_t wall_ns = 0;
};

// What -F says:
//   %t topic   %p payload   %x %X payload in hex   %l payload's length   %q QoS   %r retained (0, 1)   %m
//   packet id %j a line of JSON, the payload as a string   %J the same, a JSON payload as it is %I time as
//   ISO 8601   %U seconds since 1970 with nanoseconds   @X as strftime's %X (@N: nanoseconds) of 5.0: %A
//   topic alias   %C content type   %D correlation data   %E expiry   %F payload format
//           %P user properties   %R response topic   %S subscription identifiers
//   %% @@ \\ \n \r \t \a \e \v \0   and between % and the letter: - 0 width .precision
class MessageFormat {
 public:
  // errc::invalid_argument, with the place, for letters that mean nothing.
  static Result<MessageFormat> parse(std::string format);
  void append(std::string& out, const Arrival& arrival) const;

 private:
  explicit MessageFormat(std::string format) : format_(std::move(format)) {}
  std::string format_;
};

// One object on one line: tst, topic, qos, retain, payloadlen, mid (QoS > 0), payload, properties. A payload
// that is not UTF-8 stands as payload_base64. `embed`: a payload that is JSON stands as JSON.
std::string to_json(const Arrival& arrival, bool embed = false, bool pretty = false);

// "12:03:04.123  1  r  orders/42        {…}", control characters escaped, so that one message is one line.
std::string table_heading();
std::string table_line(const Arrival& arrival);

}  // namespace courier::cli
