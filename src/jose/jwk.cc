// Key::from_jwk: one JSON Web Key. RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <list>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "jose/base64url.h"
#include "jose/errc.h"
#include "jose/key.h"
#include "jose/limits.h"

namespace courier::jose {
namespace {

// A member that must be text, if it is there.
Result<std::optional<std::string>> text_of(const Json& jwk, std::string_view name) {
  const Json* value = member(jwk, name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return fail(errc::bad_key, fmt::format("its member \"{}\" is not text", name));
  return std::optional<std::string>(value->get<std::string>());
}

Result<std::string> bytes_of(const Json& jwk, std::string_view name) {
  const auto text = text_of(jwk, name);
  if (!text) return fail(text.error());
  if (!*text || (*text)->empty())
    return fail(errc::bad_key, fmt::format("its member \"{}\" is missing", name));
  auto bytes = decode_base64url(**text);
  if (!bytes) return fail(errc::bad_key, fmt::format("its member \"{}\": {}", name, bytes.error().message));
  return std::move(*bytes);
}

const unsigned char* raw(const std::string& bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Collects numbers and texts, then makes a key of them.
class KeyBuilder {
 public:
  KeyBuilder() : build_(::OSSL_PARAM_BLD_new()) {}
  ~KeyBuilder() {
    for (BIGNUM* number : numbers_) ::BN_clear_free(number);
    ::OSSL_PARAM_BLD_free(build_);
  }
  KeyBuilder(const KeyBuilder&) = delete;
  KeyBuilder& operator=(const KeyBuilder&) = delete;

  // Big-endian bytes.
  void number(const char* name, const std::string& bytes) {
    BIGNUM* number = ::BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr);
    good_ = good_ && number != nullptr && ::OSSL_PARAM_BLD_push_BN(build_, name, number) == 1;
    if (number != nullptr) numbers_.push_back(number);
  }
  void text(const char* name, const char* value) {
    good_ = good_ && ::OSSL_PARAM_BLD_push_utf8_string(build_, name, value, 0) == 1;
  }
  void octets(const char* name, std::string value) {
    const std::string& kept = texts_.emplace_back(std::move(value));  // OpenSSL copies it in key() only
    good_ = good_ && ::OSSL_PARAM_BLD_push_octet_string(build_, name, kept.data(), kept.size()) == 1;
  }
  // Null when the parts are no key.
  std::shared_ptr<EVP_PKEY> key(const char* type, bool is_private) {
    EVP_PKEY* made = nullptr;
    OSSL_PARAM* parameters = good_ ? ::OSSL_PARAM_BLD_to_param(build_) : nullptr;
    EVP_PKEY_CTX* context = ::EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr);
    if (parameters != nullptr && context != nullptr && ::EVP_PKEY_fromdata_init(context) == 1) {
      ::EVP_PKEY_fromdata(context, &made, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters);
    }
    ::EVP_PKEY_CTX_free(context);
    ::OSSL_PARAM_free(parameters);
    ::ERR_clear_error();
    return {made, [](EVP_PKEY* one) { ::EVP_PKEY_free(one); }};
  }

 private:
  OSSL_PARAM_BLD* build_;
  bool good_ = true;
  std::vector<BIGNUM*> numbers_;
  std::list<std::string> texts_;
};

enum class Half : uint8_t { both, public_only };

// Whether the point is on the curve, and whether the private half belongs to the public one.
bool consistent(EVP_PKEY* key, Half half) {
  EVP_PKEY_CTX* context = ::EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr);
  if (context == nullptr) return false;
  const int good = half == Half::both ? ::EVP_PKEY_pairwise_check(context) : ::EVP_PKEY_public_check(context);
  ::EVP_PKEY_CTX_free(context);
  ::ERR_clear_error();
  return good == 1;
}

using MadeKey = std::pair<std::shared_ptr<EVP_PKEY>, bool>;  // and whether it can sign

Result<MadeKey> rsa_key(const Json& jwk) {
  const auto n = bytes_of(jwk, "n");
  if (!n) return fail(n.error());
  const auto e = bytes_of(jwk, "e");
  if (!e) return fail(e.error());
  // Before any arithmetic: a modulus of a megabyte is not looked at.
  if (n->size() > kRsaBitsMax / 8 + 1 || e->size() > 8) {
    return fail(errc::bad_key,
                fmt::format("the RSA key is too large: {} bits and an exponent of 8 bytes are the most",
                            kRsaBitsMax));
  }
  const bool exponent_fits = (e->back() & 1) == 1 && (e->size() > 1 || static_cast<uint8_t>(e->back()) >= 3);
  if (!exponent_fits || (n->back() & 1) == 0)
    return fail(errc::bad_key, "no RSA key has this modulus and exponent");
  KeyBuilder builder;
  builder.number(OSSL_PKEY_PARAM_RSA_N, *n);
  builder.number(OSSL_PKEY_PARAM_RSA_E, *e);
  const bool is_private = member(jwk, "d") != nullptr;
  if (is_private) {
    constexpr std::pair<const char*, const char*> kParts[] = {
        {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    for (const auto& [name, parameter] : kParts) {
      const auto part = bytes_of(jwk, name);
      if (!part) return fail(part.error());
      if (part->size() > kRsaBitsMax / 8 + 1)
        return fail(errc::bad_key, fmt::format("its member \"{}\" is too long", name));
      builder.number(parameter, *part);
    }
  }
  auto key = builder.key("RSA", is_private);
  if (!key || (is_private && !consistent(key.get(), Half::both))) {
    return fail(errc::bad_key, "the parts of the RSA key do not belong together");
  }
  return MadeKey{std::move(key), is_private};
}

struct CurveRow {
  std::string_view name;
  const char* openssl;
  size_t bytes;
};
constexpr CurveRow kCurves[] = {{"P-256", "P-256", 32}, {"P-384", "P-384", 48}, {"P-521", "P-521", 66}};

Result<MadeKey> ec_key(const Json& jwk, const std::string& curve_name) {
  const auto* curve = std::find_if(std::begin(kCurves), std::end(kCurves),
                                   [&](const CurveRow& each) { return each.name == curve_name; });
  if (curve == std::end(kCurves)) {
    return fail(errc::bad_key, fmt::format("the curve \"{}\" is not known; P-256, P-384 and P-521 are",
                                           curve_name.substr(0, 64)));
  }
  const auto x = bytes_of(jwk, "x");
  if (!x) return fail(x.error());
  const auto y = bytes_of(jwk, "y");
  if (!y) return fail(y.error());
  // RFC 7518, section 6.2.1.2: of the full size, leading zeros included.
  if (x->size() != curve->bytes || y->size() != curve->bytes) {
    return fail(errc::bad_key,
                fmt::format("\"x\" and \"y\" of {} have {} bytes each", curve->name, curve->bytes));
  }
  KeyBuilder builder;
  builder.text(OSSL_PKEY_PARAM_GROUP_NAME, curve->openssl);
  builder.octets(OSSL_PKEY_PARAM_PUB_KEY, "\x04" + *x + *y);
  const bool is_private = member(jwk, "d") != nullptr;
  if (is_private) {
    const auto d = bytes_of(jwk, "d");
    if (!d) return fail(d.error());
    if (d->size() != curve->bytes) {
      return fail(errc::bad_key, fmt::format("\"d\" of {} has {} bytes", curve->name, curve->bytes));
    }
    builder.number(OSSL_PKEY_PARAM_PRIV_KEY, *d);
  }
  auto key = builder.key("EC", is_private);
  if (!key || !consistent(key.get(), Half::public_only)) {
    return fail(errc::bad_key, fmt::format("\"x\" and \"y\" are no point of {}", curve->name));
  }
  if (is_private && !consistent(key.get(), Half::both)) {
    return fail(errc::bad_key, "the private part does not belong to the public one");
  }
  return MadeKey{std::move(key), is_private};
}

Result<MadeKey> okp_key(const Json& jwk, const std::string& curve_name) {
  if (curve_name != "Ed25519") {
    return fail(errc::bad_key,
                fmt::format("the curve \"{}\" is not known; Ed25519 is", curve_name.substr(0, 64)));
  }
  const auto x = bytes_of(jwk, "x");
  if (!x) return fail(x.error());
  if (x->size() != 32) return fail(errc::bad_key, "\"x\" of Ed25519 has 32 bytes");
  const auto owned = [](EVP_PKEY* key) {
    ::ERR_clear_error();
    return std::shared_ptr<EVP_PKEY>(key, [](EVP_PKEY* one) { ::EVP_PKEY_free(one); });
  };
  if (member(jwk, "d") == nullptr) {
    auto key = owned(::EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(*x), x->size()));
    if (!key) return fail(errc::bad_key, "\"x\" is no Ed25519 key");
    return MadeKey{std::move(key), false};
  }
  const auto d = bytes_of(jwk, "d");
  if (!d) return fail(d.error());
  if (d->size() != 32) return fail(errc::bad_key, "\"d\" of Ed25519 has 32 bytes");
  auto key = owned(::EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(*d), d->size()));
  std::string derived(32, '\0');
  size_t size = derived.size();
  if (!key ||
      ::EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(derived.data()), &size) !=
          1 ||
      derived != *x) {
    return fail(errc::bad_key, "the private part does not belong to the public one");
  }
  return MadeKey{std::move(key), true};
}

