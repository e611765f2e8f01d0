// A worker as a process of its own: `PROGRAM load worker`, with a socket as its standard input.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "net/fd.h"

namespace courier::load {

// Killed and gone when this is; used on one thread.
class WorkerProcess {
 public:
  // `socket` becomes the child's. errc::unreachable.
  static Result<WorkerProcess> start(const std::string& program, net::Fd socket);
  WorkerProcess(WorkerProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;
  ~WorkerProcess();

  // Whether it has ended by itself meanwhile.
  bool ended();
  // Waits that long, at most, for it to end.
  void wait(int64_t milliseconds);

 private:
  explicit WorkerProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

}  // namespace courier::load
