#include "events/file/line_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace courier::events::file {
namespace {

constexpr int kLookedAtMs = 200;
// A pipe that is writable takes so much at once, all of it or nothing (PIPE_BUF): no crash tears a line that
// fits.
constexpr size_t kPieceMax = 4096;

// The whole lines in front that fit; of a longer one its beginning.
size_t piece_of(std::string_view lines) {
  if (lines.size() <= kPieceMax) return lines.size();
  const size_t end = lines.rfind('\n', kPieceMax - 1);
  return end == std::string_view::npos ? kPieceMax : end + 1;
}

// How long the file is up to its last whole line.
uint64_t whole_lines(int fd, uint64_t size) {
  std::array<char, 64 * 1024> piece;
  while (size > 0) {
    const uint64_t from = size - std::min<uint64_t>(size, piece.size());
    const ssize_t got = ::pread(fd, piece.data(), size - from, static_cast<off_t>(from));
    if (got <= 0) return size;
    for (ssize_t i = got; i > 0; --i) {
      if (piece[static_cast<size_t>(i - 1)] == '\n') return from + static_cast<uint64_t>(i);
    }
    size = from;
  }
  return 0;
}

}  // namespace

Failure LineFile::failed(std::string_view what) const {
  const std::error_code code(errno, std::generic_category());
  return courier::fail(Error(code, std::string(what) + " " + options_.path + ": " + code.message()));
}

Result<std::unique_ptr<LineFile>> LineFile::open(LineFileOptions options) {
  std::unique_ptr<LineFile> file(new LineFile(std::move(options)));
  if (file->on_standard_output()) {
    file->fd_ = STDOUT_FILENO;
    return file;
  }
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(file->options_.path).parent_path(), ignored);
  if (auto opened = file->open_file(); !opened) return fail(std::move(opened.error()));
  return file;
}

LineFile::~LineFile() {
  if (fd_ >= 0 && !on_standard_output()) ::close(fd_);
}

Result<void> LineFile::open_file() {
  fd_ = ::open(options_.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) return failed("cannot open");
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return failed("cannot look at");
  is_file_ = S_ISREG(status.st_mode);
  bytes_ = 0;
  if (!is_file_) return {};  // a pipe, perhaps
  const auto size = static_cast<uint64_t>(status.st_size);
  bytes_ = whole_lines(fd_, size);
  if (bytes_ < size && ::ftruncate(fd_, static_cast<off_t>(bytes_)) != 0)
    return failed("cannot cut the torn line off");
  return {};
}

Result<void> LineFile::append(std::string_view lines) {
  if (fd_ < 0) {
    if (auto opened = open_file(); !opened) return opened;
  }
  if (is_file_ && bytes_ > 0 && bytes_ + lines.size() > options_.file_bytes_max) {
    if (auto rotated = rotate(); !rotated) return rotated;
  }
  std::string_view left = lines;
  while (!left.empty()) {
    // Who reads a pipe may stand still.
    pollfd writable{fd_, POLLOUT, 0};
    while (::poll(&writable, 1, kLookedAtMs) == 0) {
      if (stopping_) {
        return courier::fail(
            Error(std::make_error_code(std::errc::operation_canceled), "nobody reads " + options_.path));
      }
    }
    const ssize_t written = ::write(fd_, left.data(), is_file_ ? left.size() : piece_of(left));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      Failure failure = failed("cannot write to");
      // What of it is there comes again, and may not stand there torn.
      if (is_file_) {
        [[maybe_unused]] const int cut = ::ftruncate(fd_, static_cast<off_t>(bytes_));
        ::close(fd_);
        fd_ = -1;
      }
      return failure;
    }
    left.remove_prefix(static_cast<size_t>(written));
  }
  bytes_ += lines.size();
  if (is_file_ && ::fdatasync(fd_) != 0) return failed("cannot sync");
  return {};
}

Result<void> LineFile::rotate() {
  ::close(fd_);
  fd_ = -1;
  const auto name = [&](uint32_t number) { return options_.path + "." + std::to_string(number); };
  if (options_.files_max == 0) {
    if (::unlink(options_.path.c_str()) != 0 && errno != ENOENT) return failed("cannot remove");
    return open_file();
  }
  for (uint32_t number = options_.files_max; number > 1; --number) {
    if (::rename(name(number - 1).c_str(), name(number).c_str()) != 0 && errno != ENOENT)
      return failed("cannot rotate");
  }
  if (::rename(options_.path.c_str(), name(1).c_str()) != 0 && errno != ENOENT)
    return failed("cannot rotate");
  return open_file();
}

}  // namespace courier::events::file
