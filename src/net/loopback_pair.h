// For tests: two connected TCP sockets on the loopback interface, as a phone and the broker would hold them.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include "net/listener.h"
#include "net/socket.h"

namespace courier::net {

// Blocks until `events` (POLLIN, POLLOUT) are reported on `fd`; false after ten seconds.
inline bool await(int fd, short events) {
  pollfd wanted{fd, events, 0};
  return ::poll(&wanted, 1, 10'000) == 1;
}

struct LoopbackPair {
  Fd client;
  Fd server;

  static LoopbackPair open() {
    LoopbackPair pair;
    auto listener = Listener::open(*SocketAddress::parse("127.0.0.1:0"));
    EXPECT_TRUE(listener) << listener.error().message;
    auto client = connect_start(listener->address());
    EXPECT_TRUE(client) << client.error().message;
    EXPECT_TRUE(await(listener->fd(), POLLIN));
    pair.client = *std::move(client);
    pair.server = listener->accept().fd;
    EXPECT_TRUE(pair.server);
    return pair;
  }
};

}  // namespace courier::net
