// Lines on their way to an API client that may read slowly: a bounded queue between threads that must never
// wait, a shard's or the feed, and the server's.
//
// What finds it full is dropped, and a line says how many were. Written by any thread; take() and the rest by
// the server's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

namespace courier::admin {

class LineStream {
 public:
  // A line of JSON, without its end.
  using Text = std::function<std::string()>;

  // `closed` is called once, by close(), when nobody reads any more.
  explicit LineStream(std::function<void()> closed) : closed_(std::move(closed)) {}

  // `text` is called on the server's thread; `bytes`: what it holds until then, about.
  void push(size_t bytes, Text text);

  // `wake` is called, on any thread, when there is something to take and was nothing before.
  void open(std::function<void()> wake);
  // All that waits, as ndjson; empty when nothing does.
  std::string take();
  void close();

 private:
  void wake_if_first(std::unique_lock<std::mutex> lock);

  std::mutex mutex_;
  std::deque<Text> lines_;      // guarded by mutex_
  size_t bytes_ = 0;            // guarded by mutex_
  uint64_t dropped_ = 0;        // guarded by mutex_; since the last take()
  bool waiting_ = false;        // guarded by mutex_; wake_ was called and nothing taken since
  std::function<void()> wake_;  // guarded by mutex_
  std::function<void()> closed_;
};

}  // namespace courier::admin
