// A transport that is still opening: TLS that shakes hands, a WebSocket's upgrade.
//
// A full TLS handshake costs up to a millisecond of computing, and a morning's storm brings thousands at a
// time: they are worked off by the gateway's handshake workers, which run at a lower priority than the shard
// threads, so that who is connected does not wait for who comes. Their queue is bounded; who finds it full is
// closed.
//
//   thread: bytes -> take() -> worker: receive() -> thread: Connection::shook()
//
// Owned by the connection and, meanwhile, the worker. One of them has it at a time: `connection` is the
// thread's alone; the rest belongs to the worker while `away`. The connection may end meanwhile.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/transport.h"

namespace courier::gateway {

class Connection;

struct Handshake {
  Handshake(Connection& connection, std::unique_ptr<net::Transport> transport)
      : connection(&connection), transport(std::move(transport)) {}

  // Gives the transport what came.
  void work() {
    result = transport->receive(wire, plain, reply);
    std::string().swap(wire);  // a stranger's room is not kept for what may never come
  }

  Connection* connection;  // null once it is gone
  bool away = false;       // a worker has it
  std::unique_ptr<net::Transport> transport;
  std::string wire;          // what came and was not given to the transport
  std::string plain, reply;  // what came of it
  Result<net::TransportState> result = net::TransportState::opening;
};

}  // namespace courier::gateway
