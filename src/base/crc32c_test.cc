#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace courier {
namespace {

// RFC 3720 appendix B.4.
TEST(Crc32c, AgreesWithTheExamplesOfTheRfc) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string rising;
  for (int i = 0; i < 32; ++i) rising.push_back(static_cast<char>(i));
  EXPECT_EQ(crc32c(rising), 0x46DD794Eu);
}

TEST(Crc32c, IsTheSameInOnePieceAndInTwo) {
  std::string text;
  for (int i = 0; i < 100; ++i) text.push_back(static_cast<char>(i * 37));
  for (size_t at = 0; at <= text.size(); ++at) {
    EXPECT_EQ(crc32c(std::string_view(text).substr(at), crc32c(std::string_view(text).substr(0, at))),
              crc32c(text));
  }
}

}  // namespace
}  // namespace courier
