#include "base/shown_text.h"

#include <gtest/gtest.h>

namespace courier {
namespace {

TEST(ShownText, IsObeyedByNoTerminal) {
  EXPECT_EQ(shown("plain text, µs and …"), "plain text, µs and …");
  EXPECT_EQ(shown("\x1b[2J\r\n\tx\x7f"), "\\x1b[2J\\x0d\\x0a\\x09x\\x7f");
  EXPECT_EQ(shown(std::string("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(shown("\xff\xc3("), "\\xff\\xc3(") << "bytes that are not UTF-8";
  EXPECT_EQ(shown("\u009b31m \u202e \ufeff"), "\\u{9b}31m \\u{202e} \\u{feff}");
}

TEST(ShownText, IsTheSameWhenItIsShownAgain) {
  const std::string once = shown("\x1b \xff \u202e");
  EXPECT_EQ(shown(once), once);
}

TEST(ShownText, IsCutBetweenCharacters) {
  EXPECT_EQ(shown("abcd", 4), "abcd");
  EXPECT_EQ(shown("abcde", 4), "abc…");
  EXPECT_EQ(shown("äöüäöü", 4), "äöü…");
  EXPECT_EQ(shown("ab\xff\xff", 6), "ab…") << "no half of an escape";
  EXPECT_EQ(shown("abc", 0), "");
  EXPECT_EQ(shown("", 0), "");
  for (size_t columns = 0; columns < 12; ++columns) {
    EXPECT_LE(columns_of(shown("a\xff\u202e\x01z", columns)), columns);
  }
}

}  // namespace
}  // namespace courier
