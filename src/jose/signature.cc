#include "jose/signature.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <memory>

#include <fmt/format.h>

#include "base/check.h"
#include "jose/errc.h"

namespace courier::jose {
namespace {

// How a signature is made; what it looks like follows from it.
enum class Scheme : uint8_t { hmac, pkcs1, pss, ecdsa, eddsa };

struct Method {
  Scheme scheme;
  const EVP_MD* (*digest)();
  size_t bytes;  // of the signature; 0: as many as the RSA modulus
};

const EVP_MD* no_digest() {
  return nullptr;
}

Method method_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::hs256:
      return {Scheme::hmac, ::EVP_sha256, 32};
    case Algorithm::hs384:
      return {Scheme::hmac, ::EVP_sha384, 48};
    case Algorithm::hs512:
      return {Scheme::hmac, ::EVP_sha512, 64};
    case Algorithm::rs256:
      return {Scheme::pkcs1, ::EVP_sha256, 0};
    case Algorithm::rs384:
      return {Scheme::pkcs1, ::EVP_sha384, 0};
    case Algorithm::rs512:
      return {Scheme::pkcs1, ::EVP_sha512, 0};
    case Algorithm::ps256:
      return {Scheme::pss, ::EVP_sha256, 0};
    case Algorithm::ps384:
      return {Scheme::pss, ::EVP_sha384, 0};
    case Algorithm::ps512:
      return {Scheme::pss, ::EVP_sha512, 0};
    case Algorithm::es256:
      return {Scheme::ecdsa, ::EVP_sha256, 64};
    case Algorithm::es384:
      return {Scheme::ecdsa, ::EVP_sha384, 96};
    case Algorithm::es512:
      return {Scheme::ecdsa, ::EVP_sha512, 132};
    case Algorithm::eddsa:
      return {Scheme::eddsa, no_digest, 64};
  }
  CHECK(false);
  return {};
}

const unsigned char* raw_bytes(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::string hmac(const Method& method, std::string_view secret, std::string_view input) {
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  CHECK(::HMAC(method.digest(), secret.data(), static_cast<int>(secret.size()), raw_bytes(input),
               input.size(), reinterpret_cast<unsigned char*>(mac.data()), &size) != nullptr);
  mac.resize(size);
  return mac;
}

using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype([](EVP_MD_CTX* one) { ::EVP_MD_CTX_free(one); })>;
using EcdsaPair = std::unique_ptr<ECDSA_SIG, decltype([](ECDSA_SIG* one) { ::ECDSA_SIG_free(one); })>;

// RFC 7518, section 3.5: the salt is as long as the digest, and MGF1 uses the same digest (OpenSSL's
// default).
bool set_padding(const Method& method, EVP_PKEY_CTX* context) {
  if (method.scheme != Scheme::pss) return true;
  return ::EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         ::EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

// JWS writes an ECDSA signature as two numbers of full size (RFC 7518, section 3.4), OpenSSL as DER.
std::string two_numbers(std::string_view der, size_t bytes) {
  const unsigned char* at = raw_bytes(der);
  const EcdsaPair pair(::d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::string out(bytes, '\0');
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  const int half = static_cast<int>(bytes / 2);
  if (!pair || ::BN_bn2binpad(::ECDSA_SIG_get0_r(pair.get()), to, half) != half ||
      ::BN_bn2binpad(::ECDSA_SIG_get0_s(pair.get()), to + half, half) != half) {
    return {};
  }
  return out;
}

std::string der_of(std::string_view signature) {
  const size_t half = signature.size() / 2;
  const EcdsaPair pair(::ECDSA_SIG_new());
  BIGNUM* r = ::BN_bin2bn(raw_bytes(signature), static_cast<int>(half), nullptr);
  BIGNUM* s = ::BN_bin2bn(raw_bytes(signature) + half, static_cast<int>(half), nullptr);
  if (!pair || r == nullptr || s == nullptr || ::ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    ::BN_free(r);
    ::BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = ::i2d_ECDSA_SIG(pair.get(), &der);
  std::string out = size > 0 ? std::string(reinterpret_cast<char*>(der), static_cast<size_t>(size)) : "";
  ::OPENSSL_free(der);
  return out;
}

Result<void> check_fit(Algorithm algorithm, const Key& key) {
  if (key.fits(algorithm)) return {};
  if (key.type() == key_type(algorithm)) {
    return fail(errc::wrong_key_type,
                fmt::format("the key is for {} only, not for {}", name(*key.algorithm()), name(algorithm)));
  }
  return fail(errc::wrong_key_type, fmt::format("{} needs {}; this is {}", name(algorithm),
                                                describe(key_type(algorithm)), describe(key.type())));
}

}  // namespace

Result<std::string> sign(Algorithm algorithm, const Key& key, std::string_view input) {
  if (auto fit = check_fit(algorithm, key); !fit) return fail(fit.error());
  if (!key.can_sign())
    return fail(errc::no_private_key, "this is a public key; only the private one can sign");
  const Method method = method_of(algorithm);
  if (method.scheme == Scheme::hmac) return hmac(method, key.secret_bytes(), input);

  const DigestContext context(::EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  std::string signature;
  size_t size = 0;
  const bool signed_ =
      context &&
      ::EVP_DigestSignInit(context.get(), &parameters, method.digest(), nullptr, key.handle()) == 1 &&
      set_padding(method, parameters) &&
      ::EVP_DigestSign(context.get(), nullptr, &size, raw_bytes(input), input.size()) == 1 &&
      (signature.resize(size), true) &&
      ::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       raw_bytes(input), input.size()) == 1;
  ::ERR_clear_error();
  if (!signed_) return fail(errc::crypto, "OpenSSL could not sign with this key");
  signature.resize(size);
  if (method.scheme == Scheme::ecdsa) signature = two_numbers(signature, method.bytes);
  if (signature.empty()) return fail(errc::crypto, "OpenSSL made no signature of the right form");
  return signature;
}

Result<void> verify(Algorithm algorithm, const Key& key, std::string_view input, std::string_view signature) {
  if (auto fit = check_fit(algorithm, key); !fit) return fit;
  const Method method = method_of(algorithm);
  const size_t bytes =
      method.bytes != 0 ? method.bytes : static_cast<size_t>(::EVP_PKEY_get_size(key.handle()));
  if (signature.size() != bytes) {
    return fail(errc::signature_length, fmt::format("the signature has {} bytes; {} with this key has {}",
                                                    signature.size(), name(algorithm), bytes));
  }
  const auto refused = [&] {
    return fail(errc::invalid_signature, fmt::format("the signature ({}) is not valid", name(algorithm)));
  };
  if (method.scheme == Scheme::hmac) {
    const std::string mac = hmac(method, key.secret_bytes(), input);
    if (::CRYPTO_memcmp(mac.data(), signature.data(), mac.size()) != 0) return refused();
    return {};
  }
  const std::string der = method.scheme == Scheme::ecdsa ? der_of(signature) : std::string(signature);
  const DigestContext context(::EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  const bool right =
      !der.empty() && context &&
      ::EVP_DigestVerifyInit(context.get(), &parameters, method.digest(), nullptr, key.handle()) == 1 &&
      set_padding(method, parameters) &&
      ::EVP_DigestVerify(context.get(), raw_bytes(der), der.size(), raw_bytes(input), input.size()) == 1;
  ::ERR_clear_error();
  if (!right) return refused();
  return {};
}

}  // namespace courier::jose
