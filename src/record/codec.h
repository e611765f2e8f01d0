// The bytes of records and batches. Golden samples in samples/; docs/on-disk.md tells the layout.
//
//   batch  = version u8 (kFormat) · clock i64 · count varint · record… · xxh64 of all before, u64
//   record = type u8 · length varint · body
// Integers are little-endian or varints (LEB128); strings are a varint length and bytes.
// Decoding trusts nothing: every length is checked, an unknown version or type is an error that says so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "record/record.h"

namespace courier::record {

inline constexpr uint8_t kFormat = 1;

// Appends one record (type, length, body).
void encode(std::string& out, const Record& record);
// Decodes one record from the front of `bytes` and removes it.
Result<Record> decode(std::string_view& bytes);

// A batch is assembled from the already encoded records of several appenders.
std::string encode_batch(WallMs clock, size_t record_count, std::string_view encoded_records);
struct DecodedBatch {
  WallMs clock = 0;
  std::vector<Record> records;
};
Result<DecodedBatch> decode_batch(std::string_view bytes);

// A message alone, as rows of the state store hold it.
void encode_message(std::string& out, const mqtt::Message& message);
Result<mqtt::MessagePtr> decode_message(std::string_view& bytes);

}  // namespace courier::record
