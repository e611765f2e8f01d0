#include "admin/line_stream.h"

#include <utility>

#include "admin/limits.h"

namespace courier::admin {

void LineStream::push(size_t bytes, Text text) {
  std::unique_lock lock(mutex_);
  if (lines_.size() >= kStreamLinesMax || bytes_ + bytes > kStreamBytesMax) {
    ++dropped_;
  } else {
    bytes_ += bytes;
    lines_.push_back(std::move(text));
  }
  wake_if_first(std::move(lock));
}

void LineStream::wake_if_first(std::unique_lock<std::mutex> lock) {
  if (waiting_ || !wake_) return;
  waiting_ = true;
  const std::function<void()> wake = wake_;
  lock.unlock();
  wake();
}

void LineStream::open(std::function<void()> wake) {
  std::unique_lock lock(mutex_);
  wake_ = std::move(wake);
  if (!lines_.empty() || dropped_ > 0) wake_if_first(std::move(lock));
}

std::string LineStream::take() {
  std::deque<Text> lines;
  uint64_t dropped = 0;
  {
    const std::lock_guard lock(mutex_);
    lines.swap(lines_);
    bytes_ = 0;
    std::swap(dropped, dropped_);
    waiting_ = false;
  }
  std::string out;
  for (const Text& line : lines) out.append(line()).push_back('\n');
  if (dropped > 0) out += R"({"event":"dropped","lines":)" + std::to_string(dropped) + "}\n";
  return out;
}

void LineStream::close() {
  {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
  }
  if (const auto closed = std::exchange(closed_, nullptr)) closed();
}

}  // namespace courier::admin
