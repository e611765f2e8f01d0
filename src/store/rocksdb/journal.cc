#include "store/rocksdb/journal.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/crc32c.h"
#include "store/errc.h"
#include "store/rocksdb/files.h"

namespace courier::store {
namespace {

constexpr size_t kBlock = 32 * 1024;
constexpr size_t kHead = 7;
constexpr size_t kSector = 512;  // what a disk writes wholly or not at all
constexpr size_t kEntryHead =
    12;  // of a write: its first sequence number u64 and how many changes it has u32

enum class Fragment : uint8_t { full = 1, first = 2, middle = 3, last = 4 };

constexpr bool begins_entry(Fragment type) {
  return type == Fragment::full || type == Fragment::first;
}

uint32_t unmasked(uint32_t masked) {
  const uint32_t rotated = masked - 0xA282EAD8u;
  return (rotated >> 17) | (rotated << 15);
}

struct Head {
  uint32_t checksum = 0;
  size_t length = 0;
  uint8_t type = 0;
};
Head head_at(std::string_view bytes, size_t at) {
  Head head;
  uint16_t length;
  std::memcpy(&head.checksum, bytes.data() + at, sizeof head.checksum);
  std::memcpy(&length, bytes.data() + at + 4, sizeof length);
  head.length = length;
  head.type = static_cast<uint8_t>(bytes[at + 6]);
  return head;
}

// The fragment at `at`, if there is a good one. Its length is Head's.
std::optional<Fragment> good_fragment(std::string_view bytes, size_t at) {
  if (at + kHead > bytes.size()) return std::nullopt;
  const Head head = head_at(bytes, at);
  if (head.type < static_cast<uint8_t>(Fragment::full) || head.type > static_cast<uint8_t>(Fragment::last)) {
    return std::nullopt;
  }
  const size_t end = at + kHead + head.length;
  if (end > bytes.size() || end > (at / kBlock + 1) * kBlock) return std::nullopt;
  if (crc32c(bytes.substr(at + 6, 1 + head.length)) != unmasked(head.checksum)) return std::nullopt;
  return static_cast<Fragment>(head.type);
}

// Where after `from` an entry begins that can be read.
std::optional<size_t> next_entry(std::string_view bytes, size_t from) {
  for (size_t at = from; at + kHead <= bytes.size(); ++at) {
    const auto type = good_fragment(bytes, at);
    if (!type) continue;
    if (begins_entry(*type)) return at;
    at += kHead + head_at(bytes, at).length - 1;
  }
  return std::nullopt;
}

bool zeros(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; });
}

// Whether a part of [from, bytes' end) that a disk writes as one was never written.
bool lacks_a_sector(std::string_view bytes, size_t from) {
  for (size_t at = from; at < bytes.size();) {
    const size_t end = std::min((at / kSector + 1) * kSector, bytes.size());
    if (zeros(bytes.substr(at, end - at))) return true;
    at = end;
  }
  return false;
}

// Whether what stands at `at`, behind the last good fragment, can be the trace of a write that was never
// finished.
bool can_be_torn(std::string_view bytes, size_t at) {
  if (at + kHead > bytes.size() || lacks_a_sector(bytes, at)) return true;
  const size_t block_end = (at / kBlock + 1) * kBlock;
  const size_t end = at + kHead + head_at(bytes, at).length;
  if (end <= bytes.size() || end > block_end) return false;  // it is all there, or its length is nonsense
  // It ends early; unless it is only the length that says so, which the checksum does not cover.
  return crc32c(bytes.substr(at + 6)) != unmasked(head_at(bytes, at).checksum);
}

std::string at_offset(const std::string& name, size_t offset) {
  return name + " is damaged at byte " + std::to_string(offset);
}

constexpr std::string_view kWhatToDo =
    "; nothing was changed. Restore the latest backup (courier restore), or copy the folder away before "
    "trying to "
    "repair it";

}  // namespace

Result<Journal> check_journal_bytes(std::string_view bytes, const std::string& name, const EntrySeen& seen) {
  Journal journal;
  journal.bytes = bytes.size();
  size_t at = 0;
  bool inside = false;  // an entry was begun and has not ended
  std::string head;     // its first bytes
  while (true) {
    const size_t left = kBlock - at % kBlock;
    if (left < kHead && at + left <= bytes.size() && zeros(bytes.substr(at, left))) {
      at += left;  // too short for a head: filled with zeros
      if (!inside) journal.intact = at;
      continue;
    }
    const auto type = good_fragment(bytes, at);
    if (!type || begins_entry(*type) == inside) break;
    const size_t length = head_at(bytes, at).length;
    if (!inside) head.clear();
    head.append(bytes.substr(at + kHead, std::min(length, kEntryHead - std::min(kEntryHead, head.size()))));
    at += kHead + length;
    inside = *type == Fragment::first || *type == Fragment::middle;
    if (inside) continue;
    if (seen) seen(journal.intact, head);
    ++journal.entries;
    journal.intact = at;
  }
  if (!journal.torn()) return journal;
  if (const auto next = next_entry(bytes, at + (at == journal.intact ? 1 : 0))) {
    return fail(errc::damaged, at_offset(name, at) + ", and goes on at byte " + std::to_string(*next) +
                                   " with entries that were safe later" + std::string(kWhatToDo));
  }
  if (!can_be_torn(bytes, at)) {
    return fail(errc::damaged, at_offset(name, at) + ": its last entry is whole but not as it was written" +
                                   std::string(kWhatToDo));
  }
  return journal;
}

Result<std::optional<uint64_t>> first_entry_after(std::string_view bytes, const std::string& name,
                                                  uint64_t sequence) {
  std::optional<uint64_t> found;
  const Result<Journal> journal =
      check_journal_bytes(bytes, name, [&](uint64_t offset, std::string_view head) {
        if (found || head.size() < sizeof(uint64_t)) return;
        uint64_t number;
        std::memcpy(&number, head.data(), sizeof number);
        if (number > sequence) found = offset;
      });
  if (!journal) return fail(journal.error());
  if (!found && journal->torn()) found = journal->intact;
  return found;
}

Result<Journal> check_journal(rocksdb::FileSystem& file_system, const std::string& path) {
  const Result<std::string> bytes = read_file(file_system, path);
  if (!bytes) return fail(bytes.error());
  return check_journal_bytes(*bytes, path, {});
}

}  // namespace courier::store
