// What the golden data directories hold: the same in the tool that makes them and in the test that reads
// them. Never changed once a directory is committed; a new format gets new content beside it.
#pragma once

#include <string>
#include <vector>

#include "record/record_test_specimens.h"
#include "store/rocksdb/schema.h"
#include "store/state_store.h"

namespace courier::golden {

inline constexpr WallMs kClock = 1'700'000'000'000;
inline constexpr uint64_t kPosition = 7;

// In the log from position 1 on, a batch each; the checkpoint covers the first kPosition of them.
inline std::vector<record::Record> log_records() {
  std::vector<record::Record> records;
  for (const auto& [name, record] : record::specimens()) {
    if (records.size() < record::kSpecimensInGoldenFiles) records.push_back(record);
  }
  return records;
}

inline std::string row_key(store::Table table) {
  return store::schema::big_endian(1000 + static_cast<uint64_t>(table)) + "key";
}
inline std::string row_value(store::Table table) {
  return "value " + std::to_string(static_cast<int>(table));
}

inline std::vector<store::StateBatch> state() {
  std::vector<store::StateBatch> parts(1);
  for (size_t i = 0; i < store::kTableCount; ++i) {
    const auto table = static_cast<store::Table>(i);
    parts[0].puts.push_back({table, row_key(table), row_value(table)});
  }
  parts[0].messages.push_back({Position(1), 2, record::specimen_message()});
  return parts;
}

}  // namespace courier::golden
