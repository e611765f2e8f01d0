// The generator's connections: sockets on one epoll, read once and written once a turn, in one thread.
//
// A run derives from Load, says what its peers send, and hears every packet that arrives in on_frame(). What
// a turn's packets lead to is gathered in the peers' buffers and leaves at the turn's end, one send a peer: a
// generator that wrote more often would make a broker read more often.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "load_options.h"
#include "wire.h"

namespace courier::bench {

struct Peer {
  int fd = -1;
  uint32_t index = 0;  // among those of its kind
  bool subscriber = false;
  bool dirty = false;
  bool blocked = false;
  Buffer partial;
  Buffer out;
};

// Says what is wrong and ends the process: a run that went wrong has no figures.
[[noreturn]] void fail(const std::string& what);

inline constexpr uint64_t kMillisecond = 1'000'000;  // in nanoseconds

uint64_t now_ns();

// What the broker's process used of the machine, all threads that ever were.
struct BrokerUse {
  double cpu_us = 0;
  double rss_bytes = 0;
};
BrokerUse broker_use(int pid);

class Load {
 public:
  explicit Load(const LoadOptions& options);
  virtual ~Load() = default;
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 protected:
  virtual void on_frame(Peer& peer, const Frame& frame) = 0;
  virtual void on_closed(Peer& peer);  // by the broker; ends the run unless it is expected

  // Opens the peer's socket. Source addresses take turns, so that ports last for many.
  void open(Peer& peer);
  void close_peer(Peer& peer);
  void write(Peer& peer, std::string_view bytes);
  void will_write(Peer& peer);
  // Waits for sockets, hears what came, writes what is due. now_ is the time of its packets.
  void turn(uint64_t timeout_ns);
  void turns_for(double seconds);

  // A whole connect: opened, CONNECT, and with a filter SUBSCRIBE, answered. 64 of them go in step.
  struct Arrival {
    Peer* peer;
    std::string client_id;
    std::string filter;
  };
  void arrive(const std::vector<Arrival>& arrivals, bool clean, unsigned qos);

  const LoadOptions options_;
  uint64_t now_ = 0;

 private:
  void read(Peer& peer);
  void flush(Peer& peer);

  int epoll_;
  std::vector<uint8_t> read_buffer_;
  std::vector<Peer*> dirty_;
  size_t answers_missing_ = 0;
  uint32_t opened_ = 0;
};

}  // namespace courier::bench
