#include "admin/line_stream.h"

#include <nlohmann/json.hpp>

#include "admin/limits.h"
#include "base/log.h"

namespace courier::admin {
namespace {

void append_line(std::string& out, const nlohmann::ordered_json& line) {
  out += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  out += '\n';
}

}  // namespace

void LineStream::on_started(bool connected) {
  std::unique_lock lock(mutex_);
  started_ = connected ? 2 : 1;
  wake_if_first(std::move(lock));
}

void LineStream::on_line(const TraceLine& line) {
  std::unique_lock lock(mutex_);
  if (lines_.size() >= kTraceLinesMax || bytes_ + line.packet.size() > kTraceBytesMax) {
    ++dropped_;
  } else {
    bytes_ += line.packet.size();
    lines_.push_back(line);
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
  if (!lines_.empty() || dropped_ > 0 || started_ != 0) wake_if_first(std::move(lock));
}

std::string LineStream::take() {
  std::deque<TraceLine> lines;
  uint64_t dropped = 0;
  int started = 0;
  {
    const std::lock_guard lock(mutex_);
    lines.swap(lines_);
    bytes_ = 0;
    std::swap(dropped, dropped_);
    std::swap(started, started_);
    waiting_ = false;
  }
  std::string out;
  if (started != 0) append_line(out, {{"event", "started"}, {"connected", started == 2}});
  for (const TraceLine& line : lines) {
    append_line(out, {{"time", log::iso8601(line.at)},
                      {"direction", line.inbound ? "in" : "out"},
                      {"packet", line.packet}});
  }
  if (dropped > 0) append_line(out, {{"event", "dropped"}, {"lines", dropped}});
  return out;
}

void LineStream::close() {
  {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
  }
  if (const auto closed = std::exchange(closed_, nullptr)) closed(*this);
}

}  // namespace courier::admin
