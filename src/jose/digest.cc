#include "jose/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>

#include "base/check.h"

namespace courier::jose {

Digest sha256(std::string_view bytes) {
  // OpenSSL 3 looks an algorithm up by its name each time, unless it is held; that takes longer than the
  // digest.
  static const EVP_MD* const kSha256 = ::EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype([](EVP_MD_CTX* one) { ::EVP_MD_CTX_free(one); })>
      context(::EVP_MD_CTX_new());
  Digest digest;
  CHECK(::EVP_DigestInit_ex2(context.get(), kSha256, nullptr) == 1 &&
        ::EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
        ::EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

std::string hmac_sha256(std::string_view secret, std::string_view bytes) {
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  CHECK(::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
               reinterpret_cast<unsigned char*>(mac.data()), &size) != nullptr);
  mac.resize(size);
  return mac;
}

std::string pbkdf2_sha256(std::string_view password, std::string_view salt, uint32_t iterations) {
  std::string key(32, '\0');
  CHECK(::PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                            reinterpret_cast<const unsigned char*>(salt.data()),
                            static_cast<int>(salt.size()), static_cast<int>(iterations), ::EVP_sha256(),
                            static_cast<int>(key.size()), reinterpret_cast<unsigned char*>(key.data())) == 1);
  return key;
}

}  // namespace courier::jose
