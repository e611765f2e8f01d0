#include "base/varint.h"

#include <gtest/gtest.h>

#include <limits>

namespace courier {
namespace {

TEST(Varint, ComesBackAtEveryBoundary) {
  for (int shift = 0; shift < 64; ++shift) {
    for (const uint64_t value : {(uint64_t{1} << shift) - 1, uint64_t{1} << shift}) {
      std::string bytes;
      put_varint(bytes, value);
      EXPECT_EQ(bytes.size(), varint_size(value));
      std::string_view rest = bytes;
      EXPECT_EQ(take_varint(rest), value);
      EXPECT_TRUE(rest.empty());
    }
  }
  std::string bytes;
  put_varint(bytes, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(bytes.size(), kVarintBytesMax);
  std::string_view rest = bytes;
  EXPECT_EQ(take_varint(rest), std::numeric_limits<uint64_t>::max());
}

TEST(Varint, TruncatedOneIsRefusedAndNothingIsTaken) {
  std::string bytes;
  put_varint(bytes, std::numeric_limits<uint64_t>::max());
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string_view rest(bytes.data(), size);
    EXPECT_FALSE(take_varint(rest));
    EXPECT_EQ(rest.size(), size);
  }
}

TEST(Varint, OneThatDoesNotFitOrIsLongerThanNeededIsRefused) {
  using namespace std::string_view_literals;
  for (std::string_view bytes : {"\x80\x00"sv, "\xFF\x80\x00"sv, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"sv,
                                 "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"sv}) {
    EXPECT_FALSE(take_varint(bytes));
  }
}

TEST(Varint, ZigzagKeepsSmallNumbersShortWhateverTheirSign) {
  EXPECT_EQ(zigzag(0), 0u);
  EXPECT_EQ(zigzag(-1), 1u);
  EXPECT_EQ(zigzag(1), 2u);
  for (const int64_t value :
       {std::numeric_limits<int64_t>::min(), int64_t{-2}, int64_t{77}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(unzigzag(zigzag(value)), value);
  }
}

}  // namespace
}  // namespace courier
