// Clients that come again and again: phones that fight over one client id, loops that reconnect without a
// pause. Each CONNECT costs a takeover, a record, perhaps an inbox to send anew.
//
// Counted by mountpoint and client id, once it is known who the client is: a stranger who only claims a name
// gets nobody banned. Never by address: behind one address of a mobile network there are thousands of phones,
// of which one that flaps would shut out all.
//
// What is remembered of a client is eight bytes in a table that is as large whoever comes. A set that is full
// forgets who is nearest to innocence; so in a storm of a million clients one that flaps may be seen late,
// and nobody is banned for another's CONNECTs (but for a collision of 64-bit hashes under a secret seed).
//
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "admission/limits.h"
#include "base/clock.h"
#include "base/token_bucket.h"

namespace courier::admission {

struct FlappingOptions {
  uint32_t connects = 0;  // so many at once, and again over `within_ns`; 0: nobody is counted
  MonoNs within_ns = 60 * kNsPerSecond;
  int64_t ban_ms = 300'000;
  bool operator==(const FlappingOptions&) const = default;
};

class Flapping {
 public:
  explicit Flapping(const FlappingOptions& options = {});
  // Others, from now on.
  void use(const FlappingOptions& options);

  // A client was let in. For how long, in ms, it is to be banned: it has come too often.
  std::optional<int64_t> came(std::string_view mountpoint, std::string_view client_id, MonoNs now);

 private:
  struct Place {
    uint64_t client = 0;  // hash; 0: free
    TokenRate::State full_at{0};
  };
  using Set = std::array<Place, kFlappingWays>;

  const uint64_t seed_;
  std::atomic<bool> on_;
  std::mutex mutex_;
  // Guarded by mutex_.
  FlappingOptions options_;
  std::unique_ptr<Set[]> sets_;  // from the first client on
};

}  // namespace courier::admission
