#include "jose/key_set.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::jose {

void KeySet::add(const KeySet& others) {
  keys_.insert(keys_.end(), others.keys_.begin(), others.keys_.end());
  skipped_.insert(skipped_.end(), others.skipped_.begin(), others.skipped_.end());
}

bool KeySet::has_id(std::string_view id) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) { return key.id() == id; });
}

Result<KeySet> KeySet::parse(std::string_view text) {
  if (text.size() > kKeySetBytesMax) {
    return fail(errc::too_large, fmt::format("keys have at most {} bytes", kKeySetBytesMax));
  }
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return fail(errc::no_keys, "it is empty");
  if (text[start] == '{') return parse_json(text);
  if (text.find("-----BEGIN ") != std::string_view::npos) return parse_pem(text);
  return fail(errc::bad_key, "it is neither PEM (-----BEGIN …) nor a JWK or JWKS ({…})");
}

Result<KeySet> KeySet::parse_pem(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  KeySet set;
  for (size_t at = text.find(kBegin); at != std::string_view::npos;) {
    const size_t next = text.find(kBegin, at + kBegin.size());
    const std::string_view block = text.substr(at, next - at);
    at = next;
    // What `openssl ecparam -genkey` writes before the key, which names the curve again.
    if (block.starts_with("-----BEGIN EC PARAMETERS-----")) continue;
    auto key = Key::from_pem(block);
    if (!key) return fail(key.error());
    if (set.size() == kKeysMax)
      return fail(errc::too_large, fmt::format("there are more than {} keys", kKeysMax));
    set.add(std::move(*key));
  }
  if (set.empty()) return fail(errc::no_keys, "no PEM block in it is a key");
  return set;
}

Result<KeySet> KeySet::parse_json(std::string_view text) {
  const auto json = parse_object(text);
  if (!json) return fail(json.error());
  KeySet set;
  const Json* keys = member(*json, "keys");
  if (keys == nullptr) {
    auto key = Key::from_jwk(*json);
    if (!key) return fail(key.error());
    set.add(std::move(*key));
    return set;
  }
  if (!keys->is_array()) return fail(errc::bad_json, "its member \"keys\" is not a list");
  if (keys->size() > kKeysMax)
    return fail(errc::too_large, fmt::format("there are more than {} keys", kKeysMax));
  for (size_t i = 0; i < keys->size(); ++i) {
    auto key = Key::from_jwk((*keys)[i]);
    if (key) {
      set.add(std::move(*key));
    } else {
      set.skipped_.push_back(fmt::format("key {}: {}", i + 1, key.error().message));
    }
  }
  if (set.empty()) {
    const auto shown = std::span(set.skipped_).first(std::min<size_t>(set.skipped_.size(), 4));
    return fail(errc::no_keys, shown.empty()
                                   ? "the set has no keys"
                                   : fmt::format("none of its keys can be used: {}", fmt::join(shown, "; ")));
  }
  return set;
}

}  // namespace courier::jose
