// What the decoder accepts beyond the golden packets: leniency of 3.1, extensions, limits, and what it costs.
#include "mqtt/decoder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "mqtt/encoder.h"
#include "mqtt/test_bytes.h"

namespace {
thread_local size_t allocation_count = 0;
}

// Counted, so that "allocates nothing" is a test and not a hope. Not inlined: the compiler would see malloc()
// on one side only and take the pair for mismatched.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocation_count;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace courier::mqtt {
namespace {

const DecodeLimits kExtended{.v3_1_1_extensions = true};

template <typename Body>
Body decoded(const std::string& bytes, Version version, const DecodeLimits& limits = {},
             Side side = Side::server) {
  const bool connect = std::is_same_v<Body, Connect>;
  const DecodeResult result = decode_one(bytes, version, side, connect, limits);
  if (const auto* violation = std::get_if<Violation>(&result)) ADD_FAILURE() << describe(*violation);
  const auto* whole = std::get_if<Decoded>(&result);
  if (whole == nullptr || !std::holds_alternative<Body>(whole->packet)) {
    ADD_FAILURE() << "not decoded";
    return {};
  }
  return std::get<Body>(whole->packet);
}

// 3.1, section 3.1: the remaining length takes precedence over the user name and password flags.
TEST(Version31, MayEndBeforeTheUserNameThatItsFlagsPromise) {
  const std::string bytes = hex("10 0F 0006 4D5149736470 03 C2 0000 0001 61");
  const Connect connect = decoded<Connect>(bytes, Version::v3_1);
  EXPECT_FALSE(connect.username);
  EXPECT_FALSE(connect.password);
  const std::string longer = hex("10 12 0006 4D5149736470 03 C2 0000 0001 61 0001 62");
  EXPECT_EQ(decoded<Connect>(longer, Version::v3_1).username, "b");
}

TEST(Version31, MaySetDupWhereItExpectsAnAnswer) {
  decoded<Pubrel>(hex("6A 02 000A"), Version::v3_1);
  decoded<Subscribe>(hex("8A 06 0001 0001 61 00"), Version::v3_1);
  decoded<Unsubscribe>(hex("AA 05 0001 0001 61"), Version::v3_1);
}

TEST(Version31, LeavesConnectFlagsWithoutAWillUnread) {
  const std::string bytes = hex("10 0F 0006 4D5149736470 03 2B 0000 0001 61");
  EXPECT_FALSE(decoded<Connect>(bytes, Version::v3_1).will);
}

TEST(Extensions, TakeUserPropertiesAfterThePasswordAsABlock) {
  const std::string bytes = hex("10 1A 0004 4D515454 04 C2 0000 0000 0001 61 0001 62 07 26 0001 63 0001 64");
  const Connect connect = decoded<Connect>(bytes, Version::v3_1_1, kExtended);
  EXPECT_EQ(connect.password, "b");
  EXPECT_EQ(connect.user_properties, (UserProperties{{"c", "d"}}));
}

TEST(Extensions, TakeUserPropertiesAfterThePasswordAsBareTriples) {
  const std::string bytes =
      hex("10 20 0004 4D515454 04 C2 0000 0000 0001 61 0001 62 26 0001 63 0001 64 26 0001 65 0001 66");
  const Connect connect = decoded<Connect>(bytes, Version::v3_1_1, kExtended);
  EXPECT_EQ(connect.user_properties, (UserProperties{{"c", "d"}, {"e", "f"}}));
}

// A block of 38 bytes begins like a bare triple.
TEST(Extensions, TellABlockOf38BytesFromATriple) {
  const std::string bytes =
      hex("10 39 0004 4D515454 04 C2 0000 0000 0001 61 0001 62 26 26 0020 "
          "6161616161616161616161616161616161616161616161616161616161616161 0001 64");
  const Connect connect = decoded<Connect>(bytes, Version::v3_1_1, kExtended);
  EXPECT_EQ(connect.user_properties,
            (UserProperties{{std::string_view("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "d"}}));
}

TEST(Extensions, RefuseOtherBytesAfterThePassword) {
  for (const char* tail : {"00 00", "25 0001 63 0001 64", "26 0001 63 0001", "07 26 0001 63 0001 FF"}) {
    std::string bytes = hex("10 00 0004 4D515454 04 C2 0000 0000 0001 61 0001 62") + hex(tail);
    bytes[1] = static_cast<char>(bytes.size() - 2);
    const DecodeResult result = decode_one(bytes, Version::v3_1_1, Side::server, true, kExtended);
    EXPECT_TRUE(std::holds_alternative<Violation>(result)) << tail;
  }
}

TEST(Extensions, ReadTheOptionBitsOf311) {
  const Subscribe subscribe =
      decoded<Subscribe>(hex("82 0A 0001 0001 61 05 0001 62 0A"), Version::v3_1_1, kExtended);
  EXPECT_TRUE(subscribe.entries[0].options.non_persistent);
  EXPECT_FALSE(subscribe.entries[0].options.no_retry);
  EXPECT_EQ(subscribe.entries[0].options.qos, Qos::at_least_once);
  EXPECT_FALSE(subscribe.entries[1].options.non_persistent);
  EXPECT_TRUE(subscribe.entries[1].options.no_retry);
  EXPECT_FALSE(subscribe.entries[1].options.no_local);
}

TEST(Extensions, LeaveOtherVersionsAsStrictAsTheyAre) {
  for (const Version version : {Version::v3_1, Version::v5}) {
    const std::string bytes =
        version == Version::v5 ? hex("82 07 0001 00 0001 61 44") : hex("82 06 0001 0001 61 04");
    const DecodeResult result = decode_one(bytes, version, Side::server, false, kExtended);
    EXPECT_TRUE(std::holds_alternative<Violation>(result)) << name(version);
  }
}

// [MQTT-1.5.4-3]
TEST(Strings, KeepAByteOrderMarkWhereverItStands) {
  const std::string bytes = hex("30 0A 0008 61 EFBBBF 62 EFBBBF");
  EXPECT_EQ(decoded<Publish>(bytes, Version::v3_1_1).topic,
            "a\xEF\xBB\xBF"
            "b\xEF\xBB\xBF");
}

TEST(Limits, RefuseATooLargePacketFromItsFixedHeader) {
  const std::string header = hex("30 80 01");  // 131 bytes in all
  const DecodeResult refused = decode_one(header, Version::v5, Side::server, false, {.packet_size_max = 130});
  ASSERT_TRUE(std::holds_alternative<Violation>(refused));
  EXPECT_EQ(std::get<Violation>(refused).reason, ReasonCode::packet_too_large);
  const DecodeResult awaited = decode_one(header, Version::v5, Side::server, false, {.packet_size_max = 131});
  ASSERT_TRUE(std::holds_alternative<NeedMore>(awaited));
  EXPECT_EQ(std::get<NeedMore>(awaited).total, 131u);
}

TEST(Limits, LetTheLargestPacketBeAwaited) {
  const DecodeLimits limits{.packet_size_max = 0xFFFFFFFF};
  const DecodeResult result = decode_one(hex("30 FF FF FF 7F"), Version::v5, Side::server, false, limits);
  ASSERT_TRUE(std::holds_alternative<NeedMore>(result));
  EXPECT_EQ(std::get<NeedMore>(result).total, 268'435'460u);
}

TEST(Cost, OfAPublishWithoutSubscriptionIdentifiersIsNoAllocation) {
  const std::string plain = hex("32 0A 0003 612F62 0001 00 6869");
  const std::string full = hex("32 18 0003 612F62 0001 0E 02 00000005 01 01 26 0001 6B 0001 76 6869");
  for (const std::string& bytes : {plain, full}) {
    const size_t before = allocation_count;
    const DecodeResult result = decode_one(bytes, Version::v5, Side::server, false, DecodeLimits{});
    EXPECT_EQ(allocation_count, before);
    EXPECT_TRUE(std::holds_alternative<Decoded>(result));
  }
}

TEST(Cost, OfADeliveryIsNoAllocationOnceTheBufferHasRoom) {
  const MessagePtr message = [] {
    return MessagePtr(
        Message::make("merchant/1/orders", std::string(500, 'x'), hex("01 01 26 0001 6B 0001 76")));
  }();
  const uint32_t identifiers[] = {1, 2};
  const Delivery delivery{.qos = Qos::at_least_once,
                          .packet_id = PacketId(1),
                          .message_expiry_seconds = 5,
                          .subscription_identifiers = identifiers,
                          .subscription_identifier_count = 2};
  std::string out;
  out.reserve(1024);
  const size_t before = allocation_count;
  encode_delivery(out, *message, delivery, Version::v5);
  EXPECT_EQ(allocation_count, before);
}

// Growth must stay geometric: a Turn appends thousands of deliveries to one buffer.
TEST(Cost, OfManyDeliveriesIsAFewGrowthsOfTheBuffer) {
  const MessagePtr message(Message::make("a", std::string(100, 'x')));
  std::string out;
  const size_t before = allocation_count;
  for (int i = 0; i < 10'000; ++i) encode_delivery(out, *message, {}, Version::v3_1_1);
  EXPECT_LT(allocation_count - before, 32u);
}

}  // namespace
}  // namespace courier::mqtt
