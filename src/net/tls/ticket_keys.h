// The keys of session tickets: with one a client comes back without a full handshake, and we keep nothing for
// it meanwhile. In memory only: a restart ends all tickets, and nobody finds a key on a disk.
//
// A key issues tickets for one lifetime and opens them for one more, so that a ticket is good for its whole
// lifetime. Thread-safe; one per listener, kept over reloads. RFC 5077, section 4; RFC 8446, section 4.6.1.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace courier::net::tls {

struct TicketKey {
  std::array<unsigned char, 16> name;
  std::array<unsigned char, 32> cipher, mac;
};

class TicketKeys {
 public:
  TicketKeys() = default;
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Makes a new key if the newest has issued for `lifetime`, and forgets the one before the last. Cheap when
  // nothing is due. Without randomness the old keys stay.
  void keep_fresh(WallMs now, std::chrono::seconds lifetime);

  // The one that issues; nullopt before the first keep_fresh().
  std::optional<TicketKey> newest() const;
  struct Found {
    TicketKey key;
    bool newest = false;
  };
  std::optional<Found> find(std::string_view name) const;

 private:
  std::atomic<WallMs> due_{0};  // of the next key
  mutable std::mutex mutex_;
  std::optional<TicketKey> newest_, former_;  // guarded by mutex_
};

}  // namespace courier::net::tls
