#include "courier/text_table.h"

#include <gtest/gtest.h>

namespace courier::cli {
namespace {

TEST(TextTable, AlignsByCharactersAndLeavesOutEmptyColumns) {
  TextTable table({"NAME", "NOTHING", "COUNT"});
  table.add({"caf\xc3\xa9", "", "1"});
  table.add({"x", "", "12"});
  EXPECT_EQ(table.text(), "NAME  COUNT\ncaf\xc3\xa9  1\nx     12\n");
}

TEST(TextTable, IsItsHeadingWhenThereIsNothingToShow) {
  EXPECT_EQ(TextTable({"NAME", "COUNT"}).text(), "NAME  COUNT\n");
}

TEST(TextTable, CellsStayOnTheirLineAndHarmless) {
  TextTable table({"NAME"});
  table.add({"a\nb\x1b[2J\xff\xe2\x80\xae"});
  EXPECT_EQ(table.text(), "NAME\na\\x0ab\\x1b[2J\\xff\\u{202e}\n");
}

TEST(ByteCount, IsShort) {
  EXPECT_EQ(byte_count(0), "0 B");
  EXPECT_EQ(byte_count(1023), "1023 B");
  EXPECT_EQ(byte_count(1536), "1.5 KiB");
  EXPECT_EQ(byte_count(uint64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(byte_count(uint64_t{5} << 50), "5120.0 TiB");
}

}  // namespace
}  // namespace courier::cli
