// A listening socket, and taking connections from it without ever spinning.
//
// Owner: one thread. Register fd() for kReadable; when it is reported call accept() until it says `none`, at
// most so often per turn as fairness allows. It sees neither TLS nor PROXY: peer() is the next hop.
//
// Running out of descriptors. Linux leaves the connection in the backlog when accept4() fails with EMFILE,
// and a level-triggered loop would report it again at once, for ever. So each Listener keeps one descriptor
// in reserve: it is given up, the connection is taken with it and closed (the phone learns at once and tries
// another node), and the reserve is taken again. The outcome is `refused`: to be counted, and to be logged at
// most now and then. Where even that is impossible (ENFILE and another process was quicker, no memory) the
// outcome is `stalled`: modify() the listener to interest 0 and back from a timer, after kStallPauseMs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/fd.h"
#include "net/socket.h"
#include "net/socket_address.h"

namespace courier::net {

struct ListenOptions {
  int backlog = 4096;  // the kernel takes less when net.core.somaxconn is less
  // Several listeners on one address, one per thread; the kernel spreads the connections.
  bool reuse_port = false;
  // "[::]:1883" takes IPv4 as well, unless this is set.
  bool ipv6_only = false;
  mode_t unix_mode = 0660;  // of a Unix socket's file
  // Accepted sockets inherit these two (and TCP_NODELAY) from the listener at no system call each.
  std::optional<KeepAliveProbes> keep_alive = KeepAliveProbes{};
  int receive_buffer_bytes = 0, send_buffer_bytes = 0;  // 0: the kernel's own
};

enum class AcceptOutcome : uint8_t {
  accepted,  // `fd` and `peer` are set
  none,      // nobody waits (any more)
  refused,   // out of descriptors: a connection was taken and closed; call again
  stalled,   // nothing could be taken (out of descriptors or memory, or one error after the other): pause
};

struct Accepted {
  AcceptOutcome outcome = AcceptOutcome::none;
  Fd fd;  // non-blocking, close-on-exec
  SocketAddress peer;
  int error = 0;  // errno when refused or stalled
};

class Listener {
 public:
  static constexpr int kStallPauseMs = 100;

  // errc::address_in_use, permission_denied, address_not_available, out_of_resources… with a sentence that
  // says what to do. A Unix socket's file that nobody listens on (left by a crash) is replaced.
  static Result<Listener> open(const SocketAddress& address, const ListenOptions& options = {});
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) noexcept;
  ~Listener();  // removes the Unix socket's file, if it is still its own

  int fd() const { return fd_.get(); }
  // With the port that the kernel chose, if 0 was asked for.
  const SocketAddress& address() const { return address_; }

  // Takes one connection. Those that gave up before we came (ECONNABORTED and the network errors that
  // accept() passes on) are skipped without a word.
  Accepted accept();

 private:
  Listener(Fd fd, SocketAddress address) : fd_(std::move(fd)), address_(std::move(address)) {}
  void remove_file();

  Fd fd_;
  Fd reserve_;
  SocketAddress address_;
  dev_t device_ = 0;  // of the Unix socket's file, so that a successor's is not removed
  ino_t inode_ = 0;
};

}  // namespace courier::net
