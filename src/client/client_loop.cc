#include "client/client_loop.h"

#include <algorithm>

#include "client/client.h"

namespace courier::client {

namespace {

constexpr MonoNs kCoarseNs = 64 * kNsPerMs;

constexpr MonoNs rounded_up(MonoNs time, MonoNs to) {
  return (time + to - 1) / to * to;
}

}  // namespace

Result<std::unique_ptr<ClientLoop>> ClientLoop::open(uint64_t seed, const Clock& clock) {
  auto events = net::EventLoop::open();
  if (!events) return fail(events.error());
  return std::unique_ptr<ClientLoop>(new ClientLoop(std::move(*events), seed, clock));
}

ClientLoop::ClientLoop(std::unique_ptr<net::EventLoop> events, uint64_t seed, const Clock& clock)
    : clock_(clock),
      now_(clock.mono_ns()),
      events_(std::move(events)),
      timers_(now_, kTickNs),
      posted_(*events_),
      read_buffer_(kReadSize),
      random_(seed) {}

void ClientLoop::run_once(MonoNs timeout_ns) {
  now_ = clock_.mono_ns();
  flush();
  if (const auto due = timers_.next_due()) {
    const MonoNs wait = std::max<MonoNs>(0, *due - now_);
    if (timeout_ns < 0 || wait < timeout_ns) timeout_ns = wait;
  }
  events_->run_once(timeout_ns);
  now_ = clock_.mono_ns();
  if (posted_.drain(work_)) {
    for (auto& work : work_) work();
    work_.clear();
  }
  timers_.advance(now_, [](Timer& timer) { timer.fire_(); });
  flush();
}

void ClientLoop::run() {
  while (!stopped()) run_once();
}

void ClientLoop::stop() {
  stopped_.store(true, std::memory_order_relaxed);
  events_->wake();
}

void ClientLoop::arm(Timer& timer, int64_t delay_ms) {
  timers_.arm(timer, rounded_up(clock_.mono_ns() + delay_ms * kNsPerMs, kNsPerMs));
}

void ClientLoop::arm_coarse(Timer& timer, MonoNs due) {
  timers_.arm(timer, rounded_up(due, kCoarseNs));
}

void ClientLoop::clear_wire() {
  wire_.clear();
  if (wire_.capacity() > kWriteBufferSizeMax) wire_.shrink_to_fit();
}

// A client that fails while flushing tells its handler, which may make others write: hence by index, and the
// list may grow meanwhile.
void ClientLoop::flush() {
  for (size_t i = 0; i < to_flush_.size(); ++i) {
    Client* client = std::exchange(to_flush_[i], nullptr);
    if (client == nullptr) continue;  // it has lost its connection meanwhile
    client->flush_place_ = Client::kNoPlace;
    client->flush();
  }
  to_flush_.clear();
}

}  // namespace courier::client
