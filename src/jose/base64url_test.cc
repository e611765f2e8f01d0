#include "jose/base64url.h"

#include <gtest/gtest.h>

#include "jose/errc.h"

namespace courier::jose {
namespace {

// RFC 4648, section 10, in the alphabet of section 5.
TEST(Base64Url, HasNoPadding) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("f"), "Zg");
  EXPECT_EQ(base64url("fo"), "Zm8");
  EXPECT_EQ(base64url("foo"), "Zm9v");
  EXPECT_EQ(base64url("\xfb\xff"), "-_8");
}

TEST(Base64Url, DecodesWhatItEncoded) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64url(base64url(bytes)).value(), bytes);
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64Url, RefusesEveryOtherSpellingOfTheSameBytes) {
  for (const char* text : {"Zg==", "Zg=", "Zm 8", "Zm8\n", "+_8", "-/8", "Zh", "Zm9", "Z", "Zm9vZ",
                           "\xc3\xa9"
                           "aa"}) {
    const auto decoded = decode_base64url(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code, errc::bad_base64url) << text;
  }
}

TEST(Base64, HasPaddingAndTheOtherAlphabet) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xfb\xff"), "+/8=");
}

TEST(Base64, DecodesWithPaddingAndWithout) {
  for (const char* text : {"+/8=", "+/8", "-_8=", "-_8"}) EXPECT_EQ(decode_base64(text).value(), "\xfb\xff");
  EXPECT_EQ(decode_base64("").value(), "");
  for (const char* text : {"Zg=", "Zg===", "====", "Z=g=", "Zm 8", "Zm8\n", "=Zm8", "Zh=="}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
}

}  // namespace
}  // namespace courier::jose
