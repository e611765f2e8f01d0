// For tests of clients on real sockets: a server in the same process whose part the test plays by hand, and a
// client's loop with everything that its handler heard, as text.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "client/client.h"

namespace courier::client {

inline constexpr MonoNs kPatience = 10'000'000'000;

// A listening socket on the loopback, and blocking reads and writes on what it accepts. The test plays the
// server by hand, in between turns of the loop.
class ScriptedServer {
 public:
  ScriptedServer() {
    fd_ = net::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto address = net::SocketAddress::ipv4({127, 0, 0, 1}, 0).native();
    CHECK(::bind(fd_.get(), address.get(), address.size) == 0 && ::listen(fd_.get(), 64) == 0);
    address_ = *net::SocketAddress::local_of(fd_.get());
  }
  net::SocketAddress address() const { return address_; }
  std::shared_ptr<const Endpoint> endpoint() const { return Endpoint::of(address_); }
  bool pending() {
    pollfd poll{fd_.get(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }
  net::Fd accept() { return net::Fd(::accept(fd_.get(), nullptr, nullptr)); }
  void stop() { fd_.reset(); }

 private:
  net::Fd fd_;
  net::SocketAddress address_;
};

struct Script {
  std::unique_ptr<ClientLoop> loop = *ClientLoop::open(7);
  ScriptedServer server;
  Callbacks on;
  std::vector<std::string> said;
  std::optional<Ending> ending;

  Script() {
    on.connected = [this](Client&, const mqtt::Connack&, bool present) {
      said.push_back(present ? "connected present" : "connected");
    };
    on.disconnected = [this](Client&, const Ending& e, std::optional<int64_t>) {
      ending = e;
      said.push_back("disconnected " + e.code.message());
    };
    on.message = [this](Client&, const mqtt::Publish& p) {
      said.push_back("message " + std::string(p.payload));
    };
    on.published = [this](Client&, const Completion& c) {
      said.push_back("published " + std::string(mqtt::name(c.reason)));
    };
    on.closed = [this](Client&) { said.push_back("closed"); };
  }

  template <typename Condition>
  testing::AssertionResult until(Condition condition) {
    const MonoNs deadline = system_clock().mono_ns() + kPatience;
    while (!condition()) {
      if (system_clock().mono_ns() > deadline) return testing::AssertionFailure() << "did not happen in 10 s";
      loop->run_once(5'000'000);
    }
    return testing::AssertionSuccess();
  }
  net::Fd accept() {
    EXPECT_TRUE(until([&] { return server.pending(); }));
    return server.accept();
  }
  // Turns the loop until at least `size` bytes have come, or the end.
  std::string read(const net::Fd& fd, size_t size) {
    std::string got;
    EXPECT_TRUE(until([&] {
      char room[65'536];
      const ssize_t n = ::recv(fd.get(), room, sizeof room, MSG_DONTWAIT);
      if (n > 0) got.append(room, static_cast<size_t>(n));
      return n == 0 || got.size() >= size;
    }));
    return got;
  }
  void write(const net::Fd& fd, std::string_view bytes) {
    ASSERT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Through CONNECT and CONNACK.
  net::Fd greet(std::string_view connack) {
    net::Fd fd = accept();
    EXPECT_EQ(read(fd, 2).substr(0, 1), "\x10");
    write(fd, connack);
    return fd;
  }
};

inline const std::string kConnackBytes("\x20\x03\x00\x00\x00", 5);
inline const std::string kConnackPresentBytes("\x20\x03\x01\x00\x00", 5);

}  // namespace courier::client
