#include "store/rocksdb/data_directory.h"

#include <fcntl.h>
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>

#include "store/errc.h"
#include "store/rocksdb/copies.h"
#include "store/rocksdb/files.h"
#include "store/rocksdb/journal.h"
#include "store/rocksdb/schema.h"

namespace courier::store {
namespace {

using rocksdb::IOOptions;
using rocksdb::IOStatus;

constexpr std::string_view kFirstLine = "courier store";
constexpr std::string_view kRestore = "Restore the latest backup (courier restore)";

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::optional<uint64_t> number_in(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The number of a write-ahead log by its name ("000012.log"); nothing for other files.
std::optional<uint64_t> log_number(std::string_view name) {
  if (!name.ends_with(".log")) return std::nullopt;
  return number_in(name.substr(0, name.size() - 4));
}

bool ours(const std::string& name) {
  return name == schema::kFormatFile || name == schema::kNewestFile || name == schema::kLockFile ||
         name == schema::kDatabaseFolder || name.ends_with(".new");
}

std::string not_a_store(const std::string& path) {
  return path + " is no data directory of Courier: it has no file FORMAT";
}

// "process 4711 (courierd)", as far as the kernel tells.
std::string holder_of(const std::string& lock_file) {
  const int file = ::open(lock_file.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return "another process";
  struct flock query {};
  query.l_type = F_WRLCK;
  query.l_whence = SEEK_SET;
  const bool known = ::fcntl(file, F_GETLK, &query) == 0 && query.l_type != F_UNLCK && query.l_pid > 0;
  ::close(file);
  if (!known) return "another process";
  std::string holder = "process " + std::to_string(query.l_pid);
  const auto name =
      read_file(*rocksdb::FileSystem::Default(), "/proc/" + std::to_string(query.l_pid) + "/comm");
  if (name && !name->empty()) holder += " (" + name->substr(0, name->find('\n')) + ")";
  return holder;
}

struct Newest {
  uint64_t log = 0;
  std::map<std::string, uint64_t> sizes;  // after a clean stop
};

Result<Newest> parse_newest(const std::string& path, std::string_view content) {
  Newest newest;
  bool whole = false;
  for (const std::string& line : lines_of(content)) {
    const size_t space = line.find(' ');
    if (line == "end") {
      whole = true;
      continue;
    }
    const auto number = space == std::string::npos ? std::nullopt : number_in(line.substr(space + 1));
    if (!number || whole) return fail(errc::damaged, path + " cannot be read: \"" + line + "\"");
    if (line.substr(0, space) == "log") {
      newest.log = *number;
    } else {
      newest.sizes[line.substr(0, space)] = *number;
    }
  }
  if (!whole) return fail(errc::damaged, path + " ends in the middle");
  return newest;
}

}  // namespace

std::string unfinished_import(const std::string& path) {
  return path +
         " holds an import that was cut off. Run courier cluster import again, which goes on with it; "
         "or empty the folder to do without";
}

DataDirectory::DataDirectory(std::shared_ptr<rocksdb::FileSystem> file_system, std::string path)
    : file_system_(std::move(file_system)), path_(std::move(path)) {}

DataDirectory::~DataDirectory() {
  if (lock_ != nullptr) file_system_->UnlockFile(lock_, IOOptions(), nullptr).PermitUncheckedError();
}

std::string DataDirectory::database_path() const {
  return path_ + "/" + schema::kDatabaseFolder;
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(std::shared_ptr<rocksdb::FileSystem> file_system,
                                                           std::string path, Access access) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  std::unique_ptr<DataDirectory> directory(new DataDirectory(std::move(file_system), std::move(path)));
  if (Result<void> locked = directory->lock(access); !locked) return fail(locked.error());
  if (access != Access::existing_only) {
    if (Result<void> done = finish_exchange(*directory->file_system_, directory->path_); !done)
      return fail(done.error());
  } else if (exchange_begun(*directory->file_system_, directory->path_)) {
    return fail(errc::not_a_store, directory->path_ +
                                       " is being exchanged for another node's copy of the state; start its "
                                       "courierd, which finishes that");
  }
  if (Result<void> read = directory->read_format(access); !read) return fail(read.error());
  if (access == Access::create && !directory->is_new())
    remove_copies(*directory->file_system_, directory->path_);
  return directory;
}

Result<void> DataDirectory::lock(Access access) {
  const Result<bool> is_there = exists(*file_system_, path_);
  if (!is_there) return fail(is_there.error());
  if (!*is_there) {
    if (access == Access::existing_only) return fail(errc::not_a_store, path_ + " does not exist");
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
    const IOStatus made = file_system_->CreateDirIfMissing(path_, IOOptions(), nullptr);
    if (!made.ok()) return fail(error_of(made, "cannot create data_dir " + path_));
  }
  bool is_folder = true;
  if (file_system_->IsDirectory(path_, IOOptions(), &is_folder, nullptr).ok() && !is_folder) {
    return fail(errc::not_a_store, path_ + " is a file; a data directory is a folder");
  }
  // The lock is a file, and whoever only looks leaves none in a folder that is not ours.
  if (access == Access::existing_only && !exists(*file_system_, database_path()).value_or(true) &&
      !exists(*file_system_, path_ + "/" + schema::kFormatFile).value_or(true)) {
    return fail(errc::not_a_store, not_a_store(path_));
  }
  const std::string file = path_ + "/" + schema::kLockFile;
  uint64_t length = 0;
  held_store_ = file_system_->GetFileSize(file, IOOptions(), &length, nullptr).ok() && length > 0;
  const IOStatus locked = file_system_->LockFile(file, IOOptions(), &lock_, nullptr);
  if (locked.ok()) return {};
  lock_ = nullptr;
  const std::string sentence = locked.ToString();
  // Looking into a lock file that this very process holds would give the lock up.
  if (sentence.find("current process") != std::string::npos) {
    return fail(errc::in_use, path_ + " is open already, in this process");
  }
  if (sentence.find("temporarily unavailable") != std::string::npos) {
    return fail(errc::in_use, path_ + " is in use by " + holder_of(file) + "; stop it first");
  }
  return fail(error_of(locked, "cannot lock data_dir " + path_));
}

Result<void> DataDirectory::read_format(Access access) {
  const Result<std::vector<std::string>> names = list(*file_system_, path_);
  if (!names) return fail(names.error());
  const auto has = [&](std::string_view name) {
    return std::find(names->begin(), names->end(), name) != names->end();
  };
  const std::string file = path_ + "/" + schema::kFormatFile;
  if (!has(schema::kFormatFile)) {
    if (has(schema::kDatabaseFolder)) {
      return fail(errc::damaged,
                  path_ + " holds a database, but the file FORMAT that says what it is, is missing. " +
                      std::string(kRestore) + ", or give another data_dir");
    }
    if (access == Access::existing_only) return fail(errc::not_a_store, not_a_store(path_));
    if (held_store_) {
      return fail(errc::damaged,
                  path_ + " held a store, of which only the lock file is left: FORMAT and the database " +
                      "are gone. " + std::string(kRestore) + " into a new folder; or delete " + path_ + "/" +
                      schema::kLockFile + " to begin an empty store here");
    }
    for (const std::string& name : *names) {
      if (name == schema::kImportFolder) {
        if (access == Access::if_any) continue;
        return fail(errc::not_a_store, unfinished_import(path_));
      }
      if (!ours(name) && name != "lost+found") {
        return fail(errc::not_a_store, path_ + " is no data directory of Courier and not empty (there is \"" +
                                           name + "\"); give an empty or new folder as data_dir");
      }
    }
    is_new_ = true;
    if (access == Access::if_any) return {};
    if (Result<void> made = write_format(*file_system_, path_, Stage::creating); !made) return made;
    return clear_database();
  }

  const Result<std::string> content = read_file(*file_system_, file);
  if (!content) return fail(content.error());
  const std::vector<std::string> lines = lines_of(*content);
  if (lines.size() < 3 || lines[0] != kFirstLine || !lines[1].starts_with("format ")) {
    return fail(errc::damaged, file + " is damaged: it does not say \"" + std::string(kFirstLine) +
                                   "\" and a format. " + std::string(kRestore));
  }
  const auto format = number_in(std::string_view(lines[1]).substr(7));
  if (!format || *format == 0) return fail(errc::damaged, file + " is damaged: \"" + lines[1] + "\"");
  if (*format > schema::kFormat) {
    return fail(errc::newer_format, path_ + " was written by a newer Courier (format " +
                                        std::to_string(*format) + "; this one reads up to format " +
                                        std::to_string(schema::kFormat) +
                                        "); start that one, or restore a backup made before the upgrade");
  }
  if (lines[2] == "restoring") {
    return fail(errc::damaged,
                path_ + " is an unfinished restore; empty the folder and run courier restore again");
  }
  if (lines[2] == "creating") {
    if (access == Access::existing_only)
      return fail(errc::not_a_store, path_ + " holds no complete store yet");
    is_new_ = true;
    if (access == Access::if_any) return {};
    if (has(schema::kImportFolder)) return fail(errc::not_a_store, unfinished_import(path_));
    return clear_database();
  }
  if (lines[2] != "ready") return fail(errc::damaged, file + " is damaged: \"" + lines[2] + "\"");
  format_ = static_cast<uint32_t>(*format);
  const Result<bool> current = exists(*file_system_, database_path() + "/CURRENT");
  if (!current) return fail(current.error());
  if (!*current) {
    return fail(errc::damaged, path_ + " should hold a database (FORMAT says so), but " + database_path() +
                                   "/CURRENT is missing. " + std::string(kRestore));
  }
  if (access == Access::create && !held_store_) mark_lock_file();
  return {};
}

Result<void> DataDirectory::clear_database() const {
  const Result<bool> is_there = exists(*file_system_, database_path());
  if (!is_there || !*is_there) return is_there ? Result<void>() : fail(is_there.error());
  const Result<std::vector<std::string>> names = list(*file_system_, database_path());
  if (!names) return fail(names.error());
  for (const std::string& name : *names) {
    const IOStatus gone = file_system_->DeleteFile(database_path() + "/" + name, IOOptions(), nullptr);
    if (!gone.ok()) return fail(error_of(gone, "cannot clear the unfinished store " + path_));
  }
  return {};
}

Result<void> DataDirectory::write_format(rocksdb::FileSystem& file_system, const std::string& path,
                                         Stage stage) {
  std::string content(kFirstLine);
  content += "\nformat " + std::to_string(schema::kFormat) + "\n";
  switch (stage) {
    case Stage::creating:
      content += "creating\n";
      break;
    case Stage::restoring:
      content += "restoring\n";
      break;
    case Stage::ready:
      content += "ready\n";
      break;
  }
  return replace_file(file_system, path, schema::kFormatFile, content);
}

Result<void> DataDirectory::mark_ready() {
  if (Result<void> noted = note_running(); !noted) return noted;
  if (Result<void> made = write_format(*file_system_, path_, Stage::ready); !made) return made;
  is_new_ = false;
  format_ = schema::kFormat;
  mark_lock_file();
  return {};
}

// By its length, since to open and close a file gives up this process's lock on it. Without the mark only a
// check is missing.
void DataDirectory::mark_lock_file() const {
  if (::truncate((path_ + "/" + schema::kLockFile).c_str(), 1) != 0) return;
}

Result<std::vector<std::string>> DataDirectory::write_ahead_logs() const {
  Result<std::vector<std::string>> names = list(*file_system_, database_path());
  if (!names) return names;
  std::erase_if(*names, [](const std::string& name) { return !log_number(name); });
  std::sort(names->begin(), names->end(),
            [](const std::string& a, const std::string& b) { return *log_number(a) < *log_number(b); });
  return names;
}

Result<std::vector<std::string>> DataDirectory::check_journals() const {
  const std::string folder = database_path() + "/";
  const std::string noted_in = path_ + "/" + schema::kNewestFile;
  const Result<std::string> noted = read_file(*file_system_, noted_in);
  if (!noted) return fail(errc::damaged, noted.error().message + ". " + std::string(kRestore));
  const Result<Newest> newest = parse_newest(noted_in, *noted);
  if (!newest) return fail(newest.error());

  Result<std::vector<std::string>> logs = write_ahead_logs();
  if (!logs) return logs;
  if ((logs->empty() ? 0 : *log_number(logs->back())) < newest->log) {
    char name[32];
    std::snprintf(name, sizeof name, "%06llu.log", static_cast<unsigned long long>(newest->log));
    return fail(errc::damaged,
                folder + name + ", the newest journal, is missing, and with it what was acknowledged last. " +
                    std::string(kRestore));
  }
  std::vector<std::string> journals = *logs;
  const Result<std::string> current = read_file(*file_system_, folder + "CURRENT");
  if (!current) return fail(current.error());
  const std::string manifest = current->substr(0, current->find('\n'));
  if (!manifest.starts_with("MANIFEST-") || !exists(*file_system_, folder + manifest).value_or(false)) {
    return fail(errc::damaged,
                folder + "CURRENT names \"" + manifest + "\", which is not there. " + std::string(kRestore));
  }
  journals.push_back(manifest);

  for (const auto& [name, size] : newest->sizes) {
    if (std::find(journals.begin(), journals.end(), name) == journals.end()) {
      return fail(errc::damaged,
                  folder + name + " is missing; it was there at the last stop. " + std::string(kRestore));
    }
  }
  std::vector<std::string> notices;
  for (const std::string& name : journals) {
    const Result<Journal> journal = check_journal(*file_system_, folder + name);
    if (!journal) return fail(journal.error());
    const auto size = newest->sizes.find(name);
    if (size != newest->sizes.end() && size->second != journal->bytes) {
      return fail(errc::damaged, folder + name + " has " + std::to_string(journal->bytes) +
                                     " bytes; at the last stop it had " + std::to_string(size->second) +
                                     ". " + std::string(kRestore));
    }
    if (journal->torn()) {
      notices.push_back(folder + name + " ends in an unfinished write at byte " +
                        std::to_string(journal->intact) + ": it was never acknowledged and is dropped");
    }
  }
  return notices;
}

Result<void> DataDirectory::write_newest(bool clean) const {
  const Result<std::vector<std::string>> logs = write_ahead_logs();
  if (!logs) return fail(logs.error());
  std::string content = "log " + std::to_string(logs->empty() ? 0 : *log_number(logs->back())) + "\n";
  if (clean) {
    std::vector<std::string> files = *logs;
    const Result<std::string> current = read_file(*file_system_, database_path() + "/CURRENT");
    if (!current) return fail(current.error());
    files.push_back(current->substr(0, current->find('\n')));
    for (const std::string& name : files) {
      uint64_t size = 0;
      const IOStatus got =
          file_system_->GetFileSize(database_path() + "/" + name, IOOptions(), &size, nullptr);
      if (!got.ok()) return fail(error_of(got, "cannot see the size of " + name));
      content += name + " " + std::to_string(size) + "\n";
    }
  }
  content += "end\n";
  return replace_file(*file_system_, path_, schema::kNewestFile, content);
}

Result<void> DataDirectory::note_running() const {
  return write_newest(false);
}
Result<void> DataDirectory::note_clean_stop() const {
  return write_newest(true);
}

}  // namespace courier::store
