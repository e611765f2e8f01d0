#include "process.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "exit_code.h"

namespace courier::courierd {

namespace {

sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

}  // namespace

void take_signals() {
  const sigset_t set = awaited();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

Signal next_signal(std::chrono::nanoseconds timeout) {
  const sigset_t set = awaited();
  timespec wait{};
  wait.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  wait.tv_nsec = (timeout % std::chrono::seconds(1)).count();
  switch (::sigtimedwait(&set, nullptr, &wait)) {
    case SIGTERM:
    case SIGINT:
      return Signal::stop;
    case SIGHUP:
      return Signal::hang_up;
    default:
      return Signal::none;
  }
}

struct Deadline::Waiter {
  std::mutex mutex;
  std::condition_variable wake;
  bool done = false;  // guarded by mutex
  std::thread thread;
};

Deadline::Deadline(std::chrono::milliseconds limit) : waiter_(new Waiter) {
  waiter_->thread = std::thread([waiter = waiter_, limit] {
    std::unique_lock lock(waiter->mutex);
    if (waiter->wake.wait_for(lock, limit, [&] { return waiter->done; })) return;
    log::warn("stopped before all was written: drain_timeout; nothing acknowledged is lost",
              {{"drain_timeout_ms", limit.count()}});
    log::shutdown();
    ::_exit(kStopped);
  });
}

Deadline::~Deadline() {
  {
    const std::lock_guard lock(waiter_->mutex);
    waiter_->done = true;
  }
  waiter_->wake.notify_all();
  waiter_->thread.join();
  delete waiter_;
}

}  // namespace courier::courierd
