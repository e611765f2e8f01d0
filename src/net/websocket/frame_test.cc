#include "net/websocket/frame.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace courier::net::websocket {
namespace {

Mask mask_of(const char (&bytes)[5]) {
  Mask mask;
  std::memcpy(&mask, bytes, sizeof(mask));
  return mask;
}

std::string_view refused(std::string_view bytes) {
  const FrameDecoded decoded = decode_frame_header(bytes);
  const auto* violation = std::get_if<FrameViolation>(&decoded);
  return violation ? violation->what : std::string_view();
}

std::string bytes(std::initializer_list<int> values) {
  std::string made;
  for (const int value : values) made += static_cast<char>(value);
  return made;
}

TEST(Frame, IsReadAsItWasWrittenInTheShortestForm) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{125}, uint64_t{126}, uint64_t{65'535}, uint64_t{65'536},
                              uint64_t{1} << 40, (uint64_t{1} << 63) - 1}) {
    for (const std::optional<Mask> mask : {std::optional<Mask>(), std::optional<Mask>(0x12345678)}) {
      std::string wire;
      append_frame_header(Opcode::binary, size, mask, wire);
      EXPECT_EQ(wire.size(), 2 + (size < 126 ? 0 : size < 65'536 ? 2 : 8) + (mask ? 4u : 0u));
      for (size_t cut = 0; cut < wire.size(); ++cut) {
        EXPECT_TRUE(std::holds_alternative<FrameNeedMore>(
            decode_frame_header(std::string_view(wire).substr(0, cut))));
      }
      const auto header = std::get<FrameHeader>(decode_frame_header(wire + "payload"));
      EXPECT_EQ(header, (FrameHeader{Opcode::binary, true, mask, size, wire.size()}));
    }
  }
}

TEST(Frame, IsRefusedAsSoonAsTheByteThatIsWrongHasCome) {
  EXPECT_EQ(refused(bytes({0xC2})), "reserved bits are set, and no extension was agreed on");
  EXPECT_EQ(refused(bytes({0xA2})), "reserved bits are set, and no extension was agreed on");
  EXPECT_EQ(refused(bytes({0x92})), "reserved bits are set, and no extension was agreed on");
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    EXPECT_EQ(refused(bytes({0x80 | opcode})), "the opcode is reserved");
  }
  for (const int opcode : {8, 9, 10}) {
    EXPECT_EQ(refused(bytes({opcode})), "a control frame may not come in fragments");
    EXPECT_EQ(refused(bytes({0x80 | opcode, 0x80 | 126})), "a control frame has more than 125 bytes");
  }
  EXPECT_EQ(refused(bytes({0x82, 0x80 | 126, 0, 125})), "the length is not in its shortest form");
  EXPECT_EQ(refused(bytes({0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})),
            "the length is not in its shortest form");
  EXPECT_EQ(refused(bytes({0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})), "the length is beyond 2^63");
}

TEST(Frame, MasksInPiecesAsInOne) {
  const Mask mask = mask_of("\x01\x02\x04\x08");
  std::string plain;
  for (int i = 0; i < 100; ++i) plain += static_cast<char>(i * 7);
  std::string expected = plain;
  for (size_t i = 0; i < expected.size(); ++i)
    expected[i] = static_cast<char>(expected[i] ^ "\x01\x02\x04\x08"[i % 4]);
  for (size_t cut = 0; cut <= plain.size(); ++cut) {
    for (size_t second = cut; second <= plain.size(); second += 13) {
      std::string masked = plain;
      const std::span<char> all(masked);
      const Mask next = apply_mask(all.subspan(0, cut), mask);
      const Mask last = apply_mask(all.subspan(cut, second - cut), next);
      apply_mask(all.subspan(second), last);
      ASSERT_EQ(masked, expected) << cut << " " << second;
    }
  }
}

TEST(Frame, KnowsWhichStatusesAreSent) {
  for (const uint16_t status :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999})
    EXPECT_TRUE(is_close_status(status)) << status;
  for (const uint16_t status : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65'535})
    EXPECT_FALSE(is_close_status(status)) << status;
}

}  // namespace
}  // namespace courier::net::websocket
