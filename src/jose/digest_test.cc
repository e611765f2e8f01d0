#include "jose/digest.h"

#include <gtest/gtest.h>

#include "jose/base64url.h"

namespace courier::jose {
namespace {

// FIPS 180-2, appendix B.1, and the empty text; twice, for what is kept between calls.
TEST(Digest, Sha256IsAsPublished) {
  for (int i = 0; i < 2; ++i) {
    const Digest abc = sha256("abc"), empty = sha256("");
    EXPECT_EQ(base64url({reinterpret_cast<const char*>(abc.data()), abc.size()}),
              "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
    EXPECT_EQ(base64url({reinterpret_cast<const char*>(empty.data()), empty.size()}),
              "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
  }
}

// RFC 4231, test case 2.
TEST(Digest, HmacIsAsPublished) {
  EXPECT_EQ(base64url(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
}

}  // namespace
}  // namespace courier::jose
