#include "store/rocksdb/message_count.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/merge_operator.h>

#include "base/varint.h"
#include "record/codec.h"
#include "store/errc.h"

namespace courier::store {
namespace {

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Sums operands. Bytes that are none count as damage of this one message: they must not make RocksDB refuse
// the whole compaction, and the message they hide is missed when somebody loads it.
class Sum {
 public:
  void add(std::string_view operand) {
    const Result<MessageCount> part = decode_message_count(operand);
    if (!part) {
      damaged_ = true;
      return;
    }
    count_ += part->count;
    if (message_.empty()) message_ = part->message;
  }
  // `final`: nothing older can follow, so that a message nobody names need not be kept.
  void write(std::string& out, bool final) const {
    const int64_t count = damaged_ && count_ >= 0 ? -1 : count_;
    out.clear();
    put_varint(out, zigzag(count));
    if (!final || count != 0) out.append(message_);
  }

 private:
  int64_t count_ = 0;
  bool damaged_ = false;
  std::string_view message_;
};

class Merger : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "courier.message_count"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    Sum sum;
    if (in.existing_value != nullptr) sum.add(view(*in.existing_value));
    for (const rocksdb::Slice& operand : in.operand_list) sum.add(view(operand));
    sum.write(out->new_value, true);
    return true;
  }
  bool PartialMergeMulti(const rocksdb::Slice&, const std::deque<rocksdb::Slice>& operands, std::string* out,
                         rocksdb::Logger*) const override {
    Sum sum;
    for (const rocksdb::Slice& operand : operands) sum.add(view(operand));
    sum.write(*out, false);
    return true;
  }
};

class Filter : public rocksdb::CompactionFilter {
 public:
  const char* Name() const override { return "courier.message_count_zero"; }

  // Asked about whole values only; operands that still wait for older ones are not shown to it.
  Decision FilterV2(int, const rocksdb::Slice&, ValueType type, const rocksdb::Slice& value, std::string*,
                    std::string*) const override {
    if (type != ValueType::kValue) return Decision::kKeep;
    const Result<MessageCount> count = decode_message_count(view(value));
    return count && count->count == 0 ? Decision::kRemove : Decision::kKeep;
  }
};

}  // namespace

std::string encode_message_count(int64_t count, const mqtt::Message* message) {
  std::string value;
  put_varint(value, zigzag(count));
  if (message != nullptr) record::encode_message(value, *message);
  return value;
}

Result<MessageCount> decode_message_count(std::string_view value) {
  const auto count = take_varint(value);
  if (!count) return fail(errc::damaged, "a count of references cannot be read");
  return MessageCount{unzigzag(*count), value};
}

std::shared_ptr<rocksdb::MergeOperator> make_message_count_merger() {
  return std::make_shared<Merger>();
}

const rocksdb::CompactionFilter& message_count_filter() {
  static const Filter filter;
  return filter;
}

}  // namespace courier::store
