// Publishers and subscribers with messages between them: pairs, fan-out, fan-in, shared groups, windows or a
// fixed rate; and sessions that are away while their messages come.
//
// Every message carries who sent it, its number among that publisher's and when it was sent. A number that
// comes twice, or out of order where order is promised, or does not come at all makes the run invalid.
#pragma once

#include <deque>
#include <vector>

#include "latencies.h"
#include "load_client.h"

namespace courier::bench {

// How destinations lie between publishers and subscribers.
enum class Shape : uint8_t { pairs, all, shared };

class Flow : public Load {
 public:
  Flow(const LoadOptions& options, Shape shape);

  // Connects everybody, runs for the time asked for, waits for what is under way; prints the figures.
  void run();
  // Subscribers leave, get their messages stored, and come back for them; prints the figures of both halves.
  void run_offline();
  // Messages for sessions that are away and stay away; prints what one costs, all that follows from it
  // included.
  void run_broadcast();

 private:
  struct Publisher {
    Peer peer;
    std::string packet;  // whole, but for packet id and payload
    uint32_t sent = 0;
    uint32_t acknowledged = 0;
    uint64_t delivered = 0;
    std::vector<uint32_t> next;  // per subscriber, where the order is promised
    std::vector<bool> seen;      // shared: which numbers came
  };
  struct Subscriber {
    Peer peer;
  };

  void on_frame(Peer& peer, const Frame& frame) override;
  void on_closed(Peer& peer) override;
  void on_delivery(Peer& peer, const Frame& frame);
  void on_acknowledged(Publisher& publisher);
  void send_one(Publisher& publisher, uint64_t as_of);
  void send_window(Publisher& publisher);
  bool complete(const Publisher& publisher) const;
  uint64_t send_due(uint64_t began);
  void measure(double seconds, bool counted);
  void drain(const char* what);
  void arrive_all();
  void arrive_subscribers(bool clean, bool subscribe);
  std::string filter_of(uint32_t subscriber) const;
  void leave();
  uint64_t patience_ends() const;
  double wait_until_quiet();

  const Shape shape_;
  const uint64_t copies_;  // deliveries of one message
  std::deque<Publisher> publishers_;
  std::deque<Subscriber> subscribers_;
  bool sending_ = false;
  bool away_ = false;  // nobody receives: a message is complete when it is acknowledged
  uint64_t due_sent_ = 0;
  uint64_t delivered_ = 0;
  Latencies latencies_;
};

}  // namespace courier::bench
