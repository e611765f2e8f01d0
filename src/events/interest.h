// Which events somebody wants. Shards ask before they write one, so that what nobody reads costs a load and a
// branch.
//
// Any thread; set rarely, by whoever configures sinks or watches.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "events/catalogue/catalogue.h"
#include "mqtt/message.h"

namespace courier::events {

class Interest {
 public:
  Interest() {
    for (auto& each : thresholds_) each.store(kAll, std::memory_order_relaxed);
  }

  bool wants(Kind kind) const {
    return (kinds_.load(std::memory_order_relaxed) >> static_cast<uint8_t>(kind) & 1) != 0;
  }
  bool wants_any() const { return kinds_.load(std::memory_order_relaxed) != 0; }
  // The same answer for all events about one message, at all nodes.
  bool wants(Kind kind, const mqtt::Message& message) const { return wants(kind) && sampled(message); }
  bool wants_payloads() const { return payloads_.load(std::memory_order_relaxed); }

  // What sinks are told.
  void set(Kinds kinds, bool payloads) {
    told_ = kinds;
    payloads_.store(payloads, std::memory_order_relaxed);
    store();
  }
  // What somebody watches besides, all of them together. One thread, and set() before it.
  void watch(Kinds kinds) {
    watched_ = kinds;
    store();
  }
  // Of messages with that label only so many, 0 to 1.
  void sample(uint8_t label, double part);

 private:
  static constexpr uint32_t kAll = UINT32_MAX;
  bool sampled(const mqtt::Message& message) const {
    const uint32_t threshold = thresholds_[message.label].load(std::memory_order_relaxed);
    return threshold == kAll || hash_of(message) < threshold;
  }
  static uint32_t hash_of(const mqtt::Message& message);
  void store() {
    Kinds all = told_;
    all |= watched_;
    kinds_.store(all.bits(), std::memory_order_relaxed);
  }

  Kinds told_, watched_;

  std::atomic<uint32_t> kinds_{0};
  std::atomic<bool> payloads_{false};
  std::array<std::atomic<uint32_t>, 256> thresholds_;
};

}  // namespace courier::events
