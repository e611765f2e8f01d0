#include "config/control_group.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace courier::config {
namespace {

constexpr uint64_t kVersion1NoLimit = uint64_t{1} << 62;  // it writes a number near 2^63

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

std::optional<uint64_t> as_limit(std::string_view text) {
  if (text == "max") return kNoLimit;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> read_limit(const std::string& path) {
  const auto line = first_line(path);
  return line ? as_limit(*line) : std::nullopt;
}

// "/a/b", "/a", "" for "/a/b": a group and those above it, and nothing that climbs out of the tree. Inside of
// a container, whose tree begins at its own group, only the last of them may be there.
std::vector<std::string> upwards(const std::string& path) {
  std::vector<std::string> groups = {""};
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');) {
    if (!part.empty() && part != "." && part != "..") groups.push_back(groups.back() + "/" + part);
  }
  std::reverse(groups.begin(), groups.end());
  return groups;
}

void take_quota(ControlGroup& group, uint64_t quota, uint64_t period) {
  if (period == 0 || quota == 0 || quota == kNoLimit) return;
  const double cpus = static_cast<double>(quota) / static_cast<double>(period);
  if (group.cpus == 0 || cpus < group.cpus) group.cpus = cpus;
}

void read_unified(ControlGroup& group, const std::string& tree, const std::string& path) {
  for (const std::string& one : upwards(path)) {
    const std::string folder = tree + one;
    group.memory_max = std::min(group.memory_max, read_limit(folder + "/memory.max").value_or(kNoLimit));
    group.swap_max = std::min(group.swap_max, read_limit(folder + "/memory.swap.max").value_or(kNoLimit));
    const auto line = first_line(folder + "/cpu.max");  // "200000 100000", "max 100000"
    const size_t space = line ? line->find(' ') : std::string::npos;
    if (space != std::string::npos) {
      const auto quota = as_limit(std::string_view(*line).substr(0, space));
      const auto period = as_limit(std::string_view(*line).substr(space + 1));
      if (quota && period) take_quota(group, *quota, *period);
    }
    std::ifstream stat(folder + "/cpu.stat");
    uint64_t value = 0;
    for (std::string name; stat >> name >> value;) {
      if (name == "nr_throttled") group.throttled = std::max(group.throttled, value);
    }
  }
}

void read_memory_controller(ControlGroup& group, const std::string& tree, const std::string& path) {
  for (const std::string& one : upwards(path)) {
    const auto limit = read_limit(tree + one + "/memory.limit_in_bytes");
    if (limit && *limit < kVersion1NoLimit) group.memory_max = std::min(group.memory_max, *limit);
  }
}

void read_cpu_controller(ControlGroup& group, const std::string& tree, const std::string& path) {
  for (const std::string& one : upwards(path)) {
    const auto quota = read_limit(tree + one + "/cpu.cfs_quota_us");  // -1, which is no number here: none
    const auto period = read_limit(tree + one + "/cpu.cfs_period_us");
    if (quota && period) take_quota(group, *quota, *period);
  }
}

}  // namespace

std::optional<ControlGroup> control_group(const std::string& root, const std::string& process) {
  std::ifstream in(root + "/proc/" + process + "/cgroup");
  if (!in) return std::nullopt;
  const std::string trees = root + "/sys/fs/cgroup";
  ControlGroup group;
  // "0::/path" of version 2, "4:memory:/path" and "3:cpu,cpuacct:/path" of version 1.
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") read_unified(group, trees, path);
    if (controllers.find(",memory,") != std::string::npos) {
      read_memory_controller(group, trees + "/memory", path);
    }
    if (controllers.find(",cpu,") != std::string::npos) read_cpu_controller(group, trees + "/cpu", path);
  }
  return group;
}

}  // namespace courier::config
