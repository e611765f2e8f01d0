// Connections without messages: thousands that are there and say nothing, and a storm of them that come and
// go.
#pragma once

#include <deque>

#include "latencies.h"
#include "load_client.h"

namespace courier::bench {

// Memory and CPU of idle connections, each with a session and one subscription, keep-alive 60 s.
class Idle : public Load {
 public:
  using Load::Load;
  void run();

 private:
  void on_frame(Peer& peer, const Frame& frame) override;
  void arrive_some(size_t count);

  std::deque<Peer> peers_;
  uint64_t pongs_ = 0;
};

// As many connects as the broker takes: CONNECT, CONNACK, DISCONNECT, the next; a fixed number at a time.
class Storm : public Load {
 public:
  using Load::Load;
  void run();

 private:
  void on_frame(Peer& peer, const Frame& frame) override;
  void on_closed(Peer& peer) override;
  void begin(Peer& peer);

  struct Client {
    Peer peer;
    uint64_t began_ns = 0;
    bool answered = false;
  };
  std::deque<Client> clients_;
  bool going_ = false;
  uint32_t begun_ = 0;
  uint64_t connects_ = 0;
  Latencies latencies_;
};

}  // namespace courier::bench
