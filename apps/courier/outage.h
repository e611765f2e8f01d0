// What `courier pub` and `courier sub` do, and say, when their connection is lost: a server that went away is
// waited for, as mosquitto's clients do; one that does not want us is not.
//
// One sentence when the connection is lost and one when it is back; the attempts between are told with -d, or
// when the reason changes. A first connection that fails is final.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "courier/connection_flags.h"

namespace courier::cli {

class Outage {
 public:
  explicit Outage(const ConnectionFlags& connection) : connection_(connection) {}

  // CONNACK has come. Whether it is the first one.
  bool connected();
  // The connection ended, or an attempt failed. Whether the next attempt is to be waited for.
  bool wait_out(const client::Ending& ending, std::optional<int64_t> retry_in_ms);
  bool was_connected() const { return was_connected_; }

 private:
  const ConnectionFlags& connection_;
  bool was_connected_ = false;
  std::optional<MonoNs> since_;
  std::string said_;
};

}  // namespace courier::cli
