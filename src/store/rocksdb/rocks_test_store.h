// What the tests of this folder share: a folder that goes away, and a store opened in it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "store/rocksdb/rocks_store.h"
#include "store/store_test_contract.h"

namespace courier::store {

class TestFolder {
 public:
  TestFolder() {
    static std::atomic<int> count{0};
    path_ =
        ::testing::TempDir() + "courier_store_" + std::to_string(getpid()) + "_" + std::to_string(count++);
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Result<std::unique_ptr<RocksStore>> try_open(
    const std::string& data_dir, std::shared_ptr<rocksdb::FileSystem> file_system = nullptr) {
  return RocksStore::open({.data_dir = data_dir, .file_system = std::move(file_system)});
}
inline std::unique_ptr<RocksStore> must_open(const std::string& data_dir,
                                             std::shared_ptr<rocksdb::FileSystem> file_system = nullptr) {
  Result<std::unique_ptr<RocksStore>> store = try_open(data_dir, std::move(file_system));
  if (!store) {
    ADD_FAILURE() << store.error().message;
    std::abort();
  }
  return std::move(*store);
}
// Why it cannot be opened; empty if it can.
inline std::string refusal(const std::string& data_dir) {
  const Result<std::unique_ptr<RocksStore>> store = try_open(data_dir);
  return store ? std::string() : store.error().message;
}

inline Result<void> write_state(StateStore& state, StateBatch batch, uint64_t position) {
  std::vector<StateBatch> parts;
  parts.push_back(std::move(batch));
  return state.write(parts, Position(position));
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}
inline void flip_byte(const std::string& path, size_t at) {
  std::string bytes = read_bytes(path);
  ASSERT_LT(at, bytes.size()) << path;
  bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
  write_bytes(path, bytes);
}
// The files of a folder whose names begin and end so, in order.
inline std::vector<std::string> files_in(const std::string& folder, const std::string& begin,
                                         const std::string& end) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(begin) && name.ends_with(end)) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

#define EXPECT_SAYS(sentence, part) EXPECT_NE((sentence).find(part), std::string::npos) << (sentence)

}  // namespace courier::store
