// The bytes of one connection that the kernel would not take yet.
//
// Owned by its connection, used by that connection's thread. Eight bytes while empty: memory exists only
// while a peer reads more slowly than we write. It refuses nothing: the owner looks at bytes() and decides
// whether to stop feeding the peer or to give it up.
//
// The usual way: gather a Turn's bytes for the connection in a buffer of the thread, write() them in one
// system call, and ask the loop for kWritable only when the answer is would_block.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/socket.h"

namespace courier::net {

class OutputQueue {
 public:
  OutputQueue() = default;

  bool empty() const { return !pending_; }
  size_t bytes() const { return pending_ ? pending_->bytes : 0; }

  // Sends what waits and then `bytes`, and keeps a copy of what the kernel did not take.
  //   done         all is gone; nothing is kept
  //   would_block  something is kept: ask for kWritable, then flush()
  //   failed       the connection is dead
  // `bytes` of the result counts what the kernel took.
  IoResult write(int fd, std::string_view bytes);
  // Sends what waits; as write() with nothing new.
  IoResult flush(int fd);

  // Puts bytes behind those that wait, without a system call.
  void append(std::string_view bytes);
  // The same without a copy, for a large piece.
  void append_piece(std::string piece);

  void clear() { pending_.reset(); }

 private:
  struct Pending {
    std::vector<std::string> pieces;
    size_t first = 0;   // pieces before this one are gone
    size_t offset = 0;  // of the first byte that waits, in pieces[first]
    size_t bytes = 0;
  };
  void taken(size_t count);

  std::unique_ptr<Pending> pending_;
};

}  // namespace courier::net
