// Copies that go from store to store: carried whole, refused, and put in place with a crash at every step.
#include "store/rocksdb/copies.h"

#include <rocksdb/file_system.h>

#include "store/errc.h"
#include "store/rocksdb/rocks_test_store.h"

namespace courier::store {
namespace {

constexpr const char* kLog = "log of a cluster";

std::unique_ptr<RocksStore> open_of_cluster(const std::string& data_dir,
                                            std::shared_ptr<rocksdb::FileSystem> file_system = nullptr,
                                            const std::string& log_id = kLog) {
  auto store =
      RocksStore::open({.data_dir = data_dir, .log_id = log_id, .file_system = std::move(file_system)});
  if (!store) {
    ADD_FAILURE() << store.error().message;
    return nullptr;
  }
  return std::move(*store);
}

void fill(StateStore& state, const std::string& value, uint64_t position) {
  StateBatch batch;
  for (int i = 0; i < 500; ++i) {
    batch.puts.push_back({Table::retained, "key" + std::to_string(i), value + std::string(200, 'v')});
  }
  std::vector<StateBatch> parts;
  parts.push_back(std::move(batch));
  ASSERT_TRUE(state.write(parts, Position(position), position * 10, 1));
}

// What stands in the store: the first value, or nothing.
std::string value_in(const StateStore& state) {
  std::string found;
  EXPECT_TRUE(state.scan(Table::retained, "", "", [&](std::string_view, std::string_view value) {
    found = value.substr(0, 3);
    return false;
  }));
  return found;
}

Result<void> carry(OutgoingCopy& from, IncomingCopy& to) {
  for (const CopiedFile& file : from.files()) {
    if (Result<void> done = from.open(file); !done) return done;
    if (Result<void> done = to.open(file); !done) return done;
    while (true) {
      const Result<std::string_view> piece = from.read(1000);
      if (!piece) return fail(piece.error());
      if (piece->empty()) break;
      if (Result<void> done = to.write(*piece); !done) return done;
    }
    if (Result<void> done = to.close(); !done) return done;
  }
  return {};
}

// A copy of a store with "new" is complete in the folder of one with "old".
class Copies : public ::testing::Test {
 protected:
  Copies() {
    auto giver = open_of_cluster(folder_ / "giver");
    fill(giver->state(), "new", 70);
    auto taker = open_of_cluster(folder_ / "taker");
    fill(taker->state(), "old", 7);
    auto outgoing = OutgoingCopy::make(giver->state(), folder_ / "giver");
    EXPECT_TRUE(outgoing) << outgoing.error().message;
    EXPECT_EQ((*outgoing)->log_id(), kLog);
    EXPECT_EQ((*outgoing)->position(), Position(70));
    EXPECT_EQ((*outgoing)->cursor(), 700u);
    auto incoming = IncomingCopy::begin(folder_ / "taker", (*outgoing)->files());
    EXPECT_TRUE(incoming) << incoming.error().message;
    const Result<void> carried = carry(**outgoing, **incoming);
    EXPECT_TRUE(carried) << carried.error().message;
    outgoing_files_ = (*outgoing)->files();
    incoming_ = std::move(*incoming);
  }

  TestFolder folder_;
  std::vector<CopiedFile> outgoing_files_;
  std::unique_ptr<IncomingCopy> incoming_;
};

TEST_F(Copies, TakeTheStoresPlaceAtTheNextOpening) {
  const Result<BackupFacts> facts = incoming_->finish(kLog);
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->position, Position(70));
  incoming_.reset();
  const auto tool = DataDirectory::open(rocksdb::FileSystem::Default(), folder_ / "taker",
                                        DataDirectory::Access::existing_only);
  ASSERT_FALSE(tool) << "a tool looks at a store that is about to be another";
  EXPECT_SAYS(tool.error().message, "start its courierd");

  auto store = open_of_cluster(folder_ / "taker");
  EXPECT_EQ(store->state().position(), Position(70));
  EXPECT_EQ(store->state().cursor(), 700u);
  EXPECT_EQ(value_in(store->state()), "new");
  EXPECT_EQ(files_in(folder_ / "taker", "incoming", "").size(), 0u);
  EXPECT_EQ(files_in(folder_ / "taker", "replacement", "").size(), 0u);
  EXPECT_EQ(files_in(folder_ / "giver", "outgoing", "").size(), 0u);
  fill(store->state(), "too", 71);
  store.reset();
  EXPECT_EQ(value_in(open_of_cluster(folder_ / "taker")->state()), "too");
}

TEST_F(Copies, ThatAreNotFinishedAreNothing) {
  incoming_.reset();
  EXPECT_EQ(files_in(folder_ / "taker", "incoming", "").size(), 0u);
  std::filesystem::create_directories(folder_ / "taker/incoming/db");
  std::filesystem::create_directories(folder_ / "taker/outgoing.partial/db");
  write_bytes(folder_ / "taker/incoming/db/000001.sst", "as a crash left it");
  EXPECT_EQ(value_in(open_of_cluster(folder_ / "taker")->state()), "old");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "taker/incoming"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "taker/outgoing.partial"));
}