// RFC 7517, sections 4.2 and 4.3: what the owner meant the key for.
Result<void> check_use(const Json& jwk, bool can_sign) {
  const auto use = text_of(jwk, "use");
  if (!use) return fail(use.error());
  if (*use && **use != "sig")
    return fail(errc::bad_key, "it is for encryption (\"use\"), not for signatures");
  const Json* operations = member(jwk, "key_ops");
  if (operations == nullptr) return {};
  if (!operations->is_array()) return fail(errc::bad_key, "its member \"key_ops\" is not a list");
  for (const Json& each : *operations) {
    if (each == "verify" || (can_sign && each == "sign")) return {};
  }
  return fail(errc::bad_key, "it is not for signatures (\"key_ops\")");
}

}  // namespace

Result<Key> Key::from_jwk(const Json& jwk) {
  if (!jwk.is_object()) return fail(errc::bad_key, "a JWK is an object");
  const auto kty = text_of(jwk, "kty"), kid = text_of(jwk, "kid"), alg = text_of(jwk, "alg"),
             crv = text_of(jwk, "crv");
  for (const auto* each : {&kty, &kid, &alg, &crv}) {
    if (!*each) return fail(each->error());
  }
  if (!*kty) return fail(errc::bad_key, "its member \"kty\" is missing");
  if (*kid && (*kid)->size() > kKeyIdBytesMax) {
    return fail(errc::bad_key, fmt::format("its key id has more than {} bytes", kKeyIdBytesMax));
  }
  std::optional<Algorithm> only;
  if (*alg) {
    only = parse_algorithm(**alg);
    if (!only)
      return fail(errc::bad_key, fmt::format("its algorithm \"{}\" is not known", (*alg)->substr(0, 64)));
  }
  auto key = [&]() -> Result<Key> {
    if (**kty == "oct") {
      const auto k = bytes_of(jwk, "k");
      return k ? secret(*k) : Result<Key>(fail(k.error()));
    }
    auto made = [&]() -> Result<MadeKey> {
      if (**kty == "RSA") return rsa_key(jwk);
      if (**kty == "EC") return ec_key(jwk, crv->value_or(""));
      if (**kty == "OKP") return okp_key(jwk, crv->value_or(""));
      return fail(errc::bad_key, fmt::format("the key type \"{}\" is not known", (*kty)->substr(0, 64)));
    }();
    if (!made) return fail(made.error());
    return of_handle(std::move(made->first), made->second);
  }();
  if (!key) return key;
  if (auto use = check_use(jwk, key->can_sign()); !use) return fail(use.error());
  if (only && key_type(*only) != key->type()) {
    return fail(errc::bad_key,
                fmt::format("it says \"alg\": \"{}\", but it is {}", name(*only), describe(key->type())));
  }
  key->algorithm_ = only;
  key->id_ = kid->value_or("");
  return key;
}

}  // namespace courier::jose
