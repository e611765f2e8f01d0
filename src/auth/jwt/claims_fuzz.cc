// A template (the first line), and claims for it: no crash, and what is filled in is bounded and harmless.
// The rules in the claims are all valid, or there are none.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "auth/jwt/acl_claims.h"
#include "auth/jwt/claim_template.h"
#include "auth/jwt/limits.h"
#include "base/check.h"
#include "mqtt/topic.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier;
  using namespace courier::auth::jwt;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const auto made = ClaimTemplate::parse(input.substr(0, line));
  if (!made) CHECK(!made.error().message.empty() && made.error().message.size() < 1024);
  const auto claims = jose::parse_object(input.substr(std::min(line + 1, input.size())));
  if (!claims) return 0;
  if (made) {
    const auto filled = made->fill(*claims);
    if (!filled) CHECK(!filled.error().message.empty());
    if (filled) {
      CHECK(!filled->empty() && filled->size() <= kFilledBytesMax);
      for (const char c : *filled) CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    }
  }
  const auto grants = grants_of(*claims, "acl");
  if (!grants) {
    CHECK(!grants.error().message.empty());
    return 0;
  }
  CHECK(grants->size() <= kGrantsMax);
  for (const auth::Grant& grant : *grants) {
    CHECK(mqtt::is_topic_filter(grant.filter) && grant.label.size() <= kLabelBytesMax);
    CHECK(grant.publish || grant.subscribe);
    CHECK(!grant.deny || (grant.publish && grant.subscribe));
  }
  return 0;
}
