#include "auth/file/password_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "auth/file/errc.h"
#include "auth/file/limits.h"
#include "jose/digest.h"

namespace courier::auth::file {
namespace {

std::string why(int error) {
  return std::generic_category().message(error);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  bool close() { return fd_ < 0 || ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

struct Content {
  std::string text;
  struct stat status {};
};

// nullopt: there is no such file.
Result<std::optional<Content>> read_all(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) {
    if (errno == ENOENT) return std::optional<Content>();
    return fail(errc::unreadable, fmt::format("cannot read {}: {}", path, why(errno)));
  }
  Content content;
  if (::fstat(file.get(), &content.status) != 0 || !S_ISREG(content.status.st_mode)) {
    return fail(errc::unreadable, fmt::format("cannot read {}: it is not a file", path));
  }
  char buffer[65'536];
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errc::unreadable, fmt::format("cannot read {}: {}", path, why(errno)));
    if (n == 0) break;
    content.text.append(buffer, static_cast<size_t>(n));
    if (content.text.size() > kFileBytesMax) {
      return fail(errc::invalid, fmt::format("{} is larger than {} bytes", path, kFileBytesMax));
    }
  }
  return std::optional<Content>(std::move(content));
}

struct Line {
  std::string_view user, hash;  // empty: a comment or an empty line
};

// Calls `line` for each, from 1, until it returns an error.
template <typename Function>
Result<void> for_each_line(std::string_view text, Function line) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view one = text.substr(0, end);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    if (one.ends_with('\r')) one.remove_suffix(1);
    Line parsed;
    if (!one.empty() && one[0] != '#') {
      const size_t colon = one.find(':');
      if (colon == 0 || colon == std::string_view::npos) {
        return fail(errc::invalid, fmt::format("line {}: it is not USER:HASH", number));
      }
      parsed = {one.substr(0, colon), one.substr(colon + 1)};
    }
    if (auto result = line(number, one, parsed); !result) return result;
  }
  return {};
}

Result<void> check_user_name(std::string_view user) {
  const bool shape = !user.empty() && user.size() <= kUserNameBytesMax && user[0] != '#';
  const bool characters = std::all_of(user.begin(), user.end(), [](char c) {
    return c != ':' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7F;
  });
  if (shape && characters) return {};
  return fail(
      errc::bad_user_name,
      "a user name has 1 to 1024 bytes, no colon and no control characters, and does not start with #");
}

// Puts `text` in the place of the file, as its owner, so that it is whole on disk before it is there at all.
Result<void> replace(const std::string& path, std::string_view text, const std::optional<struct stat>& old) {
  const auto error = [&](std::string_view what) {
    return fail(errc::unwritable, fmt::format("cannot write {}: {}: {}", path, what, why(errno)));
  };
  std::string temporary = path + ".XXXXXX";
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));  // 0600
  if (!file.open()) return error("no temporary file beside it");
  const auto written = [&]() -> Result<void> {
    if (old) {
      const bool same_owner = old->st_uid == ::geteuid() && old->st_gid == ::getegid();
      if (!same_owner && ::fchown(file.get(), old->st_uid, old->st_gid) != 0)
        return error("keeping its owner");
      if (::fchmod(file.get(), old->st_mode & 0660) != 0) return error("keeping its mode");
    }
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t n = ::write(file.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return error("writing");
      rest.remove_prefix(static_cast<size_t>(n));
    }
    if (::fsync(file.get()) != 0) return error("syncing");
    if (!file.close()) return error("closing");
    if (::rename(temporary.c_str(), path.c_str()) != 0) return error("renaming");
    return {};
  }();
  if (!written) ::unlink(temporary.c_str());
  return written;
}

// Reads the file, lets `edit` change its text (false: leave it), and puts the result in its place.
Result<bool> rewrite(const std::string& given_path, const std::function<Result<bool>(std::string&)>& edit) {
  std::error_code ignored;
  const auto followed = std::filesystem::canonical(given_path, ignored);
  const std::string path = ignored ? given_path : followed.string();
  const auto parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();

  // The folder is locked, not the file: the file is another one after each edit.
  Descriptor lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.open()) return fail(errc::unwritable, fmt::format("cannot open {}: {}", folder, why(errno)));
  while (::flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail(errc::unwritable, fmt::format("cannot lock {}: {}", folder, why(errno)));
  }

  auto content = read_all(path);
  if (!content) return fail(content.error());
  std::optional<struct stat> old;
  std::string text;
  if (*content) {
    old = (*content)->status;
    text = std::move((*content)->text);
  }
  auto changed = edit(text);
  if (!changed) return fail(changed.error().within(path));
  if (!*changed) return false;
  if (auto done = replace(path, text, old); !done) return fail(done.error());
  // The rename itself must survive a power cut, too.
  if (::fsync(lock.get()) != 0) {
    return fail(errc::unwritable, fmt::format("cannot sync {}: {}", folder, why(errno)));
  }
  return true;
}

}  // namespace

