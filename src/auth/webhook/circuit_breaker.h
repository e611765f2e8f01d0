// Leaves an endpoint alone that fails again and again. Pure: the time is an argument. Owned by whoever guards
// it.
//
//            failures_max in a row                 open_ns passed
//   closed ------------------------> open ---------------------------> half-open
//     ^                               ^                                  |   |
//     |                               +------- the one request fails ----+   |
//     +---------------------------------- the one request is answered -------+
//
// Half-open lets one request through, no other until that one has ended. A request that began before it
// opened may end later: an answer closes it, a failure changes nothing that is open already.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace courier::auth::webhook {

class CircuitBreaker {
 public:
  enum class State : uint8_t { closed, open, half_open };

  CircuitBreaker(uint32_t failures_max, MonoNs open_ns) : failures_max_(failures_max), open_ns_(open_ns) {}

  // Whether a request may be made now.
  bool admit(MonoNs now) {
    switch (state_) {
      case State::closed:
        return true;
      case State::open:
        if (now < until_) return false;
        state_ = State::half_open;
        return true;
      case State::half_open:
        return false;
    }
    return false;
  }
  void answered() {
    state_ = State::closed;
    failures_ = 0;
  }
  void failed(MonoNs now) {
    switch (state_) {
      case State::closed:
        if (++failures_ < failures_max_) return;
        break;
      case State::open:
        return;
      case State::half_open:
        break;
    }
    state_ = State::open;
    until_ = now + open_ns_;
  }
  // Nobody waits for the answer any more: another may try.
  void abandoned(MonoNs now) {
    if (state_ != State::half_open) return;
    state_ = State::open;
    until_ = now;
  }
  State state() const { return state_; }

 private:
  uint32_t failures_max_;
  MonoNs open_ns_;
  State state_ = State::closed;
  uint32_t failures_ = 0;  // in a row
  MonoNs until_ = 0;       // when open: then one request may try
};

}  // namespace courier::auth::webhook
