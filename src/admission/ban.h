// One ban: whom, why, by whom, until when. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/cidr.h"

namespace courier::admission {

// Counts up from 1, is never used again, and is what a ban is removed by.
using BanId = uint64_t;

struct BanTarget {
  enum class Kind : uint8_t { address, username, client_id };

  Kind kind{};
  std::string value;  // "192.0.2.7/32", a user name, a client id
  // Of names: in this one only; nothing: in all. Addresses are banned on every listener.
  std::optional<std::string> mountpoint;

  bool operator==(const BanTarget&) const = default;
};
inline constexpr size_t kBanKindCount = 3;

// "address", "username", "client_id"
std::string_view name(BanTarget::Kind kind);

struct Ban {
  BanId id = 0;
  BanTarget target;
  std::string reason;   // for people; may be empty
  std::string made_by;  // "api", a name that its maker gave, "flapping"
  WallMs made_at = 0;
  WallMs until = 0;  // 0: for ever

  bool in_force(WallMs now) const { return until == 0 || now < until; }
  bool operator==(const Ban&) const = default;
};

// Networks and names as they are kept: an address gets its prefix length, "10.0.0.7" -> "10.0.0.7/32".
// errc::bad_ban with a sentence.
Result<BanTarget> checked(BanTarget target);

}  // namespace courier::admission
