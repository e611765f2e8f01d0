#include "store/rocksdb/backup.h"

#include <rocksdb/db.h>
#include <rocksdb/file_system.h>
#include <rocksdb/utilities/checkpoint.h>

#include <filesystem>

#include "store/errc.h"
#include "store/rocksdb/data_directory.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/reading.h"

namespace courier::store {
namespace {

using rocksdb::IOOptions;
using rocksdb::IOStatus;

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Result<void> make_folder(rocksdb::FileSystem& files, const std::string& path) {
  const IOStatus made = files.CreateDir(path, IOOptions(), nullptr);
  if (!made.ok()) return fail(error_of(made, "cannot create " + path));
  return {};
}

Result<void> fill_backup(const OpenDatabase& database, rocksdb::FileSystem& files,
                         const std::string& folder) {
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(&database.db(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  // Flushed first, so that the copy has next to no journal.
  if (status.ok()) status = checkpoint->CreateCheckpoint(folder + "/" + schema::kDatabaseFolder, 0);
  if (!status.ok()) return fail(error_of(status, "cannot copy the database to " + folder));
  // The note goes with the copy's own journals; there is none if nothing was written since the flush.
  uint64_t newest = 0;
  const Result<std::vector<std::string>> names = list(files, folder + "/" + schema::kDatabaseFolder);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    if (name.ends_with(".log")) newest = std::max<uint64_t>(newest, std::strtoull(name.c_str(), nullptr, 10));
  }
  Result<void> noted =
      replace_file(files, folder, schema::kNewestFile, "log " + std::to_string(newest) + "\nend\n");
  if (!noted) return noted;
  return DataDirectory::write_format(files, folder, DataDirectory::Stage::ready);
}

Result<BackupFacts> verify(const std::string& path) {
  const std::shared_ptr<rocksdb::FileSystem> files = rocksdb::FileSystem::Default();
  const auto directory = DataDirectory::open(files, path, DataDirectory::Access::existing_only);
  if (!directory) return fail(directory.error());
  if (const auto journals = (*directory)->check_journals(); !journals) return fail(journals.error());
  const auto open = Database::open_read_only(**directory, files);
  if (!open) return fail(open.error());
  const rocksdb::Status sums = (*open)->db().VerifyChecksum();
  if (!sums.ok()) return fail(error_of(sums, path + " does not verify"));
  BackupFacts facts;
  const Result<uint64_t> position = (*open)->meta_number(schema::kPositionKey, 0);
  if (!position) return fail(position.error());
  facts.position = Position(*position);
  const Result<std::optional<std::string>> log_id = (*open)->meta(schema::kLogKey);
  if (!log_id) return fail(log_id.error());
  facts.log_id = log_id->value_or("");
  const Result<void> log =
      read_log(**open, facts.position, [](CommittedBatch&&) -> Result<void> { return {}; });
  if (!log) return fail(log.error());
  const Result<LogEnd> end = find_log_end(**open);
  if (!end) return fail(end.error());
  facts.log_end = Position(end->next.value - 1);
  const Result<std::vector<std::string>> names = list(*files, (*directory)->database_path());
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    uint64_t size = 0;
    if (files->GetFileSize((*directory)->database_path() + "/" + name, IOOptions(), &size, nullptr).ok()) {
      facts.bytes += size;
    }
  }
  return facts;
}

}  // namespace

Result<void> write_backup(const OpenDatabase& database, rocksdb::FileSystem& files,
                          const std::string& target) {
  const std::string path = without_slash(target);
  const Result<bool> is_there = exists(files, path);
  if (!is_there) return fail(is_there.error());
  if (*is_there) return fail(errc::already_there, path + " exists; a backup needs a new folder");
  const std::string partial = path + ".partial";
  if (exists(files, partial).value_or(false)) remove_folder(files, partial);
  if (Result<void> made = make_folder(files, partial); !made) return made;
  if (Result<void> filled = fill_backup(database, files, partial); !filled) {
    remove_folder(files, partial);
    return filled;
  }
  const IOStatus renamed = files.RenameFile(partial, path, IOOptions(), nullptr);
  if (!renamed.ok()) {
    remove_folder(files, partial);
    return fail(error_of(renamed, "cannot finish the backup " + path));
  }
  return sync_folder(files, parent_of(path));
}

Result<BackupFacts> verify_backup(const std::string& path) {
  return verify(without_slash(path));
}

Result<void> copy_store(rocksdb::FileSystem& files, const std::string& from, const std::string& to) {
  Result<void> done = DataDirectory::write_format(files, to, DataDirectory::Stage::restoring);
  if (!done) return done;
  const std::string source = from + "/" + schema::kDatabaseFolder + "/";
  const std::string target = to + "/" + schema::kDatabaseFolder;
  if (done = make_folder(files, target); !done) return done;
  const Result<std::vector<std::string>> names = list(files, source);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    // Table files never change, so a second name does; the others do.
    const bool linked = name.ends_with(".sst") &&
                        files.LinkFile(source + name, target + "/" + name, IOOptions(), nullptr).ok();
    if (linked || name == "LOCK") continue;
    if (done = copy_file(files, source + name, target + "/" + name); !done) return done;
  }
  if (done = sync_folder(files, target); !done) return done;
  if (done = copy_file(files, from + "/" + schema::kNewestFile, to + "/" + schema::kNewestFile); !done)
    return done;
  if (done = sync_folder(files, to); !done) return done;
  return DataDirectory::write_format(files, to, DataDirectory::Stage::ready);
}

Result<BackupFacts> restore_backup(const std::string& from, const std::string& to) {
  const std::string path = without_slash(from);
  const std::string data_dir = without_slash(to);
  rocksdb::FileSystem& files = *rocksdb::FileSystem::Default();
  const Result<BackupFacts> good = verify(path);
  if (!good) return fail(good.error().within("the backup is not used"));

  const Result<bool> is_there = exists(files, data_dir);
  if (!is_there) return fail(is_there.error());
  if (*is_there) {
    const Result<std::vector<std::string>> names = list(files, data_dir);
    if (!names) return fail(names.error());
    for (const std::string& name : *names) {
      if (name != "lost+found") {
        return fail(errc::already_there, data_dir + " is not empty (there is \"" + name +
                                             "\"); a backup is restored into an empty or new folder");
      }
    }
  } else if (Result<void> made = make_folder(files, data_dir); !made) {
    return fail(made.error());
  }
  if (const Result<void> done = copy_store(files, path, data_dir); !done)
    return fail(done.error().within("the restore is unfinished"));
  return verify(data_dir);
}

}  // namespace courier::store
