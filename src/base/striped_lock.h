// A reader-writer lock for what is read all the time and written seldom: readers take one stripe each, the
// writer takes them all. Readers on different stripes touch no common cache line; readers on the same one
// share it without waiting.
//
// A reader is given its stripe once (next_stripe()) and keeps it. With more readers than stripes, two share
// one; a writer then waits for the moment when neither reads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <shared_mutex>

namespace courier {

class StripedLock {
 public:
  static constexpr uint32_t kStripes = 16;

  // Stripes in turn; any thread.
  static uint32_t next_stripe() {
    static std::atomic<uint32_t> next{0};
    return next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  }

  class Reading {
   public:
    Reading(StripedLock& lock, uint32_t stripe) : mutex_(lock.stripes_[stripe].mutex) {
      mutex_.lock_shared();
    }
    ~Reading() { mutex_.unlock_shared(); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    std::shared_mutex& mutex_;
  };

  class Writing {
   public:
    explicit Writing(StripedLock& lock) : lock_(lock) {
      for (auto& stripe : lock_.stripes_) stripe.mutex.lock();
    }
    ~Writing() {
      for (auto& stripe : lock_.stripes_) stripe.mutex.unlock();
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;

   private:
    StripedLock& lock_;
  };

 private:
  struct alignas(64) Stripe {
    std::shared_mutex mutex;
  };
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace courier
