// What the process as a whole asks of the kernel: signals, and an end in time.
#pragma once

#include <chrono>
#include <cstdint>

namespace courier::courierd {

// Blocks the signals that next_signal() waits for, and ignores SIGPIPE. Before any other thread starts: they
// inherit it, so that every signal comes to the main thread, between two statements of its own.
void take_signals();

enum class Signal : uint8_t { none, stop, hang_up };
// Waits for a signal, at most `timeout`.
Signal next_signal(std::chrono::nanoseconds timeout);

// Ends the process after `limit` whatever the other threads do; for a drain that the disk does not let
// finish. Nothing acknowledged is lost by that. `done` by destruction.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds limit);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  struct Waiter;
  Waiter* waiter_;
};

}  // namespace courier::courierd
