#include "record/codec.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>

#include "record/errc.h"
#include "record/record_test_specimens.h"

namespace courier::record {
namespace {

std::string sample_path(const std::string& name) {
  return SAMPLES_DIR "/" + name + ".bin";
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// With COURIER_WRITE_SAMPLES set, new samples are written. Ones that exist are never changed: they are on
// disk at somebody's.
void write_if_new(const std::string& name, const std::string& bytes) {
  if (std::getenv("COURIER_WRITE_SAMPLES") == nullptr || !read(sample_path(name)).empty()) return;
  std::ofstream(sample_path(name), std::ios::binary) << bytes;
}

std::string encoded(const Record& record) {
  std::string bytes;
  encode(bytes, record);
  return bytes;
}

TEST(Codec, EveryKindOfRecordHasASpecimen) {
  std::vector<bool> seen(std::variant_size_v<Record>);
  for (const auto& [name, record] : specimens()) seen[record.index()] = true;
  EXPECT_EQ(seen, std::vector<bool>(std::variant_size_v<Record>, true));
}

TEST(Codec, SpecimensHaveTheirGoldenBytes) {
  for (const auto& [name, record] : specimens()) {
    SCOPED_TRACE(name);
    write_if_new(name, encoded(record));
    const std::string golden = read(sample_path(name));
    ASSERT_FALSE(golden.empty());
    EXPECT_EQ(encoded(record), golden);
    std::string_view rest = golden;
    const Result<Record> back = decode(rest);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(same(*back, record));
    EXPECT_TRUE(rest.empty());
  }
}

TEST(Codec, BatchHasItsGoldenBytes) {
  std::vector<std::pair<std::string, Record>> all = specimens();
  const std::span<const std::pair<std::string, Record>> sampled(all.data(), kSpecimensInGoldenFiles);
  std::string records;
  for (const auto& [name, record] : sampled) encode(records, record);
  const std::string bytes = encode_batch(1'700'000'000'999, sampled.size(), records);
  write_if_new("batch", bytes);
  EXPECT_EQ(bytes, read(sample_path("batch")));
  const Result<DecodedBatch> back = decode_batch(bytes);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->clock, 1'700'000'000'999);
  ASSERT_EQ(back->records.size(), sampled.size());
  for (size_t i = 0; i < back->records.size(); ++i) EXPECT_TRUE(same(back->records[i], sampled[i].second));
}

TEST(Codec, RandomRecordsComeBackAsTheyWere) {
  RecordMaker maker(20'240'501);
  for (int i = 0; i < 50'000; ++i) {
    const Record record = maker.record();
    const std::string bytes = encoded(record);
    std::string_view rest = bytes;
    const Result<Record> back = decode(rest);
    ASSERT_TRUE(back) << i << ": " << back.error().message;
    ASSERT_TRUE(same(*back, record)) << i;
    ASSERT_TRUE(rest.empty()) << i;
  }
}

TEST(Codec, LargePayloadsComeBackWhateverTheirLengthsLength) {
  for (const size_t size :
       {0u, 80u, 100u, 120u, 127u, 128u, 16'300u, 16'383u, 16'384u, 70'000u, 2'097'152u}) {
    auto* message = mqtt::Message::make("", std::string(size, 'x'));
    const Record record = Publish{mqtt::MessagePtr(message), "", {}};
    std::string bytes = "before";
    encode(bytes, record);
    std::string_view rest = std::string_view(bytes).substr(6);
    const Result<Record> back = decode(rest);
    ASSERT_TRUE(back) << size << ": " << back.error().message;
    EXPECT_TRUE(same(*back, record)) << size;
  }
}

TEST(Codec, EveryTruncationOfASpecimenIsTruncated) {
  for (const auto& [name, record] : specimens()) {
    const std::string bytes = encoded(record);
    for (size_t size = 0; size < bytes.size(); ++size) {
      // A copy of its own, so that the address sanitizer sees a read past the end.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
      std::string_view rest(cut.data(), cut.size());
      const Result<Record> back = decode(rest);
      ASSERT_FALSE(back) << name << " cut to " << size;
      EXPECT_EQ(back.error().code, make_error_code(errc::truncated)) << name << " cut to " << size;
      EXPECT_EQ(rest.size(), size) << "nothing is taken of a record that cannot be read";
    }
  }
}

TEST(Codec, EveryTruncationInsideABodyOfConsistentLengthIsRefused) {
  for (const auto& [name, record] : specimens()) {
    const std::string bytes = encoded(record);
    ASSERT_LT(bytes.size(), 130u) << "the length is expected in one byte";
    const size_t body = bytes.size() - 2;
    for (size_t size = 0; size < body; ++size) {
      std::string cut = bytes.substr(0, 2 + size);
      cut[1] = static_cast<char>(size);
      std::string_view rest = cut;
      const Result<Record> back = decode(rest);
      EXPECT_FALSE(back) << name << " cut to " << size;
    }
    std::string longer = bytes + '\0';
    longer[1] = static_cast<char>(body + 1);
    std::string_view rest = longer;
    const Result<Record> back = decode(rest);
    ASSERT_FALSE(back) << name;
    EXPECT_EQ(back.error().code, make_error_code(errc::out_of_range)) << name;
  }
}

TEST(Codec, EveryFlippedBitOfABatchIsNoticed) {
  std::string records;
  encode(records, specimens().front().second);
  const std::string bytes = encode_batch(5, 1, records);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    const Result<DecodedBatch> back = decode_batch(changed);
    ASSERT_FALSE(back) << bit;
    EXPECT_EQ(back.error().code, make_error_code(bit < 8 ? errc::unknown_version : errc::checksum)) << bit;
  }
}

TEST(Codec, EveryTruncationOfABatchIsNoticed) {
  const std::string bytes = read(sample_path("batch"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_batch(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(Codec, BatchThatHoldsMoreOrFewerRecordsThanItSaysIsRefused) {
  std::string records;
  encode(records, specimens().front().second);
  EXPECT_FALSE(decode_batch(encode_batch(5, 2, records)));
  EXPECT_FALSE(decode_batch(encode_batch(5, 0, records)));
  EXPECT_FALSE(decode_batch(encode_batch(5, ~size_t{0}, records)));
  EXPECT_TRUE(decode_batch(encode_batch(5, 0, "")));
}

TEST(Codec, UnknownTypeSaysWhichOne) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes : {"\x00\x00"sv, "\x11\x00"sv, "\xFF\x00"sv}) {
    std::string_view rest = bytes;
    const Result<Record> back = decode(rest);
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error().code, make_error_code(errc::unknown_type));
    EXPECT_NE(back.error().message.find(std::to_string(static_cast<uint8_t>(bytes[0]))), std::string::npos);
  }
}

TEST(Codec, ValuesThatAFieldCannotHoldAreRefused) {
  using namespace std::string_view_literals;
  const std::string_view bad[] = {
      "\x0A\x05\x02\x01\x80\x80\x04"sv,                  // QOS2_IN with packet id 65,536
      "\x05\x05\x02\x01\x04\x00\x00"sv,                  // DETACH with an unknown flag
      "\x0C\x04\x02\x00\x00\x00"sv,                      // DROPPED for reason 0
      "\x0C\x04\x02\x00\x06\x00"sv,                      // DROPPED for an unknown reason
      "\x10\x05\x80\x80\x80\x80\x10"sv,                  // FEATURE 2^32
      "\x02\x08\x02\x01\x00\x00\x00\x01\x03\x00"sv,      // SUBSCRIBE with QoS 3
      "\x02\x08\x02\x01\x00\x00\x00\x01\x30\x00"sv,      // SUBSCRIBE with retain handling 3
      "\x01\x07\x00\x00\x00\x03\x00\x00\x00"sv,          // PUBLISH with QoS 3
      "\x01\x07\x00\x00\x00\x40\x00\x00\x00"sv,          // PUBLISH with an unknown flag
      "\x04\x09\x00\x00\x00\x00\x00\x06\x00\x00\x00"sv,  // ATTACH of protocol level 6
      "\x04\x09\x00\x00\x00\x00\x00\x04\x00\x00\x04"sv,  // ATTACH with a flag that there is not
      "\x06\x07\x02\x01\x01\x00\x00\x80\x00"sv,          // ACKED with a size longer than needed
  };
  for (const std::string_view bytes : bad) {
    std::string_view rest = bytes;
    const Result<Record> back = decode(rest);
    ASSERT_FALSE(back) << static_cast<int>(bytes[0]);
    EXPECT_EQ(back.error().code, make_error_code(errc::out_of_range)) << static_cast<int>(bytes[0]);
  }
}

TEST(Codec, CountBeyondItsBytesAllocatesNothing) {
  using namespace std::string_view_literals;
  // ACKED that claims 2^40 references in three bytes.
  std::string_view rest = "\x06\x08\x02\x01\x80\x80\x80\x80\x80\x20"sv;
  const Result<Record> back = decode(rest);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, make_error_code(errc::truncated));
}

TEST(Codec, NeighbouringInboxReferencesTakeFewBytes) {
  Acked record;
  for (uint64_t i = 0; i < 100; ++i) {
    record.messages.push_back(
        {.seq = 1'000'000 + i, .position = Position(5'000'000'000 + 10 * i), .bytes = 400, .group = {}});
  }
  EXPECT_LT(encoded(record).size(), 100 * 4 + 20u);
}

TEST(Codec, MessageAloneComesBackAndLeavesWhatFollows) {
  RecordMaker maker(7);
  for (int i = 0; i < 5'000; ++i) {
    const mqtt::MessagePtr message = maker.message();
    std::string bytes;
    encode_message(bytes, *message);
    const size_t size = bytes.size();
    bytes += "next";
    std::string_view rest = bytes;
    const Result<mqtt::MessagePtr> back = decode_message(rest);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(same(*back, message));
    EXPECT_EQ(rest, "next");
    for (size_t cut = 0; cut < size; ++cut) {
      std::string_view part = std::string_view(bytes).substr(0, cut);
      ASSERT_FALSE(decode_message(part)) << cut;
    }
  }
}

TEST(Record, DropReasonsHaveNames) {
  EXPECT_EQ(name(DropReason::inbox_full_messages), "inbox_full_messages");
  EXPECT_EQ(name(DropReason::administrative), "administrative");
}

TEST(Record, SessionHashIsFixedForever) {
  // Sessions are found by it: a change would orphan every stored one.
  EXPECT_EQ(session_hash("", ""), session_hash("", ""));
  EXPECT_NE(session_hash("a", "b"), session_hash("ab", ""));
  EXPECT_EQ(session_hash("", "phone-1"), 34551);
  EXPECT_EQ(session_hash("tenant", "phone-1"), 30905);
}

TEST(Record, SessionHashSpreadsClientIdsEvenly) {
  std::vector<int> buckets(16);
  for (int i = 0; i < 16'000; ++i) ++buckets[session_hash("", "phone-" + std::to_string(i)) % 16];
  for (const int count : buckets) EXPECT_NEAR(count, 1000, 200);
}

}  // namespace
}  // namespace courier::record
