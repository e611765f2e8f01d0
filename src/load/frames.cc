#include "load/frames.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "load/limits.h"

namespace courier::load {

namespace {

constexpr size_t kReadBytes = 64 * 1024;

}  // namespace

FrameStream::FrameStream(net::Fd fd, net::EventLoop& loop) : fd_(std::move(fd)), loop_(loop) {}

FrameStream::~FrameStream() {
  if (alive_ != nullptr) *alive_ = false;
  if (fd_ && registered_) loop_.remove(fd_.get(), *this);
}

Result<void> FrameStream::start() {
  auto added = loop_.add(fd_.get(), *this, net::kReadable);
  registered_ = added.has_value();
  return added;
}

void FrameStream::send(FrameKind kind, std::string_view body) {
  if (!fd_) return;
  const auto size = static_cast<uint32_t>(body.size() + 1);
  std::string bytes;
  bytes.reserve(body.size() + 5);
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
  bytes.push_back(static_cast<char>(kind));
  bytes.append(body);
  // A dead connection is reported by the loop, in its turn.
  output_.write(fd_.get(), bytes);
  if (!output_.empty() && !wants_write_) {
    wants_write_ = true;
    loop_.modify(fd_.get(), *this, net::kReadable | net::kWritable);
  }
}

void FrameStream::on_events(uint32_t ready) {
  if ((ready & net::kWritable) != 0 && wants_write_ &&
      output_.flush(fd_.get()).status == net::IoStatus::done) {
    wants_write_ = false;
    loop_.modify(fd_.get(), *this, net::kReadable);
  }
  if ((ready & (net::kReadable | net::kHangup)) != 0) read();
}

void FrameStream::read() {
  bool alive = true;
  alive_ = &alive;
  std::array<char, kReadBytes> room;
  std::string ending;
  const net::IoResult io = net::read_some(fd_.get(), room);
  switch (io.status) {
    case net::IoStatus::done:
      input_.append(room.data(), io.bytes);
      break;
    case net::IoStatus::would_block:
      break;
    case net::IoStatus::closed:
      ending = "it closed the connection";
      break;
    case net::IoStatus::failed:
      ending = fmt::format("the connection broke: {}", std::strerror(io.error));
      break;
  }
  size_t taken = 0;
  while (ending.empty() && input_.size() - taken >= 4) {
    size_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<uint8_t>(input_[taken + i]);
    if (size == 0 || size > kFrameBytesMax) {
      ending = "it does not speak the language of courier load";
      break;
    }
    if (input_.size() - taken < 4 + size) break;
    const auto kind = static_cast<uint8_t>(input_[taken + 4]);
    if (kind == 0 || kind > static_cast<uint8_t>(kLastFrameKind)) {
      ending = "it does not speak the language of courier load";
      break;
    }
    if (on_frame)
      on_frame(static_cast<FrameKind>(kind), std::string_view(input_).substr(taken + 5, size - 1));
    if (!alive) return;
    if (!fd_) break;
    taken += 4 + size;
  }
  input_.erase(0, taken);
  alive_ = nullptr;
  if (!ending.empty()) end(ending);
}

void FrameStream::end(const std::string& why) {
  if (!fd_) return;
  loop_.remove(fd_.get(), *this);
  registered_ = false;
  fd_ = {};
  if (on_closed) on_closed(why);
}

}  // namespace courier::load
