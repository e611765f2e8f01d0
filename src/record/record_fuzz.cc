// Any bytes, read as a record and as a batch, either are refused or say something: written again and read
// again, they say the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "record/codec.h"
#include "record/record_test_specimens.h"

namespace {

using namespace courier;

void check_record(std::string_view bytes) {
  Result<record::Record> first = record::decode(bytes);
  if (!first) return;
  std::string again;
  record::encode(again, *first);
  std::string_view rest = again;
  const Result<record::Record> second = record::decode(rest);
  CHECK(second && rest.empty() && record::same(*first, *second));
}

void check_message(std::string_view bytes) {
  const Result<mqtt::MessagePtr> first = record::decode_message(bytes);
  if (!first) return;
  std::string again;
  record::encode_message(again, **first);
  std::string_view rest = again;
  const Result<mqtt::MessagePtr> second = record::decode_message(rest);
  CHECK(second && rest.empty() && record::same(*first, *second));
}

void check_batch(std::string_view bytes) {
  const Result<record::DecodedBatch> first = record::decode_batch(bytes);
  if (!first) return;
  std::string records;
  for (const record::Record& r : first->records) record::encode(records, r);
  const Result<record::DecodedBatch> second =
      record::decode_batch(record::encode_batch(first->clock, first->records.size(), records));
  CHECK(second && second->clock == first->clock && second->records.size() == first->records.size());
  for (size_t i = 0; i < first->records.size(); ++i)
    CHECK(record::same(first->records[i], second->records[i]));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_record(bytes);
  check_message(bytes);
  check_batch(bytes);
  // No fuzzer guesses a checksum: the same bytes as what a batch with a good one holds, behind their count.
  if (!bytes.empty()) check_batch(record::encode_batch(1, bytes[0] & 0x0F, bytes.substr(1)));
  return 0;
}
