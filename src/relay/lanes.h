// The order in which events go out. A client's events go by one lane, in their order; a lane has one request
// under way, and lanes do not wait for each other.
//
//             begin                     taken
//   idle ──────────────> sending ───────────────────────────> idle
//                        │  │ refused, of several             idle: each then goes alone
//                        │  │ refused, of one; tried enough
//                  retry │  └───────────────> burying ──all buried──> idle
//                        v                     │    ^
//                      pausing <───not buried──┘    │
//                        └── due: sending, or burying again
//
// What is no event goes from idle to burying. Without a place for the dead, refused is retry.
//
// Sans I/O: what is to be done goes out by the port Hands, answers come back by answered() and buried(), and
// time is an argument. Owned by one thread.
//
// 1. An event leaves only as finished, or by drop().
// 2. Of a lane's events none is sent before an earlier one has left.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kafka/group.h"
#include "relay/outcome.h"
#include "relay/request_maker.h"
#include "relay/settings.h"

namespace courier::relay {

// A partition as long as it is ours; shared by its events, of which some may still be under way when it is
// not.
struct Track;
using TrackPtr = std::shared_ptr<Track>;

// One message on its way.
struct Parcel {
  kafka::Message message;
  TrackPtr track;
  TargetPtr target;  // null: it cannot be sent, and `unfit` says why
  std::string unfit;
  MonoNs arrived_at = 0;
  size_t bytes = 0;
  uint64_t number = 0;  // given by offer()
  bool alone = false;   // it was in a batch that was refused
  bool left = false;    // while others of its flight are being buried
};

// Why an event is buried.
struct Cause {
  std::string_view reason;  // refused, tried, unfit
  int status = 0;
  std::string why;
};

struct LaneRules {
  size_t lanes = 1;
  MonoNs linger_ns = 0;
  MonoNs retry_first_ns = 0, retry_max_ns = 0;
  uint32_t attempts = 0;  // 0: for ever
  bool may_bury = false;
  size_t batch_bytes_max = 0;
};

class Lanes {
 public:
  // What lanes have done for them. Called from within run(), answered() and buried().
  class Hands {
   public:
    virtual ~Hands() = default;
    // Answered by answered(lane, …), once, later.
    virtual void send(size_t lane, http::Request request) = 0;
    // Answered by buried(lane, number, …), once, later.
    virtual void bury(size_t lane, const Parcel& parcel, const Cause& cause) = 0;
    // `buried`: why, or null: it was taken.
    virtual void finished(const Parcel& parcel, const Cause* buried) = 0;
    // The lane will try again in so long.
    virtual void retrying(size_t lane, const Outcome& outcome, MonoNs wait_ns) = 0;
    virtual bool is_live(const Track& track) const = 0;
  };
  enum class State : uint8_t { idle, sending, pausing, burying };

  Lanes(const LaneRules& rules, const RequestMaker& maker, Format format, Hands& hands, uint64_t seed);

  void offer(Parcel parcel);
  // Sends what is due.
  void run(MonoNs now);
  // When run() has something to do; nothing: when something is offered or comes back.
  std::optional<MonoNs> due() const;
  void answered(size_t lane, const Outcome& outcome, MonoNs now);
  void buried(size_t lane, uint64_t number, const Result<void>& done, MonoNs now);
  // Forgets what waits of partitions that are no longer live; what is under way then counts for nothing.
  void drop();
  // Nothing new is begun from then on.
  void stop() { stopping_ = true; }

  size_t events() const { return events_; }  // that have not left
  size_t bytes() const { return bytes_; }
  size_t under_way() const;  // lanes that wait for an answer
  State state(size_t lane) const { return lanes_[lane].state; }

 private:
  struct Lane {
    State state = State::idle;
    std::deque<Parcel> waiting;
    size_t waiting_bytes = 0;
    std::vector<Parcel> flight;  // empty in idle
    size_t unburied = 0;         // of the flight, that no word has come of
    std::optional<Cause> cause;  // set: the flight is to be buried
    std::string trouble;         // why something could not be buried
    unsigned failures = 0;
    MonoNs due = 0;  // while pausing
  };
  size_t lane_of(const Parcel& parcel) const;
  std::optional<MonoNs> due(const Lane& lane) const;
  void begin(Lane& lane, MonoNs now);
  bool keep_live(Lane& lane);
  void put_back(Lane& lane, size_t from);
  void send(Lane& lane);
  void bury(Lane& lane, Cause cause, MonoNs now);
  void pause(Lane& lane, const Outcome& outcome, MonoNs now);
  void leave(Lane& lane);
  void forget(const Parcel& parcel);
  size_t number_of(const Lane& lane) const { return static_cast<size_t>(&lane - lanes_.data()); }

  const LaneRules rules_;
  const RequestMaker& maker_;
  const Format format_;
  Hands& hands_;
  std::mt19937_64 random_;
  std::vector<Lane> lanes_;
  size_t events_ = 0, bytes_ = 0;
  uint64_t last_number_ = 0;
  bool stopping_ = false;
};

}  // namespace courier::relay
