#include "net/socket.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/check.h"
#include "net/errc.h"

namespace courier::net {

namespace {

Error connect_error(const SocketAddress& to, int number) {
  std::string_view hint;
  if (number == ECONNREFUSED) hint = "; nothing listens there";
  if (number == EAGAIN) hint = "; all local ports to that address are in use, or its backlog is full";
  return {make_error_code(errc_of(number)),
          fmt::format("cannot connect to {}: {}{}", to.to_string(), system_words(number), hint)};
}

}  // namespace

IoResult read_some(int fd, std::span<char> room) {
  CHECK(!room.empty());
  for (;;) {
    const ssize_t got = ::recv(fd, room.data(), room.size(), MSG_DONTWAIT);
    if (got > 0) return {IoStatus::done, static_cast<size_t>(got), 0};
    if (got == 0) return {IoStatus::closed, 0, 0};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::would_block, 0, 0};
    return {IoStatus::failed, 0, errno};
  }
}

bool has_ended(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

IoResult write_some(int fd, std::string_view bytes) {
  for (;;) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      const auto count = static_cast<size_t>(sent);
      return {count == bytes.size() ? IoStatus::done : IoStatus::would_block, count, 0};
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStatus::would_block, 0, 0};
    return {IoStatus::failed, 0, errno};
  }
}

Result<Fd> connect_start(const SocketAddress& to, const ConnectOptions& options) {
  const NativeAddress native = to.native();
  if (native.size == 0) return fail(errc::bad_address, "cannot connect: no address was given");
  Fd fd(::socket(native.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd)
    return fail(system_error(fmt::format("cannot make a socket to connect to {}", to.to_string()), errno));
  if (options.source) {
    const NativeAddress source = options.source->native();
    if (options.source->is_ip()) set_option(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (::bind(fd.get(), source.get(), source.size) != 0) {
      return fail(system_error(fmt::format("cannot connect from {}", options.source->to_string()), errno));
    }
  }
  // EINTR does not occur: a non-blocking connect() does not wait.
  if (::connect(fd.get(), native.get(), native.size) != 0 && errno != EINPROGRESS) {
    return fail(connect_error(to, errno));
  }
  return fd;
}

Result<void> connect_outcome(int fd, const SocketAddress& to) {
  int number = 0;
  socklen_t size = sizeof number;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0) number = errno;
  if (number != 0) return fail(connect_error(to, number));
  return {};
}

void set_option(int fd, int level, int name, int value) {
  [[maybe_unused]] const int ignored = ::setsockopt(fd, level, name, &value, sizeof value);
}

void set_no_delay(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void set_keep_alive(int fd, const KeepAliveProbes& probes) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, probes.idle_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, probes.interval_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes.count);
}

void set_reset_on_close(int fd) {
  const linger at_once{1, 0};
  [[maybe_unused]] const int ignored = ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void set_buffer_sizes(int fd, int receive_bytes, int send_bytes) {
  if (receive_bytes > 0) set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_bytes);
  if (send_bytes > 0) set_option(fd, SOL_SOCKET, SO_SNDBUF, send_bytes);
}

void shut_sending(int fd) {
  ::shutdown(fd, SHUT_WR);
}

}  // namespace courier::net
