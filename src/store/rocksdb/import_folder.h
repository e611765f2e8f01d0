// The state of a node alone on its way to be what a cluster begins with, in the data directory of the
// cluster's first node (`courier cluster import`).
//
//   data_dir/import        a copy of the other node's store. Once it names a cluster's log it is whole
//   data_dir/replacement   the same, once the cluster is there: from here on copies.h has it
//
// Until then data_dir holds no store, and a node refuses to start on it. A crash may leave any of this; the
// next import goes on with it or removes it. The other node's folder is read only.
//
// One owner, one thread. While it lives nobody else can open data_dir.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/rocksdb/data_directory.h"
#include "store/state_store.h"

namespace courier::store {

class ImportFolder {
 public:
  // An absent folder is made. Errors: in_use; not_a_store, if there are other things in it; those of a store
  // that is damaged.
  static Result<std::unique_ptr<ImportFolder>> open(const std::string& data_dir);

  // Whether data_dir holds a store. Then there is nothing to do here.
  bool holds_store() const { return !directory_->is_new(); }
  // Of the copy, whether it is there or not.
  const std::string& path() const { return path_; }

  // Copies the store in `from`, which the caller keeps anybody from opening; what was there goes. Table files
  // are linked where they can be. Errors: disk_full, io.
  Result<void> copy(const std::string& from);
  // What makes the copy whole: the changes over its tables up to `position`, and whose state it is.
  Result<void> finish(const std::vector<StateBatch>& changes, Position position, WallMs clock,
                      const std::string& log_id, uint64_t cursor);
  void remove();

  // Makes the copy the store of data_dir, and ends this object.
  static Result<void> put_in_place(std::unique_ptr<ImportFolder> folder);

 private:
  explicit ImportFolder(std::unique_ptr<DataDirectory> directory);

  std::unique_ptr<DataDirectory> directory_;
  const std::string path_;
};

}  // namespace courier::store
