#include "net/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/limits.h"

namespace courier::net {

IoResult OutputQueue::write(int fd, std::string_view bytes) {
  if (!empty()) {
    append(bytes);
    return flush(fd);
  }
  if (bytes.empty()) return {};
  const IoResult result = write_some(fd, bytes);
  if (result.status == IoStatus::would_block) append(bytes.substr(result.bytes));
  return result;
}

IoResult OutputQueue::flush(int fd) {
  IoResult total;
  while (!empty()) {
    std::array<iovec, kOutputPiecesPerWrite> parts;
    size_t count = 0, asked = 0, offset = pending_->offset;
    for (size_t i = pending_->first; i < pending_->pieces.size() && count < parts.size(); ++i) {
      std::string& piece = pending_->pieces[i];
      parts[count++] = {piece.data() + offset, piece.size() - offset};
      asked += piece.size() - offset;
      offset = 0;
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    // sendmsg() is writev() that can be told not to raise SIGPIPE.
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
      total.status = full ? IoStatus::would_block : IoStatus::failed;
      total.error = full ? 0 : errno;
      return total;
    }
    total.bytes += static_cast<size_t>(sent);
    taken(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < asked) {
      total.status = IoStatus::would_block;
      return total;
    }
  }
  return total;
}

void OutputQueue::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!pending_) pending_ = std::make_unique<Pending>();
  auto& pieces = pending_->pieces;
  pending_->bytes += bytes.size();
  if (pieces.empty() || pieces.back().size() + bytes.size() > kOutputPieceSize) {
    pieces.emplace_back(bytes);
  } else {
    pieces.back().append(bytes);
  }
}

void OutputQueue::append_piece(std::string piece) {
  if (piece.empty()) return;
  if (!pending_) pending_ = std::make_unique<Pending>();
  pending_->bytes += piece.size();
  pending_->pieces.push_back(std::move(piece));
}

void OutputQueue::taken(size_t count) {
  pending_->bytes -= count;
  if (pending_->bytes == 0) {
    pending_.reset();
    return;
  }
  auto& pieces = pending_->pieces;
  while (count > 0) {
    std::string& piece = pieces[pending_->first];
    const size_t left = piece.size() - pending_->offset;
    if (count < left) {
      pending_->offset += count;
      break;
    }
    count -= left;
    piece = std::string();
    pending_->offset = 0;
    ++pending_->first;
  }
  // A peer that never quite catches up must not make the list of gone pieces grow.
  if (pending_->first >= kOutputPiecesPerWrite) {
    pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(pending_->first));
    pending_->first = 0;
  }
}

}  // namespace courier::net
