// argon2id, the edge to libargon2. Hashes are texts in the PHC format:
//
//   $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH
//
// Or the keys of SCRAM-SHA-256 (scram.h), whose cost is its iterations: no memory, `passes` of them, no
// lanes.
//
// Sources: RFC 9106; the PHC string format. Slow and hungry by design (milliseconds and megabytes): for
// workers and commands, never for a shard thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace courier::auth::file {

struct Cost {
  uint32_t memory_kib = 19'456;  // 19 MB, with two passes: OWASP's advice for argon2id
  uint32_t passes = 2;
  uint32_t lanes = 1;
  bool operator==(const Cost&) const = default;
};

// With a fresh random salt. Errors: bad_password, hash_failed.
Result<std::string> hash_password(std::string_view password, const Cost& cost = {});

// The cost that a hash asks for. Error: invalid, when it is neither argon2id version 19 nor SCRAM-SHA-256, or
// beyond limits.h.
Result<Cost> parse_hash(std::string_view hash);

enum class Match : uint8_t { yes, no, failed };  // failed: the machine could not tell (no memory)

// In a time that depends on the hash's cost, not on how much of the password is right.
Match matches(const std::string& hash, std::string_view password);

}  // namespace courier::auth::file
