// Lines of a descriptor, usually stdin, on the loop of the clients: a pipe or a terminal when it is readable,
// a file piece by piece. Lines that nobody takes stop the reading, so that a huge file does not end up in
// memory.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "client/client_loop.h"

namespace courier::cli {

class LineSource final : private net::Handler {
 public:
  static constexpr size_t kLinesWaitingMax = 1'000;
  // What a line has beyond this is dropped: it could be no MQTT packet.
  static constexpr size_t kLineBytesMax = 256 * 1024 * 1024 - 65'536;

  // `arrived` is called on the loop when there are new lines, and at the end.
  LineSource(client::ClientLoop& loop, int fd, std::function<void()> arrived);
  ~LineSource();

  void start();
  bool empty() const { return lines_.empty(); }
  const std::string& front() const { return lines_.front(); }
  void pop();
  // The input has ended and every line was taken.
  bool finished() const { return ended_ && lines_.empty(); }

 private:
  void on_events(uint32_t ready) override;
  void read();
  void take(std::string_view bytes);

  client::ClientLoop& loop_;
  const int fd_;
  std::function<void()> arrived_;
  client::Timer timer_;  // for files, which no event loop watches
  std::deque<std::string> lines_;
  std::string partial_;
  bool registered_ = false, paused_ = false, ended_ = false;
};

}  // namespace courier::cli
