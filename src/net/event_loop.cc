#include "net/event_loop.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

#include "base/check.h"
#include "net/errc.h"

namespace courier::net {

Result<std::unique_ptr<EventLoop>> EventLoop::open() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail(system_error("cannot create an epoll instance", errno));
  Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail(system_error("cannot create an eventfd", errno));
  epoll_event wanted{};
  // Edge-triggered: each write to the eventfd wakes anew, although its counter is never read back to 0.
  wanted.events = EPOLLIN | EPOLLET;
  wanted.data.ptr = nullptr;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &wanted) != 0) {
    return fail(system_error("cannot watch an eventfd", errno));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(event)));
}

Result<void> EventLoop::add(int fd, Handler& handler, uint32_t interest) {
  epoll_event wanted{};
  wanted.events = interest;
  wanted.data.ptr = &handler;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &wanted) != 0) {
    const int number = errno;
    CHECK(number != EBADF && number != EEXIST && number != EINVAL);
    if (number == ENOSPC) {
      return fail(
          errc::out_of_resources,
          "cannot watch one more connection: fs.epoll.max_user_watches is reached; raise it by sysctl");
    }
    return fail(system_error("cannot watch one more connection", number));
  }
  return {};
}

void EventLoop::modify(int fd, Handler& handler, uint32_t interest) {
  epoll_event wanted{};
  wanted.events = interest;
  wanted.data.ptr = &handler;
  // Changing what is registered needs no memory: it fails only for a descriptor that is not.
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &wanted) == 0);
}

void EventLoop::remove(int fd, Handler& handler) {
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
  forget(handler);
}

void EventLoop::forget(Handler& handler) {
  // What this run has reported but not yet dispatched must not reach a handler that may be gone by then, nor
  // a new one that was allocated at the same address.
  for (size_t i = next_; i < count_; ++i) {
    if (events_[i].data.ptr == &handler) events_[i].data.ptr = nullptr;
  }
}

int EventLoop::wait(MonoNs timeout_ns) {
  const int room = static_cast<int>(events_.size());
  if (precise_) {
    timespec timeout{};
    timeout.tv_sec = timeout_ns / kNsPerSecond;
    timeout.tv_nsec = timeout_ns % kNsPerSecond;
    const int count =
        ::epoll_pwait2(epoll_.get(), events_.data(), room, timeout_ns < 0 ? nullptr : &timeout, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    precise_ = false;  // a kernel before 5.11: milliseconds, rounded up so that no timer comes early
  }
  const MonoNs ms = timeout_ns < 0 ? -1 : std::min<MonoNs>((timeout_ns + kNsPerMs - 1) / kNsPerMs, INT_MAX);
  return ::epoll_wait(epoll_.get(), events_.data(), room, static_cast<int>(ms));
}

size_t EventLoop::run_once(MonoNs timeout_ns) {
  CHECK(!dispatching_);
  if (timeout_ns != 0) {
    uint32_t awake = kAwake;
    // Fails when somebody called wake() since the last run: then there is something to do already.
    if (!state_.compare_exchange_strong(awake, kSleeping, std::memory_order_acq_rel)) timeout_ns = 0;
  }
  const int count = wait(timeout_ns);
  // Acquires what was posted before each wake() so far; later ones set kNotified again.
  state_.exchange(kAwake, std::memory_order_acq_rel);
  if (count < 0) {
    CHECK(errno == EINTR);
    return 0;
  }

  dispatching_ = true;
  count_ = static_cast<size_t>(count);
  next_ = 0;
  size_t called = 0;
  while (next_ < count_) {
    const epoll_event event = events_[next_++];
    if (event.data.ptr == nullptr) continue;  // the eventfd, or a handler removed meanwhile
    uint32_t ready = event.events & (kReadable | kWritable);
    if (event.events & (EPOLLHUP | EPOLLERR)) ready |= kHangup;
    static_cast<Handler*>(event.data.ptr)->on_events(ready);
    ++called;
  }
  count_ = next_ = 0;
  dispatching_ = false;
  return called;
}

void EventLoop::wake() noexcept {
  if (state_.exchange(kNotified, std::memory_order_acq_rel) != kSleeping) return;
  wake_calls_.fetch_add(1, std::memory_order_relaxed);
  const uint64_t one = 1;
  // Cannot fail short of 2^64 wake-ups.
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

}  // namespace courier::net
