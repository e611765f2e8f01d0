// The password file: one user to a line, USER:HASH; empty lines and lines that start with # are kept and
// ignored.
//
//   # phones
//   alice:$argon2id$v=19$m=19456,t=2,p=1$…$…
//   bob:$scram-sha-256$i=16384,s=…$…$…
//
// Reading is all or nothing: one bad line and nothing of the file counts. Edits replace the file by a rename,
// so that a reader sees the old or the new one, under a lock, so that two editors do not undo each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/file/password_hash.h"
#include "auth/file/scram.h"
#include "base/result.h"

namespace courier::auth::file {

// What a file said, once. Immutable after read().
class Users {
 public:
  // Errors: unreadable, invalid (the message names file and line, never the hash).
  static Result<Users> read(const std::string& path);
  static Result<Users> parse(std::string_view text, std::string_view file);

  // The user's hash, or nullptr.
  const std::string* find(const std::string& name) const;
  // Keys for a SCRAM exchange in vain, of a name without any: always the same for the same name, and nothing
  // tells them from others. Nothing: nobody here has such keys.
  std::optional<ScramKeys> scram_stand_in(const std::string& name) const;
  // A hash to check in vain for a name that is not here, so that it takes as long as for one that is: always
  // the same one for the same name, with the cost of some user's.
  const std::string& stand_in(const std::string& name) const;

  size_t size() const { return by_name_.size(); }
  uint32_t memory_kib_max() const { return memory_kib_max_; }  // of the hungriest hash

 private:
  std::unordered_map<std::string, std::string> by_name_;
  std::vector<std::string> stand_ins_;  // one for each cost that occurs
  std::optional<ScramKeys> some_scram_;
  uint32_t memory_kib_max_ = 0;
};

// What `courier passwd` does. A new file is for its owner only (0600); an old one keeps its owner and loses
// nothing but what others could do with it. A link is followed. Errors of all: unreadable, invalid,
// unwritable; of set_password also bad_user_name, bad_password, hash_failed.
Result<void> set_password(const std::string& path, const std::string& user, std::string_view password,
                          const Cost& cost = {});
// The same with the keys of SCRAM-SHA-256: the user may prove its password that way, or send it.
Result<void> set_scram_password(const std::string& path, const std::string& user, std::string_view password);
// False: there was no such user, and the file is as it was.
Result<bool> delete_user(const std::string& path, const std::string& user);
// In the order of the file.
Result<std::vector<std::string>> list_users(const std::string& path);

}  // namespace courier::auth::file
