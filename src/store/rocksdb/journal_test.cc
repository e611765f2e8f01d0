#include "store/rocksdb/journal.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/crc32c.h"
#include "store/errc.h"

namespace courier::store {
namespace {

constexpr size_t kBlock = 32 * 1024;

// Writes entries as RocksDB's log::Writer does.
class JournalWriter {
 public:
  void add(std::string_view entry) {
    bool first = true;
    do {
      const size_t left = kBlock - bytes.size() % kBlock;
      if (left < 7) {
        bytes.append(left, '\0');
        continue;
      }
      const size_t length = std::min(entry.size(), left - 7);
      const bool last = length == entry.size();
      put(first ? (last ? 1 : 2) : (last ? 4 : 3), entry.substr(0, length));
      entry.remove_prefix(length);
      first = false;
      if (last) break;
    } while (true);
    ends.push_back(bytes.size());
  }
  // An entry as RocksDB writes a batch: sequence number, count, and something.
  void add_write(uint64_t sequence, size_t size) {
    std::string entry(std::max<size_t>(size, 12), '\0');
    for (char& c : entry) c = static_cast<char>(1 + random() % 255);
    std::memcpy(entry.data(), &sequence, sizeof sequence);
    add(entry);
  }

  std::string bytes;
  std::vector<size_t> ends;
  std::mt19937 random{7};

 private:
  void put(uint8_t type, std::string_view part) {
    std::string checked(1, static_cast<char>(type));
    checked += part;
    const uint32_t sum = crc32c(checked);
    const uint32_t masked = ((sum >> 15) | (sum << 17)) + 0xA282EAD8u;
    const auto length = static_cast<uint16_t>(part.size());
    bytes.append(reinterpret_cast<const char*>(&masked), 4);
    bytes.append(reinterpret_cast<const char*>(&length), 2);
    bytes += checked;
  }
};

JournalWriter some_writes() {
  JournalWriter journal;
  uint64_t sequence = 10;
  for (const size_t size : {20u, 300u, 5'000u, 70'000u, 40u, 90'000u, 100u}) {
    journal.add_write(sequence, size);
    sequence += 10;
  }
  return journal;
}

Result<Journal> check(const std::string& bytes) {
  return check_journal_bytes(bytes, "000007.log", {});
}

TEST(Journal, WholeOneIsIntactToItsEnd) {
  const JournalWriter journal = some_writes();
  const Result<Journal> checked = check(journal.bytes);
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->entries, 7u);
  EXPECT_EQ(checked->intact, journal.bytes.size());
  EXPECT_FALSE(checked->torn());
  EXPECT_FALSE(check("")->torn());
}

TEST(Journal, OneThatEndsInTheMiddleOfItsLastEntryIsTorn) {
  const JournalWriter journal = some_writes();
  for (size_t entry = 0; entry < journal.ends.size(); ++entry) {
    const size_t begin = entry == 0 ? 0 : journal.ends[entry - 1];
    for (size_t size = begin; size < journal.ends[entry]; size += 1 + (journal.ends[entry] - begin) / 50) {
      const Result<Journal> checked = check(journal.bytes.substr(0, size));
      ASSERT_TRUE(checked) << size << ": " << checked.error().message;
      EXPECT_EQ(checked->entries, entry) << size;
      // Padding at the end of a block belongs to nobody.
      EXPECT_LT(checked->intact - std::min<uint64_t>(begin, checked->intact), 7u) << size;
    }
  }
}

TEST(Journal, SectorsOfTheLastEntryThatWereNeverWrittenAreATornEnd) {
  const JournalWriter journal = some_writes();
  const size_t begin = journal.ends[4];
  const size_t end = journal.ends[5];
  std::string bytes = journal.bytes.substr(0, end);
  for (size_t sector = (begin / 512 + 1) * 512; sector + 512 < end; sector += 17 * 512) {
    std::string torn = bytes;
    std::fill_n(torn.begin() + static_cast<ptrdiff_t>(sector), 512, '\0');
    const Result<Journal> checked = check(torn);
    ASSERT_TRUE(checked) << sector << ": " << checked.error().message;
    EXPECT_EQ(checked->entries, 5u);
    EXPECT_EQ(checked->intact, begin);
  }
}

TEST(Journal, TheSameInAnEarlierEntryIsDamage) {
  const JournalWriter journal = some_writes();
  const size_t begin = journal.ends[4];
  const size_t end = journal.ends[5];
  for (size_t sector = (begin / 512 + 1) * 512; sector + 512 < end; sector += 17 * 512) {
    std::string damaged = journal.bytes;
    std::fill_n(damaged.begin() + static_cast<ptrdiff_t>(sector), 512, '\0');
    const Result<Journal> checked = check(damaged);
    ASSERT_FALSE(checked) << sector;
    EXPECT_EQ(checked.error().code, make_error_code(errc::damaged));
  }
}

TEST(Journal, AnyChangedByteIsDamageAndIsNamed) {
  JournalWriter journal;
  for (uint64_t i = 0; i < 6; ++i) journal.add_write(10 * i, 100 + 37 * i);
  for (size_t at = 0; at < journal.bytes.size(); ++at) {
    for (const char change : {'\x01', '\x20', '\x80'}) {
      std::string damaged = journal.bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      const Result<Journal> checked = check(damaged);
      ASSERT_FALSE(checked) << at;
      EXPECT_NE(checked.error().message.find("000007.log is damaged at byte"), std::string::npos)
          << checked.error().message;
    }
  }
}

TEST(Journal, ChangedBytesOfLongEntriesAreDamageToo) {
  const JournalWriter journal = some_writes();
  std::mt19937 random(11);
  for (int i = 0; i < 250; ++i) {
    std::string damaged = journal.bytes;
    const size_t at = random() % damaged.size();
    // The padding at a block's end is no one's.
    if (at % kBlock >= kBlock - 7 && damaged[at] == 0) continue;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    EXPECT_FALSE(check(damaged)) << at;
  }
}

TEST(Journal, RowOfZerosBehindTheEndIsATornEnd) {
  JournalWriter journal = some_writes();
  const size_t end = journal.bytes.size();
  journal.bytes.append(5'000, '\0');
  const Result<Journal> checked = check(journal.bytes);
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->intact, end);
  EXPECT_TRUE(checked->torn());
}

TEST(Journal, FirstEntryAfterASequenceIsFoundWholeOrTorn) {
  const JournalWriter journal = some_writes();  // sequences 10, 20, … 70
  const auto after = [&](uint64_t sequence, const std::string& bytes) {
    const auto found = first_entry_after(bytes, "000007.log", sequence);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::nullopt;
  };
  EXPECT_EQ(after(0, journal.bytes), 0u);
  EXPECT_EQ(after(10, journal.bytes), journal.ends[0]);
  EXPECT_EQ(after(35, journal.bytes), journal.ends[2]);
  EXPECT_EQ(after(60, journal.bytes), journal.ends[5]);
  EXPECT_EQ(after(70, journal.bytes), std::nullopt);
  EXPECT_EQ(after(70, journal.bytes.substr(0, journal.ends[6] - 1)), journal.ends[5]);
}

}  // namespace
}  // namespace courier::store
