// What one run of bench_load is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace courier::bench {

struct LoadOptions {
  std::string mode;
  uint16_t port = 0;
  int broker_pid = 0;  // whose CPU time and memory are read; 0: nobody's
  size_t publishers = 1;
  size_t subscribers = 1;
  unsigned qos = 0;
  unsigned window = 1;  // messages that a publisher sends at once; it waits for all before the next
  double rate = 0;      // messages a second of all publishers together, whatever comes back; 0: windows
  bool persistent = false;
  size_t payload_bytes = 64;
  double seconds = 2;
  double warmup_s = 0.5;
  double wait_s = 15;      // for what is under way, before it counts as lost
  size_t messages = 100;   // offline: for each session
  size_t connections = 0;  // idle and storm: how many; a storm's are open at the same time
};

}  // namespace courier::bench
