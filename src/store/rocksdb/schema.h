// What is on disk: the files of a data directory, the column families of its database, their keys and values.
//
//   data_dir/
//     FORMAT     "courier store", the version of the format, and whether the store is complete
//     NEWEST     the newest journal of the database that holds safe data; after a clean stop also the sizes
//     of the
//                files that grow. A journal that is missing or too short is noticed by it
//     LOCK       held (fcntl) by the process that has the store open; one byte long once there is a store, so
//                that a folder which lost everything else is not taken for a new one
//     db/        one RocksDB
//
//   column family   key                                   value
//   default (meta)  "format"                              number of the format, as text
//                   "position"                            the log position that the tables reflect, BE64
//                   "clock"                               clock of the last batch at that time, BE64
//                   "log"                                 id of the cluster's log that the tables are folded
//                                                         from; not there: from this store's own log
//                   "cursor"                              with "log": where in it, beside the position, BE64
//   log             first position of the batch, BE64     record::encode_batch(): clock, records, checksum
//   session …       as record/rows.h has them             as record/rows.h has them
//   event           as events/outbox.h has them           as events/outbox.h has them; since format 2
//   messages        log position of the PUBLISH, BE64     count of rows that name it and the message
//                                                         (message_count.h)
//
// BE64 is a number in eight bytes, high byte first, so that the order of keys is the order of numbers. The
// log is dense: a batch of n records at position p is followed by the batch at p + n. Everything is written
// synced and through one journal (RocksDB's write-ahead log), so that only its last entry can be torn.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/state_store.h"

namespace courier::store::schema {

// The version that this code writes. It reads this one and all before.
inline constexpr uint32_t kFormat = 2;

inline constexpr const char* kFormatFile = "FORMAT";
inline constexpr const char* kNewestFile = "NEWEST";
inline constexpr const char* kLockFile = "LOCK";
inline constexpr const char* kDatabaseFolder = "db";
inline constexpr const char* kImportFolder = "import";  // import_folder.h

// Indexes into kColumns. The tables stand in the order of store::Table.
enum class Column : uint8_t {
  meta,
  log,
  session,
  subscription,
  inbox,
  retained,
  group,
  group_inbox,
  event,
  messages
};
inline constexpr std::array<const char*, 10> kColumns = {"default", "log",      "session", "subscription",
                                                         "inbox",   "retained", "group",   "group_inbox",
                                                         "event",   "messages"};
// Whether a store of that format has it.
constexpr bool is_in(Column column, uint32_t format) {
  return column != Column::event || format >= 2;
}

constexpr Column column_of(Table table) {
  return static_cast<Column>(static_cast<uint8_t>(Column::session) + static_cast<uint8_t>(table));
}
static_assert(column_of(Table::session) == Column::session);
static_assert(column_of(Table::event) == Column::event);
static_assert(kColumns.size() == kTableCount + 3);

inline constexpr const char* kFormatKey = "format";
inline constexpr const char* kPositionKey = "position";
inline constexpr const char* kClockKey = "clock";
inline constexpr const char* kLogKey = "log";
inline constexpr const char* kCursorKey = "cursor";

inline std::string big_endian(uint64_t number) {
  std::string key(sizeof number, '\0');
  for (size_t i = 0; i < sizeof number; ++i)
    key[i] = static_cast<char>(number >> (8 * (sizeof number - 1 - i)));
  return key;
}
inline std::optional<uint64_t> number_of(std::string_view key) {
  if (key.size() != sizeof(uint64_t)) return std::nullopt;
  uint64_t number = 0;
  for (const char byte : key) number = (number << 8) | static_cast<uint8_t>(byte);
  return number;
}

}  // namespace courier::store::schema
