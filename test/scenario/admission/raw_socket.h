// A TCP connection to the broker, byte by byte and without manners: it says what a test wants a stranger to
// say, and no more. Blocking unless told otherwise.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "harness/broker.h"
#include "harness/wire.h"
#include "net/transport.h"

namespace courier::scenario {

class RawSocket {
 public:
  enum class Mode : uint8_t { blocking, at_once };

  explicit RawSocket(uint16_t port, Mode mode = Mode::blocking)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (mode == Mode::at_once ? SOCK_NONBLOCK : 0), 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && mode == Mode::blocking)
      throw Broken("cannot connect");
  }
  RawSocket(RawSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket() { close(); }

  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // False: the broker has hung up.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // What came within the time, empty if nothing; `ended`: the broker has hung up.
  std::string receive(std::chrono::milliseconds patience, bool& ended) const {
    pollfd wanted{fd_, POLLIN, 0};
    if (::poll(&wanted, 1, static_cast<int>(patience.count())) != 1) return {};
    char room[16 * 1024];
    const ssize_t came = ::recv(fd_, room, sizeof room, 0);
    ended = came <= 0;
    return came > 0 ? std::string(room, static_cast<size_t>(came)) : std::string();
  }
  // Opens the transport, sending each byte by itself if `cut`, and gives what of it was not for the opening.
  void open(net::Transport& transport, bool cut = false) {
    std::string out, plain;
    transport.start(out);
    for (auto state = net::TransportState::opening; state == net::TransportState::opening;) {
      send(out, cut);
      out.clear();
      bool ended = false;
      const std::string wire = receive(kPatience, ended);
      if (wire.empty()) throw Broken("the transport does not open");
      const auto result = transport.receive(wire, plain, out);
      if (!result) throw Broken(result.error().message);
      state = *result;
    }
    send(out, cut);
  }
  void send(std::string_view bytes, bool cut) const {
    if (!cut) {
      send(bytes);
      return;
    }
    for (size_t i = 0; i < bytes.size(); ++i) send(bytes.substr(i, 1));
  }

 private:
  int fd_;
};

}  // namespace courier::scenario
