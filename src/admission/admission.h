// How many may come: a rate for all, a rate and a number for each source. Decided when a connection comes,
// before TLS costs anything, or as soon as a PROXY header has said who is there.
//
//   connection --arrive()--> admit --settled()--> left()
//                  |          ^
//                  |          '-- after its wait -- delay      not read meanwhile
//                  |--> tell      goes on to its CONNECT, which is refused: a bounded few, and only where
//                  |              getting there costs no handshake
//                  '--> close
//
// A source is the client's address, or the network of source_prefix_v4 or _v6 around it. There are
// kSourcePlaces places for them, found by a hash under a secret seed: sixteen bytes each, a megabyte in all,
// and never full. Sources whose hashes meet share a place, and so their rate and their numbers: with as many
// sources as places, each has one companion more often than not, so limits are to be a multiple of what a
// source needs. Nobody can aim at another's place.
//
// Thread-safe, without a lock: shards share the places by atomic operations, a few for each connection.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "admission/bans.h"
#include "admission/limits.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/token_bucket.h"
#include "net/socket_address.h"

namespace courier::admission {

struct Options {
  double connects_per_second = 0;  // 0: any
  double connects_burst = 0;       // 0: a second's worth
  double source_connects_per_second = 0;
  double source_connects_burst = 0;
  unsigned source_prefix_v4 = 32, source_prefix_v6 = 64;
  uint32_t source_connections_max = 0;  // open at a time; 0: any
  uint32_t source_strangers_max = 0;    // of them, whom nobody has let in yet
  MonoNs delay_max_ns = 0;              // how long a connection may wait for its turn
  uint32_t delayed_max = 0;             // and how many may wait
  bool operator==(const Options&) const = default;
};

// Why somebody was not let in at once.
enum class Limit : uint8_t { none, banned, rate, source_rate, source_connections, source_strangers };
inline constexpr size_t kLimitCount = 6;
std::string_view name(Limit limit);     // a label: "source_rate"
std::string_view setting(Limit limit);  // what to look at: "admission.source_connects_per_second"

enum class Verdict : uint8_t { admit, delay, tell, close };

struct Arrival {
  Verdict verdict = Verdict::admit;
  Limit limit = Limit::none;
  MonoNs wait = 0;       // when it is to be delayed
  uint16_t source = 0;   // its place
  bool counted = false;  // in it: left() is to be called
};

class Admission {
 public:
  // `bans` (null: nobody is banned) and registry outlive it.
  Admission(const Options& options, Bans* bans, Registry& registry);
  // Others, from now on. Who is here stays.
  void use(const Options& options);

  // `may_tell`: getting to its CONNECT costs no handshake.
  Arrival arrive(const net::SocketAddress& client, bool may_tell, MonoNs now);
  // Its wait is over, or it ended meanwhile.
  void waited() {
    delayed_.add(-1);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  // It was let in: no stranger any more.
  void settled(uint16_t source);
  // A connection that was counted ended.
  void left(uint16_t source, bool settled);

  // Of tests.
  uint32_t strangers(const net::SocketAddress& client) const;
  uint32_t connections(const net::SocketAddress& client) const;

 private:
  struct Rules {
    explicit Rules(const Options& options);
    Options options;
    TokenRate all, source;
  };
  struct Place {
    TokenRate::State rate{0};
    std::atomic<uint32_t> connections{0}, strangers{0};
  };
  static_assert(sizeof(Place) == 16);

  uint16_t place_of(const net::SocketAddress& client, const Options& options) const;
  Arrival refused(Limit limit, bool may_tell, MonoNs now);

  const uint64_t seed_;
  Bans* const bans_;
  std::atomic<std::shared_ptr<const Rules>> rules_;  // shared: a use() swaps it while others read
  TokenRate::State all_{0};
  TokenBucket told_{kToldPerSecond, kToldPerSecond};
  std::atomic<uint32_t> waiting_{0};
  Gauge& delayed_;
  Counter& delays_;
  std::unique_ptr<Place[]> places_;
};

}  // namespace courier::admission
