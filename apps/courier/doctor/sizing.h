// What a connection, a session and a filter cost, and what follows for many of them. Pure arithmetic.
//
// The one place for these constants. They are the measured figures of docs/operations/performance.md
// ("Memory") and docs/operations/tuning.md, a little rounded up: whoever measures anew changes them here and
// there.
#pragma once

#include <cstdint>

namespace courier::cli::doctor {

// Resident memory of courierd, each.
inline constexpr uint64_t kCleanConnectionBytes = 850;     // idle, clean session, one filter
inline constexpr uint64_t kStoredConnectionBytes = 1'370;  // the same with a stored session
inline constexpr uint64_t kSleepingSessionBytes = 180;     // stored, its client away, one filter
inline constexpr uint64_t kFilterBytes = 130;              // every further filter
// An empty node, and what RocksDB's write buffers take at most while much is written; its cache
// (store.cache_bytes) comes on top.
inline constexpr uint64_t kNodeBytes = 192ull << 20;

// A stored session on disk, its filter with it: computed, and generous.
inline constexpr uint64_t kSessionDiskBytes = 500;

// The kernel's own, for an idle TCP connection that is accepted and watched by epoll, and for one that the
// firewall tracks.
inline constexpr uint64_t kKernelConnectionBytes = 4'200;
inline constexpr uint64_t kTrackedConnectionBytes = 400;

// Descriptors beside one for each connection: the store keeps 1,024 files open at most; listeners, threads
// and the admin side are some hundreds.
inline constexpr uint64_t kOtherFiles = 2'000;

// One password against its argon2id hash as `courier passwd` writes it.
inline constexpr double kPasswordCheckMs = 40;

struct Size {
  uint64_t connections = 0;
  uint64_t sessions = 0;  // stored ones, connected or not
  uint64_t filters = 1;   // of each session
  bool operator==(const Size&) const = default;
};

struct MemoryNeed {
  uint64_t node = 0, kernel = 0;  // bytes
  uint64_t total() const { return node + kernel; }
};

struct MemoryTerms {
  uint64_t cache_bytes = 0;  // store.cache_bytes
  bool tracked = false;      // by the firewall
};

MemoryNeed memory_need(const Size& size, const MemoryTerms& terms);

// The most connections whose need, with sessions in the same proportion, is no more than `node_bytes` and
// `total_bytes`.
uint64_t connections_in_memory(const Size& size, const MemoryTerms& terms, uint64_t node_bytes,
                               uint64_t total_bytes);

// The next power of two, for limits that nobody wants to tune twice.
uint64_t rounded_limit(uint64_t need);

}  // namespace courier::cli::doctor
