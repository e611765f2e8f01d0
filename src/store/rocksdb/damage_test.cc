// What is damaged is named, and a store never starts silently empty.
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/file_system.h>
#include <sys/wait.h>

#include <map>
#include <random>

#include "store/rocksdb/backup.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/inspection.h"
#include "store/rocksdb/message_count.h"
#include "store/rocksdb/rocks_test_store.h"
#include "store/rocksdb/schema.h"

namespace courier::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatches = 40;
constexpr size_t kRows = 2'000;

// Some of everything. With `checkpoint` the log is covered up to there.
void fill(RocksStore& store, uint64_t checkpoint) {
  RecordingReader reader;
  store.log().start(reader);
  for (uint64_t ticket = 0; ticket < kBatches; ++ticket) {
    store.log().append(numbered_batch(0, ticket, 5));
    reader.wait_for_batches(ticket + 1);
  }
  StateBatch batch;
  for (size_t i = 0; i < kRows; ++i) {
    batch.puts.push_back({Table::session, schema::big_endian(i), "header of session " + std::to_string(i)});
  }
  batch.messages.push_back({Position(3), 1, message_of("shared")});
  ASSERT_TRUE(write_state(store.state(), std::move(batch), checkpoint));
  store.log().append(numbered_batch(0, kBatches, 5));
  store.log().stop();
}

struct DamageTest : ::testing::Test {
  // A store whose process was killed: as it stood on the disk while it ran.
  void make_killed() {
    const std::unique_ptr<RocksStore> store = must_open(folder / "running");
    fill(*store, 100);
    fs::copy(folder / "running", data, fs::copy_options::recursive);
  }
  void make_stopped() {
    const std::unique_ptr<RocksStore> store = must_open(data);
    fill(*store, 100);
  }
  std::string newest_log() const { return files_in(data + "/db", "", ".log").back(); }
  std::string manifest() const { return files_in(data + "/db", "MANIFEST-", "").back(); }
  static std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }
  // Everything that a start reads; empty if all is well.
  std::string start_error() const {
    const Result<std::unique_ptr<RocksStore>> store = try_open(data);
    if (!store) return store.error().message;
    for (size_t table = 0; table < kTableCount; ++table) {
      const Result<void> scanned = (*store)->state().scan(
          static_cast<Table>(table), "", "", [](std::string_view, std::string_view) { return true; });
      if (!scanned) return scanned.error().message;
    }
    const Result<void> read = (*store)->log().replay((*store)->state().position(),
                                                     [](CommittedBatch&&) -> Result<void> { return {}; });
    return read ? std::string() : read.error().message;
  }
  // Whether a start finds everything that fill() wrote.
  bool starts_whole() const {
    const Result<std::unique_ptr<RocksStore>> store = try_open(data);
    if (!store) return false;
    size_t records = 0;
    for (const CommittedBatch& batch : replayed((*store)->log(), Position(100)))
      records += batch.records.size();
    return (*store)->state().position() == Position(100) &&
           rows((*store)->state(), Table::session).size() == kRows && records == (kBatches + 1) * 5 - 100;
  }

  TestFolder folder;
  const std::string data = folder / "data";
};

TEST_F(DamageTest, UndamagedStoresStartWhole) {
  make_killed();
  EXPECT_TRUE(starts_whole());
  fs::remove_all(data);
  make_stopped();
  EXPECT_TRUE(starts_whole());
}

TEST_F(DamageTest, ChangedByteInTheJournalIsRefusedAndNamed) {
  make_killed();
  const fs::path good = folder / "good";
  fs::copy(data, good, fs::copy_options::recursive);
  std::mt19937 random(5);
  const size_t size = fs::file_size(newest_log());
  for (int i = 0; i < 12; ++i) {
    fs::remove_all(data);
    fs::copy(good, data, fs::copy_options::recursive);
    const size_t at = i == 0 ? size - 1 : random() % size;
    SCOPED_TRACE(at);
    flip_byte(newest_log(), at);
    const std::string error = start_error();
    EXPECT_SAYS(error, newest_log() + " is damaged at byte");
    EXPECT_SAYS(error, "nothing was changed");
    EXPECT_EQ(start_error(), error) << "a second try must not succeed";
  }
}

