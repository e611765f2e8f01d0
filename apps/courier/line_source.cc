#include "courier/line_source.h"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace courier::cli {

LineSource::LineSource(client::ClientLoop& loop, int fd, std::function<void()> arrived)
    : loop_(loop), fd_(fd), arrived_(std::move(arrived)), timer_([this] { read(); }) {}

LineSource::~LineSource() {
  loop_.cancel(timer_);
  if (registered_) loop_.events().remove(fd_, *this);
}

void LineSource::start() {
  // epoll takes pipes, sockets and terminals; what it refuses can be read at any time.
  registered_ = loop_.events().add(fd_, *this, net::kReadable).has_value();
  if (!registered_) loop_.arm(timer_, 0);
}

void LineSource::on_events(uint32_t) {
  read();
}

void LineSource::read() {
  std::array<char, 64 * 1024> room;
  const ssize_t count = ::read(fd_, room.data(), room.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
    if (!registered_) loop_.arm(timer_, 1);
    return;
  }
  if (count > 0) {
    take({room.data(), static_cast<size_t>(count)});
  } else {
    ended_ = true;
    if (!partial_.empty()) lines_.push_back(std::move(partial_));  // the last line without its end
    if (registered_) loop_.events().remove(fd_, *this);
    registered_ = false;
  }
  paused_ = !ended_ && lines_.size() >= kLinesWaitingMax;
  if (registered_)
    loop_.events().modify(fd_, *this, paused_ ? 0 : net::kReadable);
  else if (!ended_ && !paused_)
    loop_.arm(timer_, 0);
  arrived_();
}

void LineSource::take(std::string_view bytes) {
  for (;;) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    partial_.append(piece.substr(0, kLineBytesMax - std::min(kLineBytesMax, partial_.size())));
    if (end == std::string_view::npos) return;
    lines_.push_back(std::exchange(partial_, {}));
    bytes.remove_prefix(end + 1);
  }
}

void LineSource::pop() {
  lines_.pop_front();
  if (!paused_ || lines_.size() > kLinesWaitingMax / 2) return;
  paused_ = false;
  if (registered_)
    loop_.events().modify(fd_, *this, net::kReadable);
  else if (!ended_)
    loop_.arm(timer_, 0);
}

}  // namespace courier::cli
