// The lines of one trace on their way to an API client that may read slowly: a bounded queue between the
// shard's thread, which must never wait, and the server's.
//
// What finds it full is dropped, and a line says how many were. Written by any thread; take() and the rest by
// the server's.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "admin/control.h"

namespace courier::admin {

class LineStream final : public TraceSink {
 public:
  // `closed` is called once, by close(), when nobody reads any more.
  explicit LineStream(std::function<void(const LineStream&)> closed) : closed_(std::move(closed)) {}
  void on_started(bool connected) override;
  void on_line(const TraceLine& line) override;

  // `wake` is called, on any thread, when there is something to take and was nothing before.
  void open(std::function<void()> wake);
  // All that waits, as ndjson; empty when nothing does.
  std::string take();
  void close();

 private:
  void wake_if_first(std::unique_lock<std::mutex> lock);

  std::mutex mutex_;
  std::deque<TraceLine> lines_;  // guarded by mutex_
  size_t bytes_ = 0;             // guarded by mutex_
  uint64_t dropped_ = 0;         // guarded by mutex_; since the last take()
  int started_ = 0;              // guarded by mutex_; 1: not connected, 2: connected, to be said
  bool waiting_ = false;         // guarded by mutex_; wake_ was called and nothing taken since
  std::function<void()> wake_;   // guarded by mutex_
  std::function<void(const LineStream&)> closed_;
};

}  // namespace courier::admin