TEST_F(DamageTest, JournalCutAfterACleanStopIsRefused) {
  make_stopped();
  // After a clean stop the journal is empty; what grows is the MANIFEST.
  fs::resize_file(manifest(), fs::file_size(manifest()) - 1);
  EXPECT_SAYS(start_error(), name_of(manifest()) + " has");
  EXPECT_SAYS(start_error(), "at the last stop it had");
}

TEST_F(DamageTest, UnfinishedWriteAtTheEndOfTheJournalIsDroppedAndTold) {
  make_killed();
  std::string bytes = read_bytes(newest_log());
  // What a power cut leaves of a write that had just begun: its head and a few bytes.
  write_bytes(newest_log(), bytes + std::string("\x12\x34\x56\x78\xFF\x0F\x01 begun", 13));
  {
    const Result<std::unique_ptr<RocksStore>> store = try_open(data);
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_EQ((*store)->notices().size(), 1u);
    EXPECT_SAYS((*store)->notices()[0], "was never acknowledged");
  }
  EXPECT_TRUE(starts_whole());
}

TEST_F(DamageTest, MissingJournalIsNoticed) {
  make_killed();
  const std::string gone = newest_log();
  fs::remove(gone);
  EXPECT_SAYS(start_error(), gone + ", the newest journal, is missing");
}

TEST_F(DamageTest, ChangedByteInTheManifestIsRefusedAndNamed) {
  make_stopped();
  const fs::path good = folder / "good";
  fs::copy(data, good, fs::copy_options::recursive);
  std::mt19937 random(6);
  const size_t size = fs::file_size(manifest());
  for (int i = 0; i < 8; ++i) {
    fs::remove_all(data);
    fs::copy(good, data, fs::copy_options::recursive);
    flip_byte(manifest(), random() % size);
    EXPECT_SAYS(start_error(), name_of(manifest()) + " is damaged at byte");
  }
}

TEST_F(DamageTest, MissingFilesOfTheDatabaseAreNamed) {
  make_stopped();
  const fs::path good = folder / "good";
  fs::copy(data, good, fs::copy_options::recursive);
  const auto without = [&](const std::string& path) {
    fs::remove_all(data);
    fs::copy(good, data, fs::copy_options::recursive);
    fs::remove_all(path);
    return start_error();
  };
  const std::string manifest_file = manifest();
  EXPECT_SAYS(without(data + "/db/CURRENT"), "db/CURRENT is missing");
  EXPECT_SAYS(without(data + "/db"), "db/CURRENT is missing");
  EXPECT_SAYS(without(manifest_file), name_of(manifest_file));
  EXPECT_SAYS(without(data + "/NEWEST"), "NEWEST");
  EXPECT_SAYS(without(data + "/FORMAT"), "the file FORMAT that says what it is, is missing");
  const std::vector<std::string> tables = files_in((good / "db").string(), "", ".sst");
  ASSERT_FALSE(tables.empty());
  for (const std::string& table : tables)
    EXPECT_SAYS(without(data + "/db/" + name_of(table)), name_of(table));
}

TEST_F(DamageTest, ChangedOrCutTableFileIsNamedByWhoeverReadsIt) {
  make_stopped();
  // The largest table file is the one of the sessions; its first block is data.
  std::string largest;
  for (const std::string& table : files_in(data + "/db", "", ".sst")) {
    if (largest.empty() || fs::file_size(table) > fs::file_size(largest)) largest = table;
  }
  flip_byte(largest, 100);
  EXPECT_SAYS(start_error(), name_of(largest));
  EXPECT_SAYS(start_error(), "Corruption");
  fs::resize_file(largest, fs::file_size(largest) / 2);
  EXPECT_SAYS(start_error(), name_of(largest));
}

