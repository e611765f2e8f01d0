#include "jose/jws.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jose/base64url.h"
#include "jose/errc.h"
#include "jose/limits.h"
#include "jose/signature.h"

namespace courier::jose {
namespace {

// A word of the token for a sentence: it is anybody's.
std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 64)) out += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  out += text.size() > 64 ? "…\"" : "\"";
  return out;
}

// Text, if it is there.
Result<std::optional<std::string>> header_text(const Json& header, std::string_view name) {
  const Json* value = member(header, name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string())
    return fail(errc::bad_header, fmt::format("\"{}\" of the header is not text", name));
  return std::optional<std::string>(value->get<std::string>());
}

Result<void> read_header(const Json& header, Jws& jws) {
  if (const Json* critical = member(header, "crit")) {
    // RFC 7515, section 4.1.11: what is not understood must be refused, and nothing is.
    return fail(errc::critical_header,
                fmt::format("the header asks for extensions (\"crit\": {}); none is understood here",
                            shown(critical->dump(-1, ' ', false, Json::error_handler_t::replace))));
  }
  const auto alg = header_text(header, "alg");
  if (!alg) return fail(alg.error());
  if (!*alg) return fail(errc::bad_header, "the header has no \"alg\"");
  std::string lower = **alg;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
  if (lower == "none") return fail(errc::unsigned_token, "the token is not signed (\"alg\": \"none\")");
  const auto algorithm = parse_algorithm(**alg);
  if (!algorithm)
    return fail(errc::unknown_algorithm, fmt::format("the algorithm {} is not known", shown(**alg)));
  jws.algorithm = *algorithm;

  const auto kid = header_text(header, "kid");
  if (!kid) return fail(kid.error());
  if (*kid) {
    const bool printable = std::none_of((*kid)->begin(), (*kid)->end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    if ((*kid)->empty() || !printable) {
      return fail(errc::bad_kid, "the key id (\"kid\") is empty or holds control characters");
    }
    if ((*kid)->size() > kKeyIdBytesMax) {
      return fail(errc::bad_kid, fmt::format("the key id (\"kid\") has {} bytes; {} are the most",
                                             (*kid)->size(), kKeyIdBytesMax));
    }
    jws.kid = **kid;
  }
  const auto type = header_text(header, "typ");
  if (!type) return fail(type.error());
  jws.type = type->value_or("");
  return {};
}

bool is_path(std::string_view kid) {
  return kid.starts_with('/') || kid.find("..") != std::string_view::npos ||
         kid.find("://") != std::string_view::npos;
}

}  // namespace

bool has_token_shape(std::string_view text) {
  const size_t first = text.find('.');
  if (first == std::string_view::npos || first == 0) return false;
  const size_t second = text.find('.', first + 1);
  if (second == std::string_view::npos || second == first + 1) return false;
  return is_base64url(text.substr(0, first)) && is_base64url(text.substr(first + 1, second - first - 1)) &&
         is_base64url(text.substr(second + 1));
}

Result<Parts> split(std::string_view token) {
  if (token.size() > kTokenBytesMax) {
    return fail(errc::too_large,
                fmt::format("the token has {} bytes; {} are the most", token.size(), kTokenBytesMax));
  }
  const auto dots = std::count(token.begin(), token.end(), '.');
  if (dots == 4)
    return fail(errc::not_a_token, "this is an encrypted token (JWE, five parts); only signed ones are read");
  if (dots != 2)
    return fail(errc::not_a_token,
                fmt::format("a token has three parts with dots between them; this has {}", dots + 1));
  const size_t first = token.find('.'), second = token.rfind('.');
  if (first > kHeaderBytesMax) {
    return fail(errc::too_large,
                fmt::format("the header has {} bytes; {} are the most", first, kHeaderBytesMax));
  }
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1)};
}

Result<Jws> parse_jws(std::string_view token) {
  const auto parts = split(token);
  if (!parts) return fail(parts.error());
  const auto header = decode_base64url(parts->header);
  if (!header) return fail(header.error().within("the header"));
  const auto json = parse_object(*header);
  if (!json) return fail(json.error().within("the header"));
  Jws jws;
  if (auto read = read_header(*json, jws); !read) return fail(read.error());
  auto payload = decode_base64url(parts->payload);
  if (!payload) return fail(payload.error().within("the payload"));
  auto signature = decode_base64url(parts->signature);
  if (!signature) return fail(signature.error().within("the signature"));
  jws.payload = std::move(*payload);
  jws.signature = std::move(*signature);
  jws.signing_input = token.substr(0, parts->header.size() + 1 + parts->payload.size());
  return jws;
}

Result<const Key*> verify_jws(const Jws& jws, const KeySet& keys, std::span<const Algorithm> allowed) {
  if (std::find(allowed.begin(), allowed.end(), jws.algorithm) == allowed.end()) {
    std::vector<std::string_view> names;
    for (const Algorithm each : allowed) names.push_back(name(each));
    return fail(errc::algorithm_not_allowed,
                fmt::format("the token is signed with {}; only {} may be", name(jws.algorithm),
                            names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "))));
  }
  std::vector<const Key*> found;
  const bool known_id = !jws.kid.empty() && keys.has_id(jws.kid);
  for (const Key& key : keys.keys()) {
    if (jws.kid.empty() || key.id() == (known_id ? std::string_view(jws.kid) : "")) found.push_back(&key);
  }
  if (found.empty()) {
    if (jws.kid.empty()) return fail(errc::unknown_key, "there is no key to check the token with");
    return fail(
        errc::unknown_key,
        fmt::format(
            "no key has the id {}{}", shown(jws.kid),
            is_path(jws.kid) ? ", which looks like a path: a kid is only compared, nothing is opened" : ""));
  }
  std::vector<const Key*> fitting = found;
  std::erase_if(fitting, [&](const Key* key) { return !key->fits(jws.algorithm); });
  if (fitting.empty()) {
    return fail(
        errc::wrong_key_type,
        fmt::format("the token says {}, which needs {}; {} is {}{}", name(jws.algorithm),
                    describe(key_type(jws.algorithm)),
                    known_id ? fmt::format("the key {}", shown(jws.kid)) : std::string("what is here"),
                    describe(found.front()->type()),
                    found.front()->algorithm()
                        ? fmt::format(" for {} only", name(*found.front()->algorithm()))
                        : ""));
  }
  fitting.resize(std::min(fitting.size(), kKeysTriedMax));
  std::optional<Error> last;
  for (const Key* key : fitting) {
    auto verified = verify(jws.algorithm, *key, jws.signing_input, jws.signature);
    if (verified) return key;
    // A signature that is wrong says more than one that a smaller key could not have made.
    if (!last || verified.error().code == errc::invalid_signature) last = std::move(verified.error());
  }
  return fail(std::move(*last));
}

Result<std::string> sign_jws(std::string_view payload, const Key& key, const SignOptions& options) {
  const Algorithm algorithm =
      options.algorithm.value_or(key.algorithm().value_or(usual_algorithm(key.type())));
  std::string header = fmt::format("{{\"alg\":\"{}\"", name(algorithm));
  const auto add = [&](const char* member_name, const std::string& value) {
    if (value.empty()) return;
    header += fmt::format(",\"{}\":{}", member_name,
                          Json(value).dump(-1, ' ', false, Json::error_handler_t::replace));
  };
  add("typ", options.type);
  add("kid", key.id());
  std::string token = base64url(header + "}") + "." + base64url(payload);
  const auto signature = sign(algorithm, key, token);
  if (!signature) return fail(signature.error());
  return token + "." + base64url(*signature);
}

}  // namespace courier::jose
