// Any bytes as a file of keys: no crash, an error with a sentence, and every key that comes of it can be
// used.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "jose/jws.h"
#include "jose/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::jose;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto set = KeySet::parse(input);
  if (!set) {
    CHECK(!set.error().message.empty() && set.error().message.size() < 4096);
    return 0;
  }
  CHECK(!set->empty() && set->size() <= kKeysMax);
  for (const Key& key : set->keys()) {
    CHECK(key.id().size() <= kKeyIdBytesMax);
    CHECK(key.type() == KeyType::secret ? !key.secret_bytes().empty() : key.handle() != nullptr);
    const auto token = sign_jws("{}", key);
    CHECK(key.can_sign() || !token);
    if (!token || key.type() == KeyType::rsa)
      continue;  // a private RSA key may be consistent and still too odd to sign
    const auto jws = parse_jws(*token);
    KeySet one;
    one.add(key);
    if (jws) CHECK(verify_jws(*jws, one, all_algorithms()).has_value());
  }
  return 0;
}
