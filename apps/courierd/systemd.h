// Tells systemd how the service is: sd_notify's protocol, one datagram a message to the socket that
// NOTIFY_SOCKET names. Without that variable nobody asked, and nothing is sent.
//
// Used by the main thread. See sd_notify(3), sd_watchdog_enabled(3).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "net/fd.h"

namespace courier::courierd {

class Systemd {
 public:
  // From the environment, which is then cleared of it: what we start is not the service.
  static Systemd from_environment();
  Systemd() = default;

  void ready(std::string_view status) { send("READY=1\nSTATUS=" + std::string(status)); }
  void status(std::string_view status) { send("STATUS=" + std::string(status)); }
  // Starting takes longer than TimeoutStartSec by default: `more` from now.
  void extend_start(std::chrono::seconds more);
  void stopping() { send("STOPPING=1\nSTATUS=draining"); }
  void alive() { send("WATCHDOG=1"); }

  // It wants to hear alive() at least this often; nothing when it does not care.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

 private:
  void send(const std::string& message);

  net::Fd socket_;  // connected
  std::optional<std::chrono::microseconds> watchdog_;
};

}  // namespace courier::courierd
