// The reader on trees of /proc and /sys of our own, good ones and hostile ones; and on this machine.
#include "courier/doctor/machine_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "courier/doctor/diagnosis.h"
#include "courier/doctor/disk_facts.h"
#include "courier/doctor/report.h"

namespace courier::cli::doctor {
namespace {

using testing::HasSubstr;

constexpr const char* kFiles[] = {"/proc/meminfo",
                                  "/proc/self/limits",
                                  "/proc/self/status",
                                  "/proc/self/cgroup",
                                  "/proc/net/netstat",
                                  "/proc/sys/kernel/osrelease",
                                  "/proc/sys/vm/overcommit_memory",
                                  "/proc/sys/fs/nr_open",
                                  "/proc/sys/fs/file-max",
                                  "/proc/sys/fs/file-nr",
                                  "/proc/sys/fs/epoll/max_user_watches",
                                  "/proc/sys/net/core/somaxconn",
                                  "/proc/sys/net/ipv4/tcp_syncookies",
                                  "/proc/sys/net/ipv4/tcp_max_syn_backlog",
                                  "/proc/sys/net/ipv4/ip_local_port_range",
                                  "/proc/sys/net/ipv4/ip_local_reserved_ports",
                                  "/proc/sys/net/ipv4/tcp_mem",
                                  "/proc/sys/net/ipv4/tcp_rmem",
                                  "/proc/sys/net/ipv4/tcp_wmem",
                                  "/proc/sys/net/netfilter/nf_conntrack_max",
                                  "/proc/sys/net/netfilter/nf_conntrack_count",
                                  "/proc/812/comm",
                                  "/proc/812/limits",
                                  "/proc/812/cgroup",
                                  "/etc/systemd/system/courierd.service"};

class Machine : public testing::Test {
 protected:
  Machine() {
    std::string name = std::filesystem::temp_directory_path() / "courier-machine-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~Machine() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  void write_usual() {
    write("/proc/meminfo",
          "MemTotal:       32000000 kB\nMemFree:  1 kB\nSwapTotal:  2048 kB\nCommitLimit: 100 "
          "kB\nCommitted_AS: 90 kB\n");
    const std::string limits =
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max cpu time              unlimited            unlimited            seconds   \n"
        "Max open files            1024                 524288               files     \n";
    write("/proc/self/limits", limits);
    write("/proc/self/status", "Name:\tcourier\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,6,8-9\n");
    write("/proc/self/cgroup", "0::/user.slice\n");
    write("/proc/net/netstat",
          "TcpExt: SyncookiesSent ListenOverflows TCPMemoryPressures\nTcpExt: 1 22 333\nIpExt: "
          "InNoRoutes\nIpExt: 4\n");
    write("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
    write("/proc/sys/vm/overcommit_memory", "0\n");
    write("/proc/sys/fs/nr_open", "1048576\n");
    write("/proc/sys/fs/file-max", "9223372036854775807\n");
    write("/proc/sys/fs/file-nr", "1504\t0\t9223372036854775807\n");
    write("/proc/sys/fs/epoll/max_user_watches", "7000000\n");
    write("/proc/sys/net/core/somaxconn", "4096\n");
    write("/proc/sys/net/ipv4/tcp_syncookies", "1\n");
    write("/proc/sys/net/ipv4/tcp_max_syn_backlog", "2048\n");
    write("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    write("/proc/sys/net/ipv4/ip_local_reserved_ports", "1883,9000-9500\n");
    write("/proc/sys/net/ipv4/tcp_mem", "1\t2\t3\n");
    write("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
    write("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n");
    write("/proc/1/comm", "systemd\n");
    write("/proc/812/comm", "courierd\n");
    write("/proc/812/limits", "Max open files            1048576              unlimited            files\n");
    write("/proc/812/cgroup", "0::/system.slice/courierd.service\n");
    write("/sys/fs/cgroup/system.slice/courierd.service/memory.max", "4294967296\n");
  }

  std::string root_;
};

TEST_F(Machine, IsReadAsItIs) {
  write_usual();
  const MachineFacts facts = read_machine(root_);
  EXPECT_EQ(facts.kernel, "6.1.0-13-amd64");
  EXPECT_EQ(facts.cores, 7u);
  EXPECT_EQ(facts.memory_bytes, 32'000'000ull * 1024);
  EXPECT_EQ(facts.swap_bytes, 2'048u * 1024);
  EXPECT_EQ(facts.committed_bytes, 90u * 1024);
  EXPECT_EQ(facts.open_files->soft, 1'024u);
  EXPECT_EQ(facts.open_files->hard, 524'288u);
  EXPECT_EQ(facts.files_per_process_max, 1'048'576u);
  EXPECT_EQ(facts.files_now, 1'504u);
  EXPECT_EQ(facts.epoll_watches_max, 7'000'000u);
  EXPECT_EQ(facts.tcp_counters->accept_queue_full, 22u);
  EXPECT_EQ(facts.tcp_counters->memory_pressures, 333u);
  EXPECT_EQ(facts.local_ports->first, 32'768u);
  EXPECT_EQ(facts.local_ports->size(), 28'232u);
  ASSERT_EQ(facts.reserved_ports->size(), 2u);
  EXPECT_TRUE((*facts.reserved_ports)[1].contains(9'464));
  EXPECT_EQ(facts.tcp_memory->high, 3u);
  EXPECT_EQ(facts.conntrack, std::nullopt);
  EXPECT_EQ(facts.unit_files, std::nullopt);
  EXPECT_FALSE(facts.container);
  ASSERT_EQ(facts.nodes.size(), 1u);
  EXPECT_EQ(facts.nodes[0].pid, 812u);
  EXPECT_EQ(facts.nodes[0].open_files->soft, 1'048'576u);
  EXPECT_EQ(facts.nodes[0].open_files->hard, kNoLimit);
  EXPECT_EQ(facts.nodes[0].group->memory_max, uint64_t{4} << 30);
}

TEST_F(Machine, ATableOfConnectionsIsThereOnlyWhenItsModuleIs) {
  write("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
  EXPECT_FALSE(*read_machine(root_).conntrack);
  write("/proc/sys/net/netfilter/nf_conntrack_count", "12\n");
  EXPECT_EQ((*read_machine(root_).conntrack)->entries_max, 262'144u);
  EXPECT_EQ((*read_machine(root_).conntrack)->entries, 12u);
}

TEST_F(Machine, TheLastLimitOfUnitAndDropInsCounts) {
  write("/lib/systemd/system/courierd.service", "[Service]\n# LimitNOFILE=1\nLimitNOFILE=1048576\n");
  EXPECT_EQ(**read_machine(root_).unit_files, 1'048'576u);
  write("/etc/systemd/system/courierd.service.d/10-more.conf", "[Service]\nLimitNOFILE=1024:2097152\n");
  EXPECT_EQ(**read_machine(root_).unit_files, 2'097'152u);
  write("/run/systemd/system/courierd.service.d/20-most.conf",
        "[Service]\n LimitNOFILE = 5\nLimitNOFILE=infinity\n");
  EXPECT_EQ(**read_machine(root_).unit_files, kNoLimit);
  write("/etc/systemd/system/courierd.service.d/30-bad.conf", "LimitNOFILE=plenty\n");
  EXPECT_FALSE(*read_machine(root_).unit_files);
  EXPECT_THAT(read_machine(root_).unit_files->error(), HasSubstr("plenty"));
}

TEST_F(Machine, AContainerIsKnownByItsMark) {
  write("/.dockerenv", "");
  EXPECT_TRUE(read_machine(root_).container);
}

TEST_F(Machine, AnEmptyTreeIsAllUnknownAndSaysWhichFile) {
  const MachineFacts facts = read_machine(root_);
  EXPECT_FALSE(facts.cores);
  EXPECT_FALSE(facts.tcp_memory);
  EXPECT_THAT(facts.files_per_process_max.error(), HasSubstr("/proc/sys/fs/nr_open: No such file"));
  Examined seen;
  seen.machine = facts;
  seen.settings.listeners.emplace_back();
  EXPECT_TRUE(diagnose(seen, {}).fit());
}

TEST_F(Machine, GarbledFilesAreUnknownWithWhatTheySay) {
  write_usual();
  write("/proc/sys/fs/nr_open", "\x1b[31m many \xff\n");
  write("/proc/sys/net/ipv4/tcp_mem", "1 2\n");
  write("/proc/sys/net/ipv4/ip_local_port_range", "60999 32768\n");
  write("/proc/sys/net/ipv4/ip_local_reserved_ports", "1-,99999\n");
  write("/proc/self/status", "Cpus_allowed_list:\t3-0\n");
  write("/proc/self/limits", "Max open files\n");
  write("/proc/meminfo", "MemTotal: 99999999999999999999 kB\n");
  write("/proc/net/netstat", "TcpExt: ListenOverflows\nTcpExt:\n");
  const MachineFacts facts = read_machine(root_);
  ASSERT_FALSE(facts.files_per_process_max);
  EXPECT_THAT(facts.files_per_process_max.error(), HasSubstr("says \"\\x1b[31m many \\xff\""));
  EXPECT_FALSE(facts.tcp_memory);
  EXPECT_FALSE(facts.local_ports);
  EXPECT_FALSE(facts.reserved_ports);
  EXPECT_FALSE(facts.cores);
  EXPECT_FALSE(facts.open_files);
  EXPECT_FALSE(facts.memory_bytes);
  EXPECT_FALSE(facts.tcp_counters);
}

TEST_F(Machine, NothingThatStandsInAFileEndsTheReader) {
  std::mt19937 random(4711);
  const std::vector<std::string> pieces = {"0",
                                           "-1",
                                           "18446744073709551616",
                                           "max",
                                           "unlimited",
                                           "\n",
                                           "\t",
                                           " ",
                                           ":",
                                           ",",
                                           "-",
                                           "=",
                                           "/../",
                                           std::string(1, '\0'),
                                           "\xff",
                                           "Max open files",
                                           "TcpExt:",
                                           "ListenOverflows",
                                           "Cpus_allowed_list:",
                                           "MemTotal:",
                                           "LimitNOFILE=",
                                           "courierd"};
  for (int round = 0; round < 60; ++round) {
    for (const char* file : kFiles) {
      std::string text;
      for (unsigned i = random() % 12; i > 0; --i) text += pieces[random() % pieces.size()];
      write(file, text);
    }
    Examined seen;
    seen.machine = read_machine(root_);
    seen.settings.listeners.emplace_back();
    const Diagnosis diagnosis =
        diagnose(seen, {random() % 2 == 0 ? std::nullopt : std::optional<uint64_t>(100'000'000), {}, 1});
    EXPECT_FALSE(report_text(seen, diagnosis).empty());
    EXPECT_FALSE(report_json(seen, diagnosis).empty());
  }
}

TEST_F(Machine, APipeOrAFolderInPlaceOfAFileDoesNotHoldItUp) {
  write_usual();
  std::filesystem::remove(root_ + "/proc/sys/fs/nr_open");
  ASSERT_EQ(::mkfifo((root_ + "/proc/sys/fs/nr_open").c_str(), 0600), 0);
  std::filesystem::remove(root_ + "/proc/meminfo");
  std::filesystem::create_directory(root_ + "/proc/meminfo");
  const MachineFacts facts = read_machine(root_);
  EXPECT_THAT(facts.files_per_process_max.error(), HasSubstr("is no file"));
  EXPECT_FALSE(facts.memory_bytes);
}

TEST_F(Machine, AFileWithoutEndIsGivenUp) {
  write("/proc/meminfo", std::string(kFactFileBytesMax + 1, 'x'));
  EXPECT_THAT(read_machine(root_).memory_bytes.error(), HasSubstr("too long"));
}

TEST(Mounts, TheLongestMountPointAboveThePathCountsAndTheLastOfThese) {
  const std::string text =
      "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
      "30 22 0:25 / /var rw shared:1 - xfs /dev/vdb rw\n"
      "31 22 0:26 / /var/lib/my\\040data ro master:2 propagate_from:1 - btrfs /dev/vdc rw,space_cache\n"
      "32 30 0:27 / /var rw - zfs tank rw\n"
      "broken line\n33 22 0:28 / /short - x\n";
  EXPECT_EQ(mount_of(text, "/etc/courier")->type, "ext4");
  EXPECT_EQ(mount_of(text, "/variable")->type, "ext4");
  EXPECT_EQ(mount_of(text, "/var/lib")->type, "zfs");
  const auto deep = mount_of(text, "/var/lib/my data/courier");
  EXPECT_EQ(deep->type, "btrfs");
  EXPECT_TRUE(deep->has_option("ro"));
  EXPECT_TRUE(deep->has_option("space_cache"));
  EXPECT_FALSE(deep->has_option("space"));
  EXPECT_FALSE(mount_of("", "/"));
}

TEST_F(Machine, ADiskIsTimedAndNothingIsLeftBehind) {
  const DiskFacts disk = read_disk(root_ + "/not/there/yet");
  EXPECT_EQ(disk.looked_at, root_);
  ASSERT_TRUE(disk.syncs) << disk.syncs.error();
  EXPECT_GT(disk.syncs->count, 0u);
  EXPECT_LE(disk.syncs->count, kSyncs);
  EXPECT_LE(disk.syncs->p50_ms, disk.syncs->p99_ms);
  EXPECT_GT(disk.free_bytes.value_or(0), 0u);
  EXPECT_TRUE(disk.mount) << disk.mount.error();
  EXPECT_TRUE(std::filesystem::is_empty(root_));
}

TEST(Disk, AFolderThatCannotBeWrittenIsSaid) {
  const DiskFacts disk = read_disk("/proc/self");
  ASSERT_FALSE(disk.syncs);
  EXPECT_THAT(disk.syncs.error(), HasSubstr("cannot write a file in /proc/self"));
}

TEST(ThisMachine, IsKnownInItsMainParts) {
  const MachineFacts facts = read_machine("");
  EXPECT_TRUE(facts.cores) << facts.cores.error();
  EXPECT_TRUE(facts.memory_bytes) << facts.memory_bytes.error();
  EXPECT_TRUE(facts.open_files) << facts.open_files.error();
  EXPECT_TRUE(facts.files_per_process_max) << facts.files_per_process_max.error();
}

}  // namespace
}  // namespace courier::cli::doctor
