// SCRAM-SHA-256: the client proves that it knows the password and never sends it, and the server proves that
// it has what was made of it. RFC 5802, RFC 7677. A line of the password file holds, in standard base64:
//
//   $scram-sha-256$i=16384,s=SALT$STORED_KEY$SERVER_KEY
//
// Channel binding (SCRAM-SHA-256-PLUS) is not offered. Passwords are taken as the bytes they are (no
// SASLprep): for ASCII that is the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "auth/authenticator.h"
#include "auth/file/password_hash.h"
#include "base/result.h"

namespace courier::auth::file {

struct ScramKeys {
  uint32_t iterations = 0;
  std::string salt, stored_key, server_key;  // bytes
};

inline constexpr uint32_t kScramIterations = 16'384;

bool is_scram(std::string_view hash);
// Error: invalid.
Result<ScramKeys> parse_scram(std::string_view hash);
// With a fresh random salt. Errors: bad_password, hash_failed.
Result<std::string> make_scram(std::string_view password, uint32_t iterations = kScramIterations);
// For a client that sends its password. As slow as the iterations: for workers.
Match scram_matches(std::string_view hash, std::string_view password);

// What the client said first: "n,,n=alice,r=NONCE".
struct ScramFirst {
  std::string gs2_header;  // "n,,"
  std::string bare;        // "n=alice,r=NONCE"
  std::string user, nonce;
};
// Error: invalid, with what is wrong.
Result<ScramFirst> parse_scram_first(std::string_view text);

// The server's part between the client's two messages. Pure but for the nonce that it is given.
class ScramServer {
 public:
  // `nonce`: the server's own part, printable without a comma. `known`: the keys are of a user that there is.
  ScramServer(ScramFirst first, ScramKeys keys, bool known, std::string_view nonce);

  // "r=NONCE,s=SALT,i=ITERATIONS"
  const std::string& first() const { return first_text_; }
  // "v=SIGNATURE" if the proof is right; else an error of errc::invalid.
  Result<std::string> finish(std::string_view final_text) const;

 private:
  const ScramFirst first_;
  const ScramKeys keys_;
  const bool known_;
  const std::string nonce_;  // both parts
  const std::string first_text_;
};

}  // namespace courier::auth::file
