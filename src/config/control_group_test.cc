#include "config/control_group.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/machine.h"

namespace courier::config {
namespace {

// A tree of /proc and /sys of our own.
class ControlGroups : public testing::Test {
 protected:
  ControlGroups() {
    std::string name = std::filesystem::temp_directory_path() / "courier-groups-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~ControlGroups() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  ControlGroup of(const std::string& process) {
    const auto group = control_group(root_, process);
    EXPECT_TRUE(group);
    return group.value_or(ControlGroup{});
  }

  std::string root_;
};

TEST_F(ControlGroups, TheLeastLimitOnTheWayUpCounts) {
  write("/proc/self/cgroup", "0::/system.slice/courierd.service\n");
  write("/sys/fs/cgroup/system.slice/memory.max", "4294967296\n");
  write("/sys/fs/cgroup/system.slice/courierd.service/memory.max", "max\n");
  write("/sys/fs/cgroup/system.slice/courierd.service/memory.swap.max", "0\n");
  write("/sys/fs/cgroup/system.slice/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/system.slice/courierd.service/cpu.max", "150000 100000\n");
  write("/sys/fs/cgroup/system.slice/courierd.service/cpu.stat",
        "usage_usec 12\nnr_periods 3\nnr_throttled 7\n");
  const ControlGroup group = of("self");
  EXPECT_EQ(group.memory_max, uint64_t{4} << 30);
  EXPECT_EQ(group.swap_max, 0u);
  EXPECT_DOUBLE_EQ(group.cpus, 1.5);
  EXPECT_EQ(group.throttled, 7u);
}

TEST_F(ControlGroups, AContainerSeesItsOwnGroupAtTheTopOfTheTree) {
  write("/proc/17/cgroup", "0::/docker/0123456789\n");
  write("/sys/fs/cgroup/memory.max", "1073741824\n");
  write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(of("17").memory_max, uint64_t{1} << 30);
  EXPECT_DOUBLE_EQ(of("17").cpus, 2);
}

TEST_F(ControlGroups, Version1HasATreeForEachController) {
  write("/proc/self/cgroup", "4:memory:/box\n3:cpu,cpuacct:/box\n9:name=systemd:/\n0::/\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "2147483648\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  write("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "300000\n");
  write("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(of("self").memory_max, uint64_t{2} << 30);
  EXPECT_DOUBLE_EQ(of("self").cpus, 3);
}

TEST_F(ControlGroups, WhatIsGarbledOrMissingLimitsNothing) {
  EXPECT_FALSE(control_group(root_, "self"));
  write("/proc/self/cgroup", "\n:::\n0\n0::/../../box\n7:memory\n");
  write("/sys/fs/cgroup/box/memory.max", "lots\n");
  write("/sys/fs/cgroup/box/cpu.max", "1 0\n");
  write("/sys/fs/cgroup/memory.max", "-5\n");
  write("/sys/fs/cgroup/cpu.max", std::string(100, '\0'));
  EXPECT_EQ(of("self").memory_max, kNoLimit);
  EXPECT_EQ(of("self").cpus, 0);
}

TEST(Machine, AQuotaOfCpusLimitsTheDefaultOfThreads) {
  EXPECT_EQ(cores_within(8, 0), 8u);
  EXPECT_EQ(cores_within(8, 2), 2u);
  EXPECT_EQ(cores_within(8, 1.5), 2u);
  EXPECT_EQ(cores_within(8, 0.1), 1u);
  EXPECT_EQ(cores_within(2, 16), 2u);
}

}  // namespace
}  // namespace courier::config
