// An agent: lends this machine to load tests that are led from elsewhere. For each connection it starts a
// worker process; a leader that wants more workers here connects more often.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "net/socket_address.h"

namespace courier::load {

struct AgentOptions {
  net::SocketAddress listen;
  std::string program;                          // what a worker is started from
  std::function<bool()> stopped;                // asked a few times a second
  std::function<void(const std::string&)> say;  // one line an event
};

// BLOCKS until stopped(). net's errors when it cannot listen.
Result<void> run_agent(const AgentOptions& options);

}  // namespace courier::load
