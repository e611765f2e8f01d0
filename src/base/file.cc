#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/errc.h"

namespace courier {

Result<std::string> read_file(const std::string& path, size_t bytes_max) {
  const auto unreadable = [&](const std::string& why) {
    return fail(BaseErrc::unreadable, fmt::format("cannot read {}: {}", path, why));
  };
  // Without waiting: a pipe without a writer would hold the caller for good.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return unreadable(std::generic_category().message(errno));
  std::string text;
  const auto read_all = [&]() -> Result<void> {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return unreadable("it is not a plain file");
    char buffer[16'384];
    for (;;) {
      const ssize_t n = ::read(fd, buffer, sizeof(buffer));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return unreadable(std::generic_category().message(errno));
      if (n == 0) return {};
      text.append(buffer, static_cast<size_t>(n));
      if (text.size() > bytes_max) return unreadable(fmt::format("it has more than {} bytes", bytes_max));
    }
  };
  auto done = read_all();
  ::close(fd);
  if (!done) return fail(std::move(done.error()));
  return text;
}

WatchedFile::WatchedFile(std::string path, MonoNs now)
    : path_(std::move(path)), last_(stamp()), looked_at_(now) {}

bool WatchedFile::changed(MonoNs now) {
  if (now - looked_at_ < kLookEveryNs) return false;
  looked_at_ = now;
  return changed();
}

bool WatchedFile::changed() {
  return std::exchange(last_, stamp()) != last_;
}

std::optional<WatchedFile::Stamp> WatchedFile::stamp() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return std::nullopt;
  const auto ns = [](const timespec& t) { return t.tv_sec * kNsPerSecond + t.tv_nsec; };
  return Stamp{ns(status.st_mtim), ns(status.st_ctim), status.st_size, status.st_ino};
}

}  // namespace courier
