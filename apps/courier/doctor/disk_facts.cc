#include "courier/doctor/disk_facts.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "courier/doctor/machine_facts.h"
#include "net/fd.h"

namespace courier::cli::doctor {
namespace {

using Steady = std::chrono::steady_clock;

std::string nearest_folder(const std::string& path) {
  std::error_code ignored;
  std::filesystem::path at = std::filesystem::absolute(path, ignored);
  while (!std::filesystem::is_directory(at, ignored) && at != at.root_path()) at = at.parent_path();
  return at.lexically_normal().string();
}

net::Fd open_nameless(const std::string& folder) {
  net::Fd file(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (file || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  std::string name = folder + "/.courier-doctor-XXXXXX";
  file = net::Fd(::mkostemp(name.data(), O_CLOEXEC));
  if (file) ::unlink(name.c_str());
  return file;
}

double at_share(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

// As the store's journal grows: a block at the end, then a sync.
Fact<SyncTimes> time_syncs(const std::string& folder) {
  const auto failed = [&](const char* what) {
    return Unknown(fmt::format("cannot {} in {}: {}", what, folder, std::strerror(errno)));
  };
  const net::Fd file = open_nameless(folder);
  if (!file) return failed("write a file");
  const std::string block(kSyncBlockBytes, 'c');
  std::vector<double> times;
  const Steady::time_point end = Steady::now() + kSyncTimeMax;
  while (times.size() < kSyncs && (times.empty() || Steady::now() < end)) {
    const Steady::time_point began = Steady::now();
    if (::write(file.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
      return failed("write a file");
    }
    if (::fdatasync(file.get()) != 0) return failed("sync a file");
    times.push_back(std::chrono::duration<double, std::milli>(Steady::now() - began).count());
  }
  std::sort(times.begin(), times.end());
  return SyncTimes{times.size(), at_share(times, 0.5), at_share(times, 0.99)};
}

}  // namespace

DiskFacts read_disk(const std::string& data_dir) {
  DiskFacts facts;
  facts.data_dir = data_dir;
  facts.looked_at = nearest_folder(data_dir);
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(facts.looked_at.c_str(), nullptr), std::free);
  const auto mountinfo = read_fact_file("/proc/self/mountinfo");
  if (!mountinfo) {
    facts.mount = Unknown(mountinfo.error());
  } else {
    facts.mount = mount_of(*mountinfo, real ? real.get() : facts.looked_at.c_str());
  }
  struct statvfs room {};
  if (::statvfs(facts.looked_at.c_str(), &room) == 0) {
    facts.free_bytes = uint64_t{room.f_bavail} * room.f_frsize;
  } else {
    facts.free_bytes = Unknown(fmt::format("{}: {}", facts.looked_at, std::strerror(errno)));
  }
  facts.syncs = time_syncs(facts.looked_at);
  return facts;
}

}  // namespace courier::cli::doctor