TEST_F(DamageTest, GapInTheLogIsNamedByItsPosition) {
  make_stopped();
  const auto change = [&](const std::function<void(rocksdb::DB&, rocksdb::ColumnFamilyHandle*)>& task) {
    std::vector<rocksdb::ColumnFamilyDescriptor> columns;
    for (const char* name : schema::kColumns) columns.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    for (auto& column : columns) {
      if (column.name == "messages") column.options.merge_operator = make_message_count_merger();
    }
    ASSERT_TRUE(rocksdb::DB::Open({}, data + "/db", columns, &handles, &db).ok());
    task(*db, handles[static_cast<size_t>(schema::Column::log)]);
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
    write_bytes(data + "/NEWEST", "log 1\nend\n");
  };
  change([](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* log) {
    ASSERT_TRUE(db.Delete({}, log, schema::big_endian(151)).ok());
  });
  EXPECT_SAYS(start_error(), "is damaged at position 151: nothing is there; the log goes on at position 156");
  change([](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* log) {
    std::string value;
    ASSERT_TRUE(db.Get({}, log, schema::big_endian(146), &value).ok());
    ASSERT_TRUE(db.Put({}, log, schema::big_endian(148), value).ok());
  });
  EXPECT_SAYS(start_error(), "position 148: two batches overlap");
  change([](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* log) {
    ASSERT_TRUE(db.Put({}, log, schema::big_endian(141), "nonsense").ok());
  });
  EXPECT_SAYS(start_error(), "position 141");
}

TEST_F(DamageTest, NewerFormatIsRefused) {
  make_stopped();
  write_bytes(data + "/FORMAT", "courier store\nformat 3\nready\n");
  EXPECT_SAYS(start_error(), "written by a newer Courier (format 3; this one reads up to format 2)");
  write_bytes(data + "/FORMAT", "something else\n");
  EXPECT_SAYS(start_error(), "FORMAT is damaged");
}

TEST_F(DamageTest, FolderWithOtherThingsInItIsRefused) {
  fs::create_directories(data);
  write_bytes(data + "/notes.txt", "mine");
  EXPECT_SAYS(start_error(), "not empty (there is \"notes.txt\")");
  fs::remove(data + "/notes.txt");
  fs::create_directories(data + "/lost+found");
  EXPECT_EQ(start_error(), "") << "an empty file system is an empty folder";
}

TEST_F(DamageTest, FolderThatLostAllButItsLockFileIsNotTakenForANewOne) {
  make_stopped();
  fs::remove_all(data + "/db");
  fs::remove(data + "/FORMAT");
  fs::remove(data + "/NEWEST");
  EXPECT_SAYS(start_error(), "of which only the lock file is left");
  EXPECT_SAYS(start_error(), "of which only the lock file is left");
  fs::remove(data + "/LOCK");
  EXPECT_EQ(start_error(), "");
}

TEST_F(DamageTest, EmptyLockFileOfAFirstStartThatWasCutOffIsNoStore) {
  fs::create_directories(data);
  write_bytes(data + "/LOCK", "");
  EXPECT_EQ(start_error(), "");
}

TEST_F(DamageTest, CreationThatWasCutOffBeginsAgain) {
  make_stopped();
  write_bytes(data + "/FORMAT", "courier store\nformat 2\ncreating\n");
  const std::unique_ptr<RocksStore> store = must_open(data);
  EXPECT_EQ(store->state().position(), Position(0));
  EXPECT_TRUE(rows(store->state(), Table::session).empty());
}

