// A message that several inboxes name is stored once, with the number of rows that name it.
//
//   value = count, zigzag varint · message as record::encode_message() has it, or nothing
//
// A change of the count is a merge operand of the same shape, so that no write ever reads. RocksDB sums them
// when it reads or compacts; what has come down to 0 is dropped by the next compaction that sees it. A count
// below 0 means that the first operand is missing: damage, which load_messages() reports; here it is only a
// number.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mqtt/message.h"

namespace rocksdb {
class CompactionFilter;
class MergeOperator;
}  // namespace rocksdb

namespace courier::store {

struct MessageCount {
  int64_t count = 0;
  std::string_view message;  // encoded; empty: not in this operand
};
std::string encode_message_count(int64_t count, const mqtt::Message* message);
Result<MessageCount> decode_message_count(std::string_view value);

std::shared_ptr<rocksdb::MergeOperator> make_message_count_merger();
const rocksdb::CompactionFilter& message_count_filter();

}  // namespace courier::store