Result<Users> Users::read(const std::string& path) {
  auto content = read_all(path);
  if (!content) return fail(content.error());
  if (!*content) return fail(errc::unreadable, fmt::format("cannot read {}: {}", path, why(ENOENT)));
  return parse((*content)->text, path);
}

Result<Users> Users::parse(std::string_view text, std::string_view file) {
  Users users;
  std::vector<Cost> costs;
  const auto result =
      for_each_line(text, [&](size_t number, std::string_view, const Line& line) -> Result<void> {
        if (line.user.empty()) return {};
        if (auto name = check_user_name(line.user); !name) {
          return fail(errc::invalid, fmt::format("line {}: {}", number, name.error().message));
        }
        const auto cost = parse_hash(line.hash);
        if (!cost) return fail(errc::invalid, fmt::format("line {}: {}", number, cost.error().message));
        if (!users.by_name_.emplace(line.user, line.hash).second) {
          return fail(errc::invalid, fmt::format("line {}: this user stood before", number));
        }
        if (users.by_name_.size() > kUsersMax) {
          return fail(errc::invalid, fmt::format("line {}: more than {} users", number, kUsersMax));
        }
        users.memory_kib_max_ = std::max(users.memory_kib_max_, cost->memory_kib);
        if (!users.some_scram_ && is_scram(line.hash)) users.some_scram_ = *parse_scram(line.hash);
        constexpr size_t kCostsMax = 16;
        if (costs.size() < kCostsMax && std::find(costs.begin(), costs.end(), *cost) == costs.end()) {
          costs.push_back(*cost);
          users.stand_ins_.emplace_back(line.hash);
        }
        return {};
      });
  if (!result) return fail(result.error().within(file));
  if (users.stand_ins_.empty()) {
    // Of no password in particular: only its cost counts.
    users.stand_ins_.emplace_back(
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmU$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    users.memory_kib_max_ = Cost().memory_kib;
  }
  return users;
}

const std::string* Users::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second;
}

std::optional<ScramKeys> Users::scram_stand_in(const std::string& name) const {
  if (!some_scram_) return std::nullopt;
  // Of a secret that stays as long as its user: who asks twice sees the same salt.
  const std::string made = jose::hmac_sha256(some_scram_->stored_key, "no such user: " + name);
  ScramKeys keys = *some_scram_;
  keys.salt = made.substr(0, keys.salt.size());
  keys.stored_key = jose::hmac_sha256(made, "stored");
  keys.server_key = jose::hmac_sha256(made, "server");
  return keys;
}

const std::string& Users::stand_in(const std::string& name) const {
  return stand_ins_[std::hash<std::string>()(name) % stand_ins_.size()];
}

namespace {

Result<void> set_hash(const std::string& path, const std::string& user, const Result<std::string>& hash) {
  if (auto name = check_user_name(user); !name) return name;
  if (!hash) return fail(hash.error());
  const auto done = rewrite(path, [&](std::string& text) -> Result<bool> {
    std::string out;
    bool replaced = false;
    const auto lines =
        for_each_line(text, [&](size_t, std::string_view whole, const Line& line) -> Result<void> {
          if (line.user == user && !replaced) {
            out += user + ":" + *hash + "\n";
            replaced = true;
          } else if (line.user != user) {
            out += std::string(whole) + "\n";
          }
          return {};
        });
    if (!lines) return fail(lines.error());
    if (!replaced) out += user + ":" + *hash + "\n";
    text = std::move(out);
    return true;
  });
  if (!done) return fail(done.error());
  return {};
}

}  // namespace

Result<void> set_password(const std::string& path, const std::string& user, std::string_view password,
                          const Cost& cost) {
  return set_hash(path, user, hash_password(password, cost));
}

Result<void> set_scram_password(const std::string& path, const std::string& user, std::string_view password) {
  return set_hash(path, user, make_scram(password));
}

Result<bool> delete_user(const std::string& path, const std::string& user) {
  return rewrite(path, [&](std::string& text) -> Result<bool> {
    std::string out;
    bool found = false;
    const auto lines =
        for_each_line(text, [&](size_t, std::string_view whole, const Line& line) -> Result<void> {
          const bool hit = !line.user.empty() && line.user == user;
          if (!hit) out += std::string(whole) + "\n";
          found = found || hit;
          return {};
        });
    if (!lines) return fail(lines.error());
    text = std::move(out);
    return found;
  });
}

Result<std::vector<std::string>> list_users(const std::string& path) {
  auto content = read_all(path);
  if (!content) return fail(content.error());
  if (!*content) return fail(errc::unreadable, fmt::format("cannot read {}: {}", path, why(ENOENT)));
  std::vector<std::string> names;
  const auto lines =
      for_each_line((*content)->text, [&](size_t, std::string_view, const Line& line) -> Result<void> {
        if (!line.user.empty()) names.emplace_back(line.user);
        return {};
      });
  if (!lines) return fail(lines.error().within(path));
  return names;
}

}  // namespace courier::auth::file
