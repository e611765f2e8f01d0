// A worker process's side of a run: it answers one leader on one socket (frames.h) until the leader goes.
//
// The same for a process that the leader started on its own machine and for one that an agent (agent.h)
// started for a leader elsewhere. Whoever leads has to prove that it knows the token: a worker opens
// connections to wherever it is told to.
#pragma once

#include <string>

#include "base/result.h"
#include "load/worker.h"
#include "net/fd.h"

namespace courier::load {

struct SessionOptions {
  std::string token;    // empty on a socket pair: there is nobody else
  std::string version;  // of this program
  TransportSource transports;
};

// BLOCKS until the leader is gone. errc::bad_frame, errc::unreachable (it went in the middle of a run).
Result<void> serve_leader(net::Fd socket, const SessionOptions& options);

// What the leader answers to a worker's nonce.
std::string proof_of(std::string_view nonce, std::string_view token);

}  // namespace courier::load
