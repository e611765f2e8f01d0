// What `courier doctor` knows of a machine: plain values, each of which may be unknown, and then says why.
//
// machine_facts.h fills them from /proc and /sys, disk_facts.h from the data directory; diagnosis.h judges
// them. Nothing here reads or judges anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "config/control_group.h"

namespace courier::cli::doctor {

// A value, or why it is unknown: "/proc/sys/fs/nr_open: Permission denied".
template <typename T>
class Fact : public tl::expected<T, std::string> {
 public:
  using tl::expected<T, std::string>::expected;
  Fact() : tl::expected<T, std::string>(tl::unexpect, "not looked at") {}
};
using Unknown = tl::unexpected<std::string>;

using config::kNoLimit;

struct OpenFiles {
  uint64_t soft = 0, hard = 0;
};

// courierd, running.
struct RunningNode {
  uint64_t pid = 0;
  Fact<OpenFiles> open_files;
  Fact<config::ControlGroup> group;
};

struct Conntrack {
  uint64_t entries_max = 0, entries = 0;
};

struct PortRange {
  uint32_t first = 0, last = 0;  // both are in it
  uint32_t size() const { return last - first + 1; }
  bool contains(uint32_t port) const { return port >= first && port <= last; }
};

// net.ipv4.tcp_mem in pages; tcp_rmem and tcp_wmem in bytes.
struct Triple {
  uint64_t low = 0, middle = 0, high = 0;
};

struct TcpCounters {  // since the boot
  uint64_t accept_queue_full = 0, memory_pressures = 0;
};

struct MachineFacts {
  Fact<std::string> kernel;
  bool container = false;
  uint64_t page_bytes = 4096;

  Fact<uint64_t> cores;  // that this process may run on
  Fact<uint64_t> memory_bytes, swap_bytes, commit_limit_bytes, committed_bytes;
  Fact<uint64_t> overcommit;
  Fact<config::ControlGroup> group;  // of this process

  Fact<OpenFiles> open_files;                // of this process
  std::vector<RunningNode> nodes;            // every courierd there is
  std::optional<Fact<uint64_t>> unit_files;  // LimitNOFILE of the systemd unit, if there is a unit
  Fact<uint64_t> files_per_process_max, files_max, files_now, epoll_watches_max;

  Fact<uint64_t> somaxconn, syn_cookies, syn_backlog;
  std::optional<Fact<Conntrack>> conntrack;  // none: not loaded
  Fact<PortRange> local_ports;
  Fact<std::vector<PortRange>> reserved_ports;
  Fact<Triple> tcp_memory, receive_buffer, send_buffer;
  Fact<TcpCounters> tcp_counters;

  Fact<bool> clock_synchronised;
};

struct Mount {
  std::string point, type, options;  // options of the mount and of the file system, joined with commas
  bool has_option(std::string_view name) const;
};

struct SyncTimes {
  uint64_t count = 0;
  double p50_ms = 0, p99_ms = 0;
};

struct DiskFacts {
  std::string data_dir;
  std::string looked_at;  // data_dir, or the nearest folder above it that exists
  Fact<Mount> mount;
  Fact<uint64_t> free_bytes;  // for whoever asks, not for root alone
  Fact<SyncTimes> syncs;
};

}  // namespace courier::cli::doctor
