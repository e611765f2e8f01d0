// Any bytes as a token: no crash, an error with a sentence, and nothing verifies that was not signed. Then
// the same bytes as the payload of a token that was: it reads back to them.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "jose/claims.h"
#include "jose/jws.h"
#include "jose/limits.h"

namespace {

using namespace courier;
using namespace courier::jose;

const Key& signing_key() {
  static const Key key = Key::secret("a secret that is not in the corpus 5f1e0c7a").value();
  return key;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static const KeySet keys = [] {
    KeySet set;
    set.add(signing_key());
    // RFC 8037, appendix A; RFC 7515, appendix A.3: their tokens are in the corpus and do verify.
    set.add(
        *KeySet::parse(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})"));
    set.add(*KeySet::parse(
        R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})"));
    return set;
  }();

  const auto jws = parse_jws(input);
  if (!jws) {
    CHECK(!jws.error().message.empty() && jws.error().message.size() < 1024);
  } else {
    CHECK(input.size() <= kTokenBytesMax);
    const auto key = verify_jws(*jws, keys, all_algorithms());
    CHECK(key || !key.error().message.empty());
    CHECK(!key || (*key)->type() != KeyType::secret);
    CHECK(!verify_jws(*jws, keys, {}));
  }
  if (const auto claims = parse_object(input)) {
    const auto times = times_of(*claims);
    if (times && !check_times(*times, 1'700'000'000'000, 0))
      CHECK(times->expires || times->not_before || times->issued);
    const std::string ours[] = {"joe"};
    CHECK(check_issuer(*claims, "joe") || find_claim(*claims, "iss") == nullptr ||
          *find_claim(*claims, "iss") != "joe");
    static_cast<void>(check_audience(*claims, ours).has_value());
  }

  const std::string token = sign_jws(input, signing_key()).value();
  const auto again = parse_jws(token);
  CHECK(again.has_value() == (token.size() <= kTokenBytesMax));
  if (again) {
    CHECK(again->payload == input);
    CHECK(verify_jws(*again, keys, all_algorithms()).has_value());
  }
  return 0;
}
