// One sink's thread: takes what waits for it out of the outbox, and says how far it was told.
//
//   Outbox::read() --> Sink::tell() --> Outbox::report(), up to the first that the sink is not done with
//                        | error: what it is not done with again, after 0.1 s, twice as long each time,
//                          up to 30 s
//
// In a cluster one node tells a sink what stands in the log, the one that owns the sink's partition:
// set_active(). Best-effort events are told by the node that they happened at.
//
// A sink that is slow or away delays nobody: what it was not told waits in the outbox.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "events/outbox.h"
#include "events/sink.h"

namespace courier::events {

struct SinkState {
  std::string name;
  bool active = false;
  Position told;        // by this node, or as the log says
  uint64_t events = 0;  // told since the start
  uint64_t missed = 0;  // best-effort ones that it was too slow for
  std::string trouble;  // why it is not told more now; "": nothing is wrong
};

class Dispatcher {
 public:
  // All outlive it but the sink. `index`: of the sink in the outbox. `kinds`: what it is told.
  Dispatcher(Outbox& outbox, Outbox::SinkIndex index, Kinds kinds, std::unique_ptr<Sink> sink,
             Registry& metrics);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Once the outbox is restored.
  void start(bool active);
  // Any thread.
  void set_active(bool active) { active_ = active; }
  SinkState state() const;
  // Whether the sink was told all that there is.
  bool idle() const { return idle_up_to_.load() >= outbox_.newest().value; }
  // Ends the thread; what was not told by then is told by the next run.
  void stop();

 private:
  void run();
  // What is to be given next.
  struct Load {
    std::vector<EventPtr> noted, events;
    Position up_to;  // behind which nothing was looked at
  };
  void look_who_tells();
  Load next();
  bool tell(const Load& load);
  void finish(size_t count);
  void trouble(const std::string& what);
  bool wait_a_while(int64_t milliseconds);

  Outbox& outbox_;
  const Outbox::SinkIndex index_;
  const std::string name_;
  const Kinds kinds_;
  const std::unique_ptr<Sink> sink_;
  std::atomic<bool> active_{false}, stopping_{false};

  // The thread's.
  bool was_active_ = false;
  Position cursor_;  // the sink is done with all up to there
  Position read_;    // and was given what it is told up to there
  uint64_t noted_cursor_ = 0;
  struct Given {
    Position position;
    size_t bytes = 0;
  };
  std::deque<Given> given_;  // and not done with
  size_t given_bytes_ = 0;

  std::atomic<uint64_t> told_{0}, missed_{0};
  std::atomic<uint64_t> idle_up_to_{0};  // cursor_
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  std::string trouble_;  // guarded by mutex_
  Counter &told_total_, &failures_;
  Histogram& tell_seconds_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace courier::events