TEST_F(DamageTest, StoreInUseSaysByWhom) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "a fork that starts threads is more than the thread sanitizer can follow";
#endif
  int up[2], down[2];
  ASSERT_EQ(pipe(up), 0);
  ASSERT_EQ(pipe(down), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Result<std::unique_ptr<RocksStore>> store = try_open(data);
    char byte = store ? 'y' : 'n';
    (void)!write(up[1], &byte, 1);
    (void)!read(down[0], &byte, 1);
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(up[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  const Result<std::unique_ptr<RocksStore>> second = try_open(data);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, make_error_code(errc::in_use));
  EXPECT_SAYS(second.error().message, "is in use by process " + std::to_string(child));
  ASSERT_EQ(write(down[1], &byte, 1), 1);
  waitpid(child, nullptr, 0);
  const std::unique_ptr<RocksStore> now = must_open(data);
  const Result<std::unique_ptr<RocksStore>> twice = try_open(data);
  ASSERT_FALSE(twice);
  EXPECT_SAYS(twice.error().message, "open already, in this process");
}

// --- backups ---

TEST_F(DamageTest, BackupTakenWhileOthersWriteIsOneMoment) {
  {
    const std::unique_ptr<RocksStore> store = must_open(data);
    RecordingReader reader;
    store->log().start(reader);
    std::atomic<bool> done{false};
    std::jthread writer([&] {
      for (uint64_t ticket = 0; !done; ++ticket) {
        store->log().append(numbered_batch(0, ticket, 3));
        reader.wait_for_batches(ticket + 1);
        if (ticket % 10 != 9) continue;
        StateBatch batch;
        batch.puts.push_back({Table::session, key_of("s"), std::to_string((ticket + 1) * 3)});
        EXPECT_TRUE(write_state(store->state(), std::move(batch), (ticket + 1) * 3));
      }
    });
    reader.wait_for_batches(30);
    for (int i = 0; i < 3; ++i) {
      const Result<void> copied = store->state().backup(folder / ("backup" + std::to_string(i)));
      ASSERT_TRUE(copied) << copied.error().message;
      reader.wait_for_batches(reader.count() + 20);
    }
    done = true;
    writer.join();
    store->log().stop();
  }
  for (int i = 0; i < 3; ++i) {
    const std::string backup = folder / ("backup" + std::to_string(i));
    const Result<BackupFacts> facts = verify_backup(backup);
    ASSERT_TRUE(facts) << facts.error().message;
    EXPECT_GE(facts->log_end.value, 90u + 60u * static_cast<uint64_t>(i));
    const std::string restored = folder / ("restored" + std::to_string(i));
    const Result<BackupFacts> same_facts = restore_backup(backup, restored);
    ASSERT_TRUE(same_facts) << same_facts.error().message;
    EXPECT_EQ(same_facts->position, facts->position);
    EXPECT_EQ(same_facts->log_end, facts->log_end);
    const std::unique_ptr<RocksStore> store = must_open(restored);
    EXPECT_EQ(store->state().position(), facts->position);
    EXPECT_EQ(rows(store->state(), Table::session).at(0).second, std::to_string(facts->position.value));
    uint64_t end = facts->position.value;
    for (const CommittedBatch& batch : replayed(store->log(), facts->position)) end += batch.records.size();
    EXPECT_EQ(end, facts->log_end.value);
  }
}

TEST_F(DamageTest, DamagedBackupIsNotRestored) {
  {
    const std::unique_ptr<RocksStore> store = must_open(data);
    fill(*store, 100);
    ASSERT_TRUE(store->state().backup(folder / "backup"));
  }
  for (const std::string& table : files_in(folder / "backup/db", "", ".sst")) {
    // A backup on the same disk shares its table files with the store: change a copy.
    const std::string bytes = read_bytes(table);
    fs::remove(table);
    write_bytes(table, bytes);
    flip_byte(table, 60);
  }
  const Result<BackupFacts> restored = restore_backup(folder / "backup", folder / "restored");
  ASSERT_FALSE(restored);
  EXPECT_SAYS(restored.error().message, "the backup is not used");
  EXPECT_FALSE(fs::exists(folder / "restored"));
  EXPECT_TRUE(starts_whole()) << "the store itself is untouched";
}

TEST_F(DamageTest, RestoreWantsAnEmptyFolderAndAnUnfinishedOneDoesNotStart) {
  {
    const std::unique_ptr<RocksStore> store = must_open(data);
    fill(*store, 100);
    ASSERT_TRUE(store->state().backup(folder / "backup"));
  }
  const Result<BackupFacts> onto = restore_backup(folder / "backup", data);
  ASSERT_FALSE(onto);
  EXPECT_EQ(onto.error().code, make_error_code(errc::already_there));
  EXPECT_FALSE(restore_backup(folder / "nothing", folder / "restored"));
  write_bytes(data + "/FORMAT", "courier store\nformat 1\nrestoring\n");
  EXPECT_SAYS(start_error(), "unfinished restore");
}

// RocksDB's own file system has no Truncate(); the one that injects faults has.
TEST_F(DamageTest, AFileIsCutOnTheRealFileSystem) {
  write_bytes(folder / "journal", "whole, torn");
  const Result<void> cut = cut_file(*rocksdb::FileSystem::Default(), folder / "journal", 5);
  ASSERT_TRUE(cut) << cut.error().message;
  EXPECT_EQ(read_file(*rocksdb::FileSystem::Default(), folder / "journal").value(), "whole");
}

// --- inspection ---

TEST_F(DamageTest, WhatIsNoStoreIsSaidAndLeftAsItWas) {
  fs::create_directories(data);
  EXPECT_SAYS(Inspection::open(data).error().message, "no file FORMAT");
  EXPECT_SAYS(verify_backup(data).error().message, "no file FORMAT");
  EXPECT_TRUE(fs::is_empty(data)) << "not even a lock is left";
  write_bytes(folder / "a-file", "");
  for (const std::string& message :
       {Inspection::open(folder / "a-file").error().message, try_open(folder / "a-file").error().message}) {
    EXPECT_SAYS(message, "is a file");
  }
}

TEST_F(DamageTest, InspectionSeesWhatAStartWouldAndChangesNothing) {
  make_killed();
  const auto snapshot = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(data)) {
      if (entry.is_regular_file()) files[entry.path().string()] = read_bytes(entry.path().string());
    }
    return files;
  };
  const auto before = snapshot();
  {
    const auto inspection = Inspection::open(data);
    ASSERT_TRUE(inspection) << inspection.error().message;
    EXPECT_EQ((*inspection)->position(), Position(100));
    EXPECT_EQ((*inspection)->log_end(), Position((kBatches + 1) * 5));
    EXPECT_EQ((*inspection)->count(Table::session).value(), kRows);
    EXPECT_EQ((*inspection)->count(Table::inbox).value(), 0u);
    std::vector<Inspection::SharedMessage> messages;
    ASSERT_TRUE((*inspection)->scan_messages([&](const Inspection::SharedMessage& message) {
      messages.push_back(message);
      return true;
    }));
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].position, Position(3));
    EXPECT_EQ(messages[0].count, 1);
    EXPECT_EQ((*inspection)->load_messages({Position(3)})->at(0)->payload, "shared");
    size_t records = 0;
    ASSERT_TRUE((*inspection)->read_log([&](CommittedBatch&& batch) -> Result<void> {
      records += batch.records.size();
      return {};
    }));
    EXPECT_EQ(records, (kBatches + 1) * 5 - 100);
    EXPECT_EQ((*inspection)->sizes().size(), schema::kColumns.size());
    EXPECT_SAYS(refusal(data), "open already") << "no node starts meanwhile";
  }
  EXPECT_EQ(snapshot(), before);
  EXPECT_FALSE(Inspection::open(folder / "nothing"));
  EXPECT_FALSE(fs::exists(folder / "nothing"));
}

}  // namespace
}  // namespace courier::store
