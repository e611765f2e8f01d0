// What is done with a TCP or Unix socket: connect, options, and moving bytes.
//
// Free functions on descriptors; any thread, as long as one thread at a time uses a descriptor. All sockets
// made here are non-blocking and close-on-exec. Setting up fails with a Result for people; moving bytes
// answers with an IoResult for the program, because a peer that goes away is no error of ours.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "net/fd.h"
#include "net/socket_address.h"

namespace courier::net {

enum class IoStatus : uint8_t {
  done,         // reading: `bytes` came. Writing: all of it went
  would_block,  // reading: nothing there. Writing: `bytes` went, the rest when kWritable is reported
  closed,       // reading only: the peer has finished sending
  failed,       // the connection is dead; `error` is the errno
};

struct IoResult {
  IoStatus status = IoStatus::done;
  size_t bytes = 0;
  int error = 0;
};

// One recv(). `room` is not empty.
IoResult read_some(int fd, std::span<char> room);
// Whether nothing is there to be read, nor ever will be. Takes nothing.
bool has_ended(int fd);
// One send(), never SIGPIPE. A send that took only part reports would_block.
IoResult write_some(int fd, std::string_view bytes);

struct ConnectOptions {
  // Where to connect from, for example 127.0.7.9:0 to be one phone among many. With port 0 the kernel picks
  // the port only when it knows the destination, so that each source address has all its ports for each one.
  std::optional<SocketAddress> source;
};

// Begins to connect. Register the descriptor for kWritable; when that or kHangup is reported, ask
// connect_outcome(). Fails at once with errc::refused, unreachable, address_not_available (the source),
// out_of_resources…
Result<Fd> connect_start(const SocketAddress& to, const ConnectOptions& options = {});
// How it went: errc::refused, timed_out, unreachable… `to` is for the sentence only.
Result<void> connect_outcome(int fd, const SocketAddress& to);

// setsockopt() for options that every kernel we run on has. It fails on other kinds of socket (a Unix socket
// has no TCP_NODELAY) and on one that the peer has reset meanwhile; neither is worth a word.
void set_option(int fd, int level, int name, int value);

// TCP_NODELAY: send small packets at once. Nothing happens on a Unix socket. An accepted socket has it from
// its Listener already.
void set_no_delay(int fd);

// TCP keep-alive probes find peers that vanished without a word, where MQTT's keep-alive is off or long.
struct KeepAliveProbes {
  int idle_seconds = 300;
  int interval_seconds = 30;
  int count = 4;
};
void set_keep_alive(int fd, const KeepAliveProbes& probes);

// Closing `fd` will then reset the connection instead of ending it in good order: unsent bytes are dropped
// and no TIME_WAIT stays. For peers that broke the rules, and for load generators.
void set_reset_on_close(int fd);

// How many bytes the kernel may hold for this socket in each direction; 0 leaves it as it is. The kernel
// doubles and bounds the values.
void set_buffer_sizes(int fd, int receive_bytes, int send_bytes);

// No more bytes will be sent; what the peer still sends can be read.
void shut_sending(int fd);

}  // namespace courier::net
