#include "events/dispatcher.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/log.h"

namespace courier::events {
namespace {

constexpr size_t kEventsAtOnce = 4096;
constexpr size_t kBytesAtOnce = 1 << 20;
// With a sink, and not done with: one that cannot tell of one client goes on with the others so far.
constexpr size_t kGivenMax = 64 * 1024;
constexpr size_t kGivenBytesMax = 64 << 20;
// What comes in a crowd is told together: a wake-up for each would cost more than the telling.
constexpr int64_t kLingerMs = 5;
constexpr int64_t kIdleMs = 500;
constexpr int64_t kRetryMsMin = 100, kRetryMsMax = 30'000;

}  // namespace

Dispatcher::Dispatcher(Outbox& outbox, Outbox::SinkIndex index, Kinds kinds, std::unique_ptr<Sink> sink,
                       Registry& metrics)
    : outbox_(outbox),
      index_(index),
      name_(outbox.sinks()[index]),
      kinds_(kinds),
      sink_(std::move(sink)),
      told_total_(
          metrics.counter("courier_sink_events_total", "Events that the sink was told.", {{"sink", name_}})),
      failures_(
          metrics.counter("courier_sink_failures_total",
                          "Attempts to tell the sink something that failed, and were or will be repeated.",
                          {{"sink", name_}})),
      tell_seconds_(metrics.histogram("courier_sink_tell_seconds",
                                      "How long the sink took to make what it was told safe.",
                                      {{"sink", name_}})) {
  metrics.gauge_callback("courier_sink_ok", "1; 0 while the sink cannot be told anything.", {{"sink", name_}},
                         [this] {
                           const std::lock_guard lock(mutex_);
                           return trouble_.empty() ? 1.0 : 0.0;
                         });
}

Dispatcher::~Dispatcher() {
  stop();
}

void Dispatcher::start(bool active) {
  active_ = active;
  thread_ = std::thread([this] { run(); });
}

void Dispatcher::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  sink_->stop();
  outbox_.stop();
  thread_.join();
}

SinkState Dispatcher::state() const {
  const std::lock_guard lock(mutex_);
  return {name_, active_, outbox_.told(index_), told_, missed_, trouble_};
}

bool Dispatcher::wait_a_while(int64_t milliseconds) {
  std::unique_lock lock(mutex_);
  stopped_.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return stopping_.load(); });
  return !stopping_;
}

void Dispatcher::run() {
  int64_t retry_ms = kRetryMsMin;
  while (!stopping_) {
    look_who_tells();
    const Position newest = outbox_.newest();
    const Load load = next();
    if (load.noted.empty() && load.events.empty() && given_.empty() && !sink_->busy()) {
      if (load.up_to > cursor_) {  // nothing that this sink is told
        read_ = load.up_to;
        finish(0);
        continue;
      }
      idle_up_to_ = std::max(cursor_, newest).value;
      outbox_.wait(was_active_ ? cursor_ : Position(UINT64_MAX), noted_cursor_, kIdleMs);
      if (!wait_a_while(kLingerMs)) return;
      continue;
    }
    if (tell(load)) {
      retry_ms = kRetryMsMin;
      continue;
    }
    given_.clear();
    given_bytes_ = 0;
    read_ = cursor_;
    if (!wait_a_while(retry_ms)) return;
    retry_ms = std::min(2 * retry_ms, kRetryMsMax);
  }
}

void Dispatcher::look_who_tells() {
  const Position told = outbox_.told(index_);
  if (active_ == was_active_) {
    // Another node told it before this one owned it.
    if (was_active_ && given_.empty()) read_ = cursor_ = std::max(cursor_, told);
    return;
  }
  was_active_ = active_;
  sink_->forget();
  given_.clear();
  given_bytes_ = 0;
  read_ = cursor_ = told;
}

Dispatcher::Load Dispatcher::next() {
  Load load;
  load.up_to = read_;
  for (EventPtr& event : outbox_.read_noted(noted_cursor_, kEventsAtOnce)) {
    missed_ += event->position.value - noted_cursor_ - 1;
    noted_cursor_ = event->position.value;  // those are not worth a second attempt
    if (kinds_.has(event->kind)) load.noted.push_back(std::move(event));
  }
  if (!was_active_ || given_.size() >= kGivenMax || given_bytes_ >= kGivenBytesMax) return load;
  auto events = outbox_.read(read_, kEventsAtOnce, kBytesAtOnce);
  if (!events) {
    trouble("what waits cannot be read: " + events.error().message);
    return load;
  }
  for (EventPtr& event : *events) {
    load.up_to = event->position;
    if (kinds_.has(event->kind)) load.events.push_back(std::move(event));
  }
  return load;
}

bool Dispatcher::tell(const Load& load) {
  read_ = load.up_to;
  for (const EventPtr& event : load.events) {
    given_.push_back({event->position, event->bytes.size()});
    given_bytes_ += event->bytes.size();
  }
  const MonoNs began = system_clock().mono_ns();
  const Result<Told> told = sink_->tell(load.noted, load.events);
  tell_seconds_.observe(static_cast<double>(system_clock().mono_ns() - began) * 1e-9);
  if (!told) {
    failures_.add();
    if (!stopping_) trouble(told.error().message);
    return false;
  }
  told_ += load.noted.size() + told->finished;
  told_total_.add(load.noted.size() + told->finished);
  finish(told->finished);
  trouble(told->trouble);
  return true;
}

// The sink is done with so many more.
void Dispatcher::finish(size_t count) {
  for (; count > 0; --count) {
    cursor_ = given_.front().position;
    given_bytes_ -= given_.front().bytes;
    given_.pop_front();
  }
  if (given_.empty()) cursor_ = read_;  // and what it is not told
  if (was_active_) outbox_.report(index_, cursor_);
}

void Dispatcher::trouble(const std::string& what) {
  std::string before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(trouble_, what);
  }
  if (before == what) return;
  if (what.empty()) {
    log::warn("a sink of events can be told again", {{"sink", name_}});
  } else {
    log::error("a sink of events cannot be told; its events wait, and nothing else does",
               {{"sink", name_}, {"why", what}});
  }
}

}  // namespace courier::events
