// The keys that tokens may be signed with: what a file or a JWKS endpoint gave. Immutable once it is built;
// any thread may read. Source: RFC 7517, section 5.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jose/key.h"

namespace courier::jose {

class KeySet {
 public:
  KeySet() = default;

  // Told apart by what it is: PEM (one block or more), a JWK, or a JWKS. Of a JWKS the keys that are not
  // understood are left out, as the RFC asks, and named in skipped(); of the others any trouble is an error.
  // Errors: bad_json, duplicate_member, bad_key, weak_key, too_large, no_keys.
  static Result<KeySet> parse(std::string_view text);

  void add(Key key) { keys_.push_back(std::move(key)); }
  void add(const KeySet& others);

  std::span<const Key> keys() const { return keys_; }
  bool empty() const { return keys_.empty(); }
  size_t size() const { return keys_.size(); }
  bool has_id(std::string_view id) const;
  // "key 3: the curve … is not known".
  const std::vector<std::string>& skipped() const { return skipped_; }

 private:
  static Result<KeySet> parse_pem(std::string_view text);
  static Result<KeySet> parse_json(std::string_view text);

  std::vector<Key> keys_;
  std::vector<std::string> skipped_;
};

}  // namespace courier::jose
