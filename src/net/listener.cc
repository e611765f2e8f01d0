#include "net/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "net/errc.h"
#include "net/limits.h"

namespace courier::net {

namespace {

Fd open_reserve() {
  return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

Failure listen_failure(const SocketAddress& address, int number) {
  std::string hint;
  switch (number) {
    case EADDRINUSE:
      hint = address.is_ip()
                 ? fmt::format("; is another broker running? `ss -ltnp 'sport = :{}'` shows who listens",
                               address.port())
                 : "; is another broker running?";
      break;
    case EADDRNOTAVAIL:
      hint =
          "; no network interface has this address: `ip address` lists those there are, 0.0.0.0 or [::] "
          "means all";
      break;
    case EACCES:
    case EPERM:
      if (address.is_ip() && address.port() < 1024) {
        hint = "; ports below 1024 need the capability CAP_NET_BIND_SERVICE";
      }
      break;
    case ENOENT:
      hint = "; the socket's folder must exist";
      break;
    case EAFNOSUPPORT:
      hint = "; this machine has IPv6 switched off";
      break;
    default:
      break;
  }
  return fail(errc_of(number),
              fmt::format("cannot listen on {}: {}{}", address.to_string(), system_words(number), hint));
}

// A socket file outlives the process that bound it. It may go when it is a socket and nobody answers.
bool remove_stale_file(const SocketAddress& address) {
  const std::string path(address.path());
  struct stat status;
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const NativeAddress native = address.native();
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe || ::connect(probe.get(), native.get(), native.size) == 0 || errno != ECONNREFUSED) return false;
  return ::unlink(path.c_str()) == 0;
}

}  // namespace

Result<Listener> Listener::open(const SocketAddress& address, const ListenOptions& options) {
  const NativeAddress native = address.native();
  if (native.size == 0) return fail(errc::bad_address, "cannot listen: no address was given");
  Fd fd(::socket(native.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return listen_failure(address, errno);
  const bool ip = address.is_ip();
  if (ip) {
    // A restarted broker must not wait for the old connections' TIME_WAIT.
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.family() == Family::ipv6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only);
    set_no_delay(fd.get());
    if (options.keep_alive) set_keep_alive(fd.get(), *options.keep_alive);
  }
  set_buffer_sizes(fd.get(), options.receive_buffer_bytes, options.send_buffer_bytes);

  int bound = ::bind(fd.get(), native.get(), native.size);
  if (bound != 0 && errno == EADDRINUSE && !ip) {
    if (remove_stale_file(address)) {
      bound = ::bind(fd.get(), native.get(), native.size);
    } else {
      errno = EADDRINUSE;
    }
  }
  if (bound != 0) return listen_failure(address, errno);

  Listener listener(std::move(fd), address);
  if (!ip) {
    const std::string path(address.path());
    struct stat status;
    if (::lstat(path.c_str(), &status) == 0) {
      listener.device_ = status.st_dev;
      listener.inode_ = status.st_ino;
    }
    if (::chmod(path.c_str(), options.unix_mode) != 0) return listen_failure(address, errno);
  }
  if (::listen(listener.fd(), options.backlog) != 0) return listen_failure(address, errno);
  listener.reserve_ = open_reserve();
  if (!listener.reserve_) return listen_failure(address, errno);
  if (ip) {
    auto local = SocketAddress::local_of(listener.fd());
    if (!local) return fail(std::move(local).error());
    // The address as it was written ("[::]"), with the port as it came out.
    listener.address_ = address.with_port(local->port());
  }
  return listener;
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this != &other) {
    remove_file();
    fd_ = std::move(other.fd_);
    reserve_ = std::move(other.reserve_);
    address_ = std::move(other.address_);
    device_ = other.device_;
    inode_ = other.inode_;
  }
  return *this;
}

Listener::~Listener() {
  remove_file();
}

void Listener::remove_file() {
  if (!fd_ || address_.family() != Family::unix_path) return;
  const std::string path(address_.path());
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
    ::unlink(path.c_str());
  }
}

Accepted Listener::accept() {
  int shortage = 0;  // why the reserve was given up, if it was
  int skipped = 0;
  if (!reserve_) reserve_ = open_reserve();
  for (;;) {
    NativeAddress native;
    native.size = sizeof native.storage;
    Fd fd(::accept4(fd_.get(), native.get(), &native.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    const int number = fd ? 0 : errno;
    if (fd && shortage == 0) {
      return {AcceptOutcome::accepted, std::move(fd), SocketAddress::from_native(native.get(), native.size),
              0};
    }
    if (fd) {
      fd.reset();
      reserve_ = open_reserve();
      return {AcceptOutcome::refused, Fd(), SocketAddress::from_native(native.get(), native.size), shortage};
    }
    switch (number) {
      case EAGAIN:
        // With EMFILE the kernel does not look whether somebody waits: only now we know that nobody does.
        if (shortage != 0) reserve_ = open_reserve();
        return {};
      case EMFILE:
      case ENFILE:
        if (shortage == 0 && reserve_) {
          shortage = number;
          reserve_.reset();
          continue;
        }
        [[fallthrough]];
      case ENOBUFS:
      case ENOMEM:
        if (!reserve_) reserve_ = open_reserve();
        return {AcceptOutcome::stalled, Fd(), SocketAddress(), number};
      case EBADF:
      case EFAULT:
      case EINVAL:
      case ENOTSOCK:
      case EOPNOTSUPP:
        CHECK(!"accept4() on something that is no listening socket");
        break;
      default:
        // ECONNABORTED, EINTR, a firewall's EPERM, and what accept(2) lists as errors of the new connection's
        // network: that connection is gone from the backlog. An errno that does not go away must not spin.
        if (++skipped <= kAcceptSkipsMax) continue;
        if (!reserve_) reserve_ = open_reserve();
        return {AcceptOutcome::stalled, Fd(), SocketAddress(), number};
    }
  }
}

}  // namespace courier::net