TEST_F(Copies, OfAnotherLogOrDamagedOnesAreNotFinished) {
  const Result<BackupFacts> other = incoming_->finish("another log");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, make_error_code(errc::another_log));
  const auto tables = files_in(folder_ / "taker/incoming/db", "", ".sst");
  ASSERT_FALSE(tables.empty());
  flip_byte(tables.front(), 100);
  EXPECT_FALSE(incoming_->finish(kLog));
  incoming_.reset();
  EXPECT_EQ(value_in(open_of_cluster(folder_ / "taker")->state()), "old");
}

TEST_F(Copies, WithFilesThatNoStoreHasAreRefused) {
  for (const char* const name : {"passwd", "000001.sst.new", ".sst", "x.sst", "MANIFEST-", "MANIFEST-1a",
                                 "LOCK", "OPTIONS-000001.dbtmp", "db", "1/2.sst", "../1.sst"}) {
    EXPECT_FALSE(IncomingCopy::begin(folder_ / "taker", {{name, 1}})) << name;
  }
  EXPECT_FALSE(IncomingCopy::begin(folder_ / "taker", {{"FORMAT", uint64_t{1} << 40}}));
  EXPECT_FALSE(IncomingCopy::begin(folder_ / "taker", {{"1.sst", UINT64_MAX}, {"2.sst", 2}}));
  const auto large = IncomingCopy::begin(folder_ / "taker", {{"1.sst", uint64_t{1} << 62}});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, make_error_code(errc::disk_full));
}

// Does nothing any more after so many changes of names: what a crash leaves.
class StopsAfter : public rocksdb::FileSystemWrapper {
 public:
  explicit StopsAfter(int changes) : FileSystemWrapper(rocksdb::FileSystem::Default()), left_(changes) {}
  const char* Name() const override { return "courier.StopsAfter"; }
  bool stopped() const { return left_ < 0; }

  using Io = rocksdb::IOOptions;
  using Context = rocksdb::IODebugContext;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const Io& io,
                               Context* context) override {
    return stops() ? gone() : FileSystemWrapper::RenameFile(from, to, io, context);
  }
  rocksdb::IOStatus DeleteFile(const std::string& path, const Io& io, Context* context) override {
    return stops() ? gone() : FileSystemWrapper::DeleteFile(path, io, context);
  }
  rocksdb::IOStatus DeleteDir(const std::string& path, const Io& io, Context* context) override {
    return stops() ? gone() : FileSystemWrapper::DeleteDir(path, io, context);
  }

 private:
  bool stops() { return left_ < 0 || --left_ < 0; }
  static rocksdb::IOStatus gone() { return rocksdb::IOStatus::IOError("the machine is gone"); }
  int left_;
};

TEST_F(Copies, TakeTheStoresPlaceWhateverStepACrashCutsOff) {
  ASSERT_TRUE(incoming_->finish(kLog));
  incoming_.reset();
  int crashes = 0;
  for (int changes = 0;; ++changes) {
    const std::string data_dir = folder_ / ("crash" + std::to_string(changes));
    std::filesystem::copy(folder_ / "taker", data_dir, std::filesystem::copy_options::recursive);
    StopsAfter files(changes);
    const Result<void> exchanged = finish_exchange(files, data_dir);
    if (files.stopped()) ++crashes;
    auto store = open_of_cluster(data_dir);
    ASSERT_TRUE(store) << "after " << changes << " changes";
    EXPECT_EQ(value_in(store->state()), "new") << changes;
    EXPECT_EQ(store->state().position(), Position(70));
    EXPECT_FALSE(std::filesystem::exists(data_dir + "/replacement"));
    store.reset();
    std::filesystem::remove_all(data_dir);
    if (!files.stopped()) {
      EXPECT_TRUE(exchanged);
      break;
    }
  }
  EXPECT_GT(crashes, 6) << "db, NEWEST, FORMAT, and the files of the old store";
}

}  // namespace
}  // namespace courier::store
