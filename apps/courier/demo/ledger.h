// What became of every order: written by the backend and the phones, judged at the end.
//
// An order has one entry for each phone of its merchant, since each is to show it. Pure: times come from
// outside. Owned by the demo's thread.
//
// 1. Lost is what the broker had acknowledged to the backend and a phone has not shown, or whose answer the
//    backend does not have: nothing else.
// 2. Showing an order again, or hearing its answer again, changes no count but `duplicates`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "courier/demo/orders.h"

namespace courier::cli::demo {

struct Counts {
  uint64_t published = 0;    // given to the client library
  uint64_t sent = 0;         // acknowledged by the broker to the backend
  uint64_t refused = 0;      // the broker said no
  uint64_t expected = 0;     // showings that the sent orders call for
  uint64_t delivered = 0;    // showings, each (order, phone) once
  uint64_t acked = 0;        // answers that the backend has, each once
  uint64_t shown_again = 0;  // QoS 1 may
  uint64_t acked_again = 0;
  uint64_t strays = 0;  // an order at a phone of another merchant, or one that nobody published
};

struct Latencies {
  std::vector<MonoNs> connected;  // the phone was connected all the while
  std::vector<MonoNs> all;
};

class Ledger {
 public:
  // With fewer phones than merchants a phone serves several; with more, a merchant has several phones.
  Ledger(const Orders& orders, size_t phones);

  // The phones of a merchant, and where its entries begin.
  const std::vector<uint32_t>& phones_of(size_t merchant) const { return phones_of_[merchant]; }
  const std::vector<uint32_t>& merchants_of(size_t phone) const { return merchants_of_[phone]; }

  // `connection` of a phone names its present connection, 0 when it is away.
  void published(size_t order, MonoNs scheduled, const std::vector<uint32_t>& connections);
  void sent(size_t order);
  void refused(size_t order);
  // False for a stray. `connection` is the one that the order came on.
  bool shown(size_t phone, const std::string& id, MonoNs now, uint32_t connection);
  bool acked(size_t phone, const std::string& id);

  const Counts& counts() const { return counts_; }
  // Sent, and not yet answered by all its phones: what a crash could lose.
  uint64_t promised() const { return counts_.expected - acked_of_sent_; }
  bool complete() const;
  // Of the sent ones; known once it is complete() or nothing comes any more.
  uint64_t lost() const;
  std::vector<std::string> lost_ids(size_t most) const;

  const Latencies& before_crash() const { return before_crash_; }
  const Latencies& after_crash() const { return after_crash_; }
  void crash() { crashed_ = true; }

 private:
  struct Entry {
    bool shown = false, acked = false;
    uint32_t connection = 0;  // of the phone when the order was published
  };
  struct Fate {
    size_t entries = 0;  // the first one; as many follow as the merchant has phones
    MonoNs scheduled = 0;
    bool published = false, sent = false;
  };
  Entry* find(size_t phone, const std::string& id, size_t& order);

  const Orders& orders_;
  std::unordered_map<std::string_view, size_t> by_id_;
  std::vector<std::vector<uint32_t>> phones_of_, merchants_of_;
  std::vector<Fate> fates_;
  std::vector<Entry> entries_;
  Counts counts_;
  uint64_t acked_of_sent_ = 0;
  Latencies before_crash_, after_crash_;  // by when they were shown
  bool crashed_ = false;
};

// The value that `share` (0.5, 0.99) of them do not exceed; 0 of none.
MonoNs percentile(std::vector<MonoNs> values, double share);

}  // namespace courier::cli::demo
