#include "courier/outage.h"

#include <utility>

#include <fmt/format.h>

namespace courier::cli {
namespace {

// A server that restarts, drains or is busy is tried again; one that does not want us is not.
bool is_final(client::ReasonCode reason) {
  using client::ReasonCode;
  return mqtt::is_error(reason) && reason != ReasonCode::use_another_server &&
         reason != ReasonCode::server_shutting_down && reason != ReasonCode::server_unavailable &&
         reason != ReasonCode::server_busy && reason != ReasonCode::keep_alive_timeout;
}

}  // namespace

bool Outage::connected() {
  if (since_) {
    const MonoNs lasted = system_clock().mono_ns() - *std::exchange(since_, std::nullopt);
    connection_.say(fmt::format("connected again, after {:.1f} s", static_cast<double>(lasted) / 1e9));
    said_.clear();
  }
  return !std::exchange(was_connected_, true);
}

bool Outage::wait_out(const client::Ending& ending, std::optional<int64_t> retry_in_ms) {
  if (!was_connected_ || !retry_in_ms || (ending.reason && is_final(*ending.reason))) {
    connection_.say(connection_.sentence(ending));
    return false;
  }
  const bool lost = !since_;
  if (lost) since_ = system_clock().mono_ns();
  if (lost) {
    connection_.say(connection_.sentence(ending) + " Connecting again, until it is there; Ctrl-C ends this.");
  } else if (std::exchange(said_, ending.message) != ending.message) {
    connection_.say(ending.message);
  }
  connection_.say_debug(fmt::format("next attempt in {} ms", *retry_in_ms));
  return true;
}

}  // namespace courier::cli
