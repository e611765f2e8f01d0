// Small files written whole, and what RocksDB's file systems say, as Results. Everything that this folder
// does with files goes through a rocksdb::FileSystem, so that a test's file system sees all of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace rocksdb {
class FileSystem;
class Status;
}  // namespace rocksdb

namespace courier::store {

// The error that a RocksDB status means: the code, and a sentence that begins with `what` ("cannot open …").
Error error_of(const rocksdb::Status& status, std::string_view what);

Result<bool> exists(rocksdb::FileSystem& file_system, const std::string& path);
// Names only, sorted, without "." and "..".
Result<std::vector<std::string>> list(rocksdb::FileSystem& file_system, const std::string& folder);
Result<std::string> read_file(rocksdb::FileSystem& file_system, const std::string& path);
// The whole file or nothing, safe when it returns.
Result<void> replace_file(rocksdb::FileSystem& file_system, const std::string& folder, std::string_view name,
                          std::string_view content);
// Makes names in a folder safe.
Result<void> sync_folder(rocksdb::FileSystem& file_system, const std::string& folder);
// Leaves the first `size` bytes of a closed file, safely.
Result<void> cut_file(rocksdb::FileSystem& file_system, const std::string& path, uint64_t size);
Result<void> copy_file(rocksdb::FileSystem& file_system, const std::string& from, const std::string& to);
// Removes a folder and what is in it, folders inside included; as far as that goes, and what is there.
void remove_folder(rocksdb::FileSystem& file_system, const std::string& path);

}  // namespace courier::store
