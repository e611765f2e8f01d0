// What was promised to the receivers of one worker, and what came. Judges from outside, exactly: lost,
// duplicated, out of order, damaged. Pure: times are arguments, in microseconds of one clock.
//
// A promise stands from the moment at which the publisher has its acknowledgement (QoS 0: a moment after
// sending, if its connection still stands); the message may arrive before. What is owed:
//
//   stored session, QoS 1 and 2     from SUBACK on, whoever is connected when, until the session ends
//   other sessions, or QoS 0        while connected, from SUBACK to the end of the connection
//
// A receiver is a client, or a shared subscription as a whole: then any of its members receives for it, and
// order is not asked of it. It is connected while one of its members is; and when one leaves, what was sent
// at QoS 0 may have gone to that one and is owed no longer. So it is with QoS 2 when the member's session
// ends with it: what was on its way to one may not be given to another (5.0, 4.8.2). Owned by the worker's
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "load/message_id.h"
#include "mqtt/protocol.h"

namespace courier::load {

class Ledger {
 public:
  // Receivers are numbered from 0.
  explicit Ledger(size_t receivers) : receivers_(receivers) {}

  // --- what a receiver may ask for ---
  struct Terms {
    bool stored = false;  // its session outlives connections; of a shared subscription: one member's does
    bool ordered = true;  // false: a shared subscription
    // Of a shared subscription: sessions of members end, when they leave or some time later.
    bool members_end = false;
    // Of a shared subscription: for how long the server may still send to a member that has left.
    int64_t lingers_us = 0;
  };
  void set_terms(uint32_t receiver, Terms terms) { receivers_[receiver].terms = terms; }
  // Its connection stands, and its subscriptions do.
  void subscribed(uint32_t receiver, int64_t now_us);
  // Its connection ended. What is owed to connections only is owed no longer.
  void gone(uint32_t receiver);
  // A member of a shared subscription left, and others stay.
  void member_left(uint32_t receiver, int64_t now_us);
  // Its stored session has expired while it was away, and with it all that it was owed.
  void session_ended(uint32_t receiver);

  // --- promises and arrivals ---
  enum class Promise : uint8_t {
    owed,     // it is awaited now
    kept,     // it had arrived
    not_owed  // the receiver was not there to be promised anything
  };
  // `qos` is the lower of the message's and the subscription's.
  Promise promise(uint32_t receiver, const MessageId& id, mqtt::Qos qos, int64_t sent_us);

  struct Arrival {
    bool duplicate = false;
    bool copy = false;  // for another of its subscriptions; the first has been counted
    bool out_of_order = false;
    bool kept = false;     // it was awaited
    bool excused = false;  // it had been promised to a connection that has ended
  };
  // A server may send a client one copy for each of its subscriptions that match (5.0, 3.3.4): `copies`
  // of them are no duplicates.
  Arrival arrived(uint32_t receiver, const MessageId& id, int64_t now_us, uint32_t copies = 1);
  // Whether it has arrived, as far back as that is remembered.
  bool has_arrived(uint32_t receiver, const MessageId& id) const;

  // --- looking back ---
  size_t awaited() const { return awaited_; }
  // Of these, those that were promised before that, to receivers that have been connected since before that
  // (connections that ended ask for nothing). By stage, as awaited_by_present().
  std::vector<uint32_t> overdue(int64_t promised_before_us, std::span<const int64_t> began_us) const;
  // Promises to receivers that are away now: nobody can say yet.
  size_t awaited_by_absent() const;
  // What is awaited by receivers that are there, by when it was due: the n-th number is of the time from the
  // n-th beginning on, up to the next. Beginnings are in order.
  std::vector<uint32_t> awaited_by_present(std::span<const int64_t> began_us) const;
  // Forgets arrivals that were never promised (their publisher got no acknowledgement) and are older; and
  // what was owed to connections that ended: when each of these was due.
  std::vector<int64_t> tidy(int64_t arrived_before_us);
  // For a report of what is missing to those that are there: at most `count`.
  struct Missing {
    uint32_t receiver = 0;
    MessageId id;
    int64_t sent_us = 0;
  };
  std::vector<Missing> missing(size_t count) const;

 private:
  struct StreamKey {
    uint32_t receiver = 0, publisher = 0, stream = 0;
    uint32_t copy = 0;  // of those for overlapping subscriptions
    bool operator==(const StreamKey&) const = default;
  };
  struct MessageKey {
    StreamKey stream;
    uint32_t sequence = 0;
    bool operator==(const MessageKey&) const = default;
  };
  struct Hash {
    size_t operator()(const StreamKey& key) const;
    size_t operator()(const MessageKey& key) const;
  };
  // The latest sequences that arrived: the highest, and which of the 64 below it.
  struct Stream {
    uint32_t highest = 0;
    uint64_t below = 0;
    bool has(uint32_t sequence) const;
    void add(uint32_t sequence);
  };
  // What ends an obligation.
  enum Until : uint8_t { member_leaves, connection_ends, session_ends };
  struct Message {
    int64_t at_us = 0;  // sent, or, when early, arrived
    int64_t due_us = 0;
    bool early = false;     // arrived and not promised yet
    Until until{};          // it is owed until this happens
    uint32_t instance = 0;  // of the receiver's, of that kind
  };
  struct Receiver {
    Terms terms;
    bool connected = false;
    // By Until: how often that has happened, and how much is owed until it happens again.
    std::array<uint32_t, 3> instance{}, awaited{};
    int64_t owed_since_us = INT64_MAX;  // other sessions than stored ones: while connected
    int64_t connected_at_us = 0;
    int64_t member_left_us = INT64_MIN / 2;
  };

  // What it was owed until has happened: nobody asks for it any more, and it goes when somebody comes by.
  bool is_void(const Receiver& r, const Message& m) const {
    return !m.early && m.instance != r.instance[m.until];
  }
  // What is owed until then is owed no longer.
  void happened(Receiver& r, Until what);
  static void count(std::vector<uint32_t>& counts, std::span<const int64_t> began_us, int64_t due_us);

  std::vector<Receiver> receivers_;
  boost::unordered_flat_map<StreamKey, Stream, Hash> streams_;
  boost::unordered_flat_map<MessageKey, Message, Hash> messages_;
  size_t awaited_ = 0;
};

}  // namespace courier::load
