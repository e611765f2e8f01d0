// Looks at RocksDB's journals (write-ahead logs and MANIFEST) before RocksDB does, to tell a torn end from
// damage.
//
// A journal is a row of blocks of 32 KiB; an entry is one fragment, or several in neighbouring blocks; a
// fragment is checksum (CRC-32C, masked) u32 · length u16 · type u8 · bytes. Every entry is synced before the
// next is begun. So after a power cut only the last entry can be wrong, and only in the way disks are: it
// ends early, or whole sectors of it were never written and read as zeros. Anything else is damage to data
// that had been called safe:
//
// 1. Something unreadable, and behind it the beginning of another entry that can be read.
// 2. A last entry that has all its bytes, none of them missing, and yet a wrong checksum.
//
// RocksDB alone would take both for a torn end, or skip them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace rocksdb {
class FileSystem;
}

namespace courier::store {

struct Journal {
  uint64_t bytes = 0;   // of the file
  uint64_t intact = 0;  // bytes up to the end of the last whole entry
  uint64_t entries = 0;
  bool torn() const { return intact != bytes; }
};

// errc::damaged names the file and the offset.
Result<Journal> check_journal(rocksdb::FileSystem& file_system, const std::string& path);

// The same over bytes; `name` is for the sentence. `seen`, if any, is told of each whole entry: where it
// begins, and its first bytes.
using EntrySeen = std::function<void(uint64_t offset, std::string_view head)>;
Result<Journal> check_journal_bytes(std::string_view bytes, const std::string& name, const EntrySeen& seen);

// Where in a write-ahead log the first write begins whose sequence number is above `sequence`, whole or torn.
Result<std::optional<uint64_t>> first_entry_after(std::string_view bytes, const std::string& name,
                                                  uint64_t sequence);

}  // namespace courier::store
