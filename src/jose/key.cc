#include "jose/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <utility>

#include <fmt/format.h>

#include "jose/errc.h"
#include "jose/limits.h"

namespace courier::jose {
namespace {

// Nobody is asked for a passphrase at a terminal that a server does not have.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

template <typename T, void (*kFree)(T*)>
using Handle = std::unique_ptr<T, decltype([](T* one) { kFree(one); })>;
struct BioFree {
  void operator()(BIO* bio) const { ::BIO_free(bio); }
};

struct PemBlock {
  std::string_view label, text;  // text: the whole block
};

Result<PemBlock> first_block(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  const size_t begin = pem.find(kBegin);
  if (begin == std::string_view::npos) return fail(errc::bad_key, "it has no line -----BEGIN …-----");
  const size_t label_end = pem.find("-----", begin + kBegin.size());
  if (label_end == std::string_view::npos || label_end - begin > 64) {
    return fail(errc::bad_key, "its line -----BEGIN …----- is not whole");
  }
  PemBlock block;
  block.label = pem.substr(begin + kBegin.size(), label_end - begin - kBegin.size());
  const std::string end = fmt::format("-----END {}-----", block.label);
  const size_t end_at = pem.find(end, label_end);
  if (end_at == std::string_view::npos)
    return fail(errc::bad_key, fmt::format("the line {} is missing", end));
  block.text = pem.substr(begin, end_at + end.size() - begin);
  return block;
}

}  // namespace

Key::Secret::~Secret() {
  ::OPENSSL_cleanse(bytes.data(), bytes.size());
}

Result<Key> Key::secret(std::string_view bytes) {
  if (bytes.empty()) return fail(errc::bad_key, "the shared secret is empty");
  if (bytes.size() > kSecretBytesMax) {
    return fail(errc::bad_key, fmt::format("the shared secret has more than {} bytes", kSecretBytesMax));
  }
  if (bytes.find("-----BEGIN ") != std::string_view::npos) {
    return fail(
        errc::bad_key,
        "this is a PEM file, not a shared secret: a public key as a secret would let everybody sign tokens");
  }
  Key key;
  key.type_ = KeyType::secret;
  key.can_sign_ = true;
  key.secret_ = std::make_shared<const Secret>(bytes);
  return key;
}

Result<Key> Key::of_handle(std::shared_ptr<evp_pkey_st> handle, bool can_sign) {
  Key key;
  key.can_sign_ = can_sign;
  if (::EVP_PKEY_is_a(handle.get(), "RSA") == 1) {
    const int bits = ::EVP_PKEY_get_bits(handle.get());
    if (bits < kRsaBitsMin) {
      return fail(errc::weak_key,
                  fmt::format("an RSA key of {} bits is too weak; {} is the least", bits, kRsaBitsMin));
    }
    if (bits > kRsaBitsMax) {
      return fail(errc::bad_key,
                  fmt::format("an RSA key of {} bits is too large; {} is the most", bits, kRsaBitsMax));
    }
    key.type_ = KeyType::rsa;
  } else if (::EVP_PKEY_is_a(handle.get(), "ED25519") == 1) {
    key.type_ = KeyType::ed25519;
  } else if (::EVP_PKEY_is_a(handle.get(), "EC") == 1) {
    std::array<char, 64> group{};
    size_t size = 0;
    if (::EVP_PKEY_get_group_name(handle.get(), group.data(), group.size(), &size) != 1) {
      ::ERR_clear_error();
      return fail(errc::bad_key, "its curve has no name; P-256, P-384 and P-521 are known");
    }
    const std::string_view curve(group.data(), size);
    if (curve == "prime256v1" || curve == "P-256") {
      key.type_ = KeyType::ec_p256;
    } else if (curve == "secp384r1" || curve == "P-384") {
      key.type_ = KeyType::ec_p384;
    } else if (curve == "secp521r1" || curve == "P-521") {
      key.type_ = KeyType::ec_p521;
    } else {
      return fail(errc::bad_key, fmt::format("the curve {} is not known; P-256, P-384 and P-521 are", curve));
    }
  } else {
    return fail(errc::bad_key, "it is neither RSA, nor ECDSA on P-256, P-384 or P-521, nor Ed25519");
  }
  key.handle_ = std::move(handle);
  return key;
}

Result<Key> Key::from_pem(std::string_view pem) {
  if (pem.size() > kKeySetBytesMax) {
    return fail(errc::bad_key, fmt::format("the PEM text has more than {} bytes", kKeySetBytesMax));
  }
  const auto block = first_block(pem);
  if (!block) return fail(block.error());
  if (block->label == "ENCRYPTED PRIVATE KEY" || block->text.find("ENCRYPTED") != std::string_view::npos) {
    return fail(errc::bad_key,
                "the key is under a passphrase; take it off with: openssl pkey -in OLD -out NEW");
  }
  const std::unique_ptr<BIO, BioFree> bio(
      ::BIO_new_mem_buf(block->text.data(), static_cast<int>(block->text.size())));
  if (!bio) return fail(errc::crypto, "no memory for a key");
  EVP_PKEY* read = nullptr;
  bool is_private = false;
  if (block->label == "PUBLIC KEY") {
    read = ::PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr);
  } else if (block->label == "RSA PUBLIC KEY") {
    // PKCS #1: PEM_read_bio_PUBKEY knows only the other form.
    unsigned char* der = nullptr;
    long size = 0;
    if (::PEM_bytes_read_bio(&der, &size, nullptr, "RSA PUBLIC KEY", bio.get(), no_passphrase, nullptr) ==
        1) {
      const unsigned char* at = der;
      read = ::d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size);
      ::OPENSSL_free(der);
    }
  } else if (block->label == "CERTIFICATE") {
    const Handle<X509, ::X509_free> certificate(
        ::PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (certificate) read = ::X509_get_pubkey(certificate.get());
  } else if (block->label == "PRIVATE KEY" || block->label == "RSA PRIVATE KEY" ||
             block->label == "EC PRIVATE KEY") {
    read = ::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
    is_private = true;
  } else {
    return fail(errc::bad_key,
                fmt::format("a PEM block \"{}\" is not a key that signs tokens", block->label));
  }
  std::shared_ptr<EVP_PKEY> handle(read, [](EVP_PKEY* one) { ::EVP_PKEY_free(one); });
  if (!handle) {
    ::ERR_clear_error();
    return fail(errc::bad_key,
                fmt::format("the PEM block \"{}\" is damaged, or of a kind that is not known", block->label));
  }
  return of_handle(std::move(handle), is_private);
}

}  // namespace courier::jose
