// Many timers on one thread, at the price of a list operation each: a hierarchical timer wheel.
//
// Owner: one thread. No clock inside: time comes as an argument, so the simulator can own it. No allocation:
// a timer is a TimerNode (24 bytes) inside the caller's object, which neither moves nor dies while armed.
//
// Precision. The wheel counts in ticks (1 ms unless told otherwise). A timer never fires early and fires at
// the first advance() at or after its time rounded up to a tick: precise enough for lingers. Keep-alives and
// expiries use arm_coarse(), which rounds up to 64 ticks: a million of them then share 16 moments a second
// instead of waking the thread a thousand times, and never cascade into the finest level.
//
// A connection does not re-arm its keep-alive for every packet: it notes the time, and looks when the timer
// fires.
//
// 1. advance(now) fires each timer at most once; one that is armed while it runs waits for the next
// advance().
// 2. Earlier ticks fire before later ones; within a tick the order is not defined.
// 3. While firing, any timer may be armed, cancelled or (when not armed) destroyed, the fired one included:
//    it is no longer armed when its turn comes.
// 4. next_due() is never later than the earliest timer. It may be earlier, when far timers must be moved to a
//    finer level; advance() at that time then fires nothing, and next_due() is later afterwards.
//
// Levels of 64 slots after Varghese & Lauck, "Hashed and Hierarchical Timing Wheels" (1987): the level of a
// timer is the highest 6-bit digit in which its tick differs from the present one. Eleven levels cover every
// 64-bit tick, so that there is no horizon to overflow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace courier::net {

class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  bool armed() const { return link_ != nullptr; }

 protected:
  ~TimerNode();  // CHECKs that it is not armed

 private:
  friend class TimerWheelCore;
  TimerNode* next_ = nullptr;
  TimerNode** link_ = nullptr;  // what points at this node
  uint64_t tick_ = 0;
};

// The wheel without the type of its timers. Use TimerWheel<T>.
class TimerWheelCore {
 public:
  static constexpr MonoNs kTickNs = 1'000'000;
  static constexpr uint64_t kCoarseTicks = 64;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The time at which advance() next has something to do; nullopt when no timer is armed. See 4 above.
  std::optional<MonoNs> next_due() const;

 protected:
  TimerWheelCore(MonoNs now, MonoNs tick_ns);
  ~TimerWheelCore();
  TimerWheelCore(const TimerWheelCore&) = delete;
  TimerWheelCore& operator=(const TimerWheelCore&) = delete;

  void arm(TimerNode& node, MonoNs due, uint64_t multiple);
  void cancel(TimerNode& node);
  void begin(MonoNs now);
  TimerNode* pop();  // the next timer to fire, already disarmed; nullptr when `now` is reached
  void end();

 private:
  static constexpr unsigned kDigitBits = 6;
  static constexpr unsigned kSlots = 1u << kDigitBits;
  static constexpr unsigned kLevels = 11;
  struct Level {
    uint64_t occupied = 0;  // bit s: slots[s] is not empty
    std::array<TimerNode*, kSlots> slots{};
  };
  struct Place {
    unsigned level, slot;
    uint64_t tick;  // when the slot's turn comes
  };

  void insert(TimerNode& node);
  void unlink(TimerNode& node);
  std::optional<Place> earliest() const;

  const MonoNs tick_ns_;
  uint64_t present_;     // every tick before this one is done
  uint64_t target_ = 0;  // of the advance() that runs
  bool advancing_ = false;
  size_t size_ = 0;
  TimerNode* firing_ = nullptr;  // what is left of the tick that fires
  std::array<Level, kLevels> levels_{};
};

// T derives from TimerNode, publicly and not virtually.
template <typename T>
class TimerWheel : public TimerWheelCore {
 public:
  explicit TimerWheel(MonoNs now, MonoNs tick_ns = kTickNs) : TimerWheelCore(now, tick_ns) {}

  // Arms, or re-arms at another time. A time that has passed fires at the next advance().
  void arm(T& timer, MonoNs due) { TimerWheelCore::arm(timer, due, 1); }
  // The same, up to 64 ticks late.
  void arm_coarse(T& timer, MonoNs due) { TimerWheelCore::arm(timer, due, kCoarseTicks); }
  // Nothing happens when it is not armed.
  void cancel(T& timer) { TimerWheelCore::cancel(timer); }

  // Calls fire(T&) for every timer due at `now` or before; returns how many. Does not nest. A `now` before an
  // earlier one is taken as that earlier one.
  template <typename Fire>
  size_t advance(MonoNs now, Fire&& fire) {
    size_t fired = 0;
    begin(now);
    while (TimerNode* node = pop()) {
      ++fired;
      fire(static_cast<T&>(*node));
    }
    end();
    return fired;
  }
};

}  // namespace courier::net
