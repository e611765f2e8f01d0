#include "store/rocksdb/message_count.h"

#include <gtest/gtest.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/merge_operator.h>

#include <deque>
#include <random>

#include "record/codec.h"
#include "store/store_test_contract.h"

namespace courier::store {
namespace {

std::string merged(const std::string* base, const std::vector<std::string>& operands) {
  const rocksdb::Slice key("k");
  rocksdb::Slice base_slice;
  if (base != nullptr) base_slice = *base;
  const std::vector<rocksdb::Slice> slices(operands.begin(), operands.end());
  std::string value;
  rocksdb::Slice chosen;
  rocksdb::MergeOperator::MergeOperationOutput out(value, chosen);
  const rocksdb::MergeOperator::MergeOperationInput in(key, base == nullptr ? nullptr : &base_slice, slices,
                                                       nullptr);
  EXPECT_TRUE(make_message_count_merger()->FullMergeV2(in, &out));
  return value;
}

std::string partly_merged(const std::vector<std::string>& operands) {
  const std::deque<rocksdb::Slice> slices(operands.begin(), operands.end());
  std::string value;
  EXPECT_TRUE(make_message_count_merger()->PartialMergeMulti("k", slices, &value, nullptr));
  return value;
}

bool dropped(const std::string& value, rocksdb::CompactionFilter::ValueType type) {
  std::string ignored;
  return message_count_filter().FilterV2(0, "k", type, value, &ignored, &ignored) ==
         rocksdb::CompactionFilter::Decision::kRemove;
}

TEST(MessageCount, SumIsTheSameHoweverOperandsAreGrouped) {
  const mqtt::MessagePtr message = message_of("payload");
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> operands{encode_message_count(5, message.get())};
    int64_t sum = 5;
    for (size_t i = 0; i < random() % 6; ++i) {
      const auto delta = static_cast<int64_t>(random() % 5) - 2;
      sum += delta;
      operands.push_back(encode_message_count(delta, nullptr));
    }
    const std::string at_once = merged(nullptr, operands);
    const auto cut = static_cast<ptrdiff_t>(random() % (operands.size() + 1));
    const std::vector<std::string> left(operands.begin(), operands.begin() + cut);
    const std::vector<std::string> right(operands.begin() + cut, operands.end());
    std::vector<std::string> grouped;
    if (!left.empty()) grouped.push_back(partly_merged(left));
    if (!right.empty()) grouped.push_back(partly_merged(right));
    EXPECT_EQ(merged(nullptr, grouped), at_once);
    const std::string base = merged(nullptr, left.empty() ? operands : left);
    if (!left.empty() && decode_message_count(base)->count != 0) {
      EXPECT_EQ(merged(&base, right), at_once);
    }
    const Result<MessageCount> decoded = decode_message_count(at_once);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->count, sum);
    EXPECT_EQ(decoded->message.empty(), sum == 0) << "a message that nobody names takes no room";
  }
}

TEST(MessageCount, OnlyWholeValuesOfZeroAreDropped) {
  using Type = rocksdb::CompactionFilter::ValueType;
  EXPECT_TRUE(dropped(encode_message_count(0, nullptr), Type::kValue));
  EXPECT_FALSE(dropped(encode_message_count(1, message_of("x").get()), Type::kValue));
  EXPECT_FALSE(dropped(encode_message_count(-1, nullptr), Type::kValue))
      << "damage is kept for who looks at it";
  EXPECT_FALSE(dropped(encode_message_count(0, nullptr), Type::kMergeOperand)) << "older operands may follow";
  EXPECT_FALSE(dropped("", Type::kValue));
}

TEST(MessageCount, BytesThatAreNoCountAreDamageAndNoCrash) {
  const std::string good = encode_message_count(3, message_of("x").get());
  const Result<MessageCount> sum = decode_message_count(merged(nullptr, {good, std::string("\xFF\xFF", 2)}));
  ASSERT_TRUE(sum);
  EXPECT_LT(sum->count, 0);
}

}  // namespace
}  // namespace courier::store
