#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace courier {
namespace {

TEST(Utf8, TheFirstAndLastOfEachLengthAreWellFormed) {
  for (const std::string& text :
       {std::string("\0", 1), std::string("\x7f"), std::string("\xc2\x80"), std::string("\xdf\xbf"),
        std::string("\xe0\xa0\x80"), std::string("\xed\x9f\xbf"), std::string("\xee\x80\x80"),
        std::string("\xef\xbf\xbf"), std::string("\xf0\x90\x80\x80"), std::string("\xf4\x8f\xbf\xbf")}) {
    EXPECT_TRUE(is_well_formed_utf8(text));
    EXPECT_EQ(first_utf8(text).size, text.size());
  }
  EXPECT_EQ(first_utf8("\xe2\x82\xac").code, char32_t{0x20AC});
  EXPECT_EQ(first_utf8("\xf4\x8f\xbf\xbf").code, char32_t{0x10FFFF});
}

TEST(Utf8, WhatIsIllFormedIsTakenByteByByte) {
  for (const std::string_view text :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc2z"}) {
    EXPECT_FALSE(is_well_formed_utf8(text));
    EXPECT_FALSE(first_utf8(text).valid);
    EXPECT_EQ(first_utf8(text).size, 1u);
  }
}

}  // namespace
}  // namespace courier
