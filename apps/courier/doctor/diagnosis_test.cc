// Every rule with facts that are good and facts that are not. The machine is invented; nothing is read.
#include "courier/doctor/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include <nlohmann/json.hpp>

#include "courier/doctor/report.h"
#include "courier/doctor/rules.h"

namespace courier::cli::doctor {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kGigabyte = uint64_t{1} << 30;

// A machine made ready for a million connections, as docs/operations/tuning.md says.
Examined ready_machine() {
  Examined seen;
  MachineFacts& machine = seen.machine;
  machine.kernel = "6.1.0";
  machine.cores = 8;
  machine.memory_bytes = 32 * kGigabyte;
  machine.swap_bytes = 0;
  machine.commit_limit_bytes = 16 * kGigabyte;
  machine.committed_bytes = kGigabyte;
  machine.overcommit = 0;
  machine.group = config::ControlGroup{};
  machine.open_files = OpenFiles{1'024, 1'048'576};
  machine.files_per_process_max = 2'097'152;
  machine.files_max = 4'000'000;
  machine.files_now = 1'000;
  machine.epoll_watches_max = 7'000'000;
  machine.somaxconn = 4'096;
  machine.syn_cookies = 1;
  machine.syn_backlog = 512;
  machine.local_ports = PortRange{32'768, 60'999};
  machine.reserved_ports = std::vector<PortRange>{};
  machine.tcp_memory = Triple{750'000, 1'000'000, 1'500'000};
  machine.receive_buffer = Triple{4'096, 131'072, 6'291'456};
  machine.send_buffer = Triple{4'096, 16'384, 4'194'304};
  machine.tcp_counters = TcpCounters{};
  machine.clock_synchronised = true;
  seen.disk.data_dir = seen.disk.looked_at = "/var/lib/courier";
  seen.disk.mount = Mount{"/var", "ext4", "rw,relatime,rw"};
  seen.disk.free_bytes = 200 * kGigabyte;
  seen.disk.syncs = SyncTimes{200, 0.8, 3};
  config::Listener listener;
  listener.name = "mobile";
  listener.bind = "0.0.0.0:1883";
  seen.settings.listeners = {listener};
  seen.settings.limits.session_expiry_max = std::chrono::hours(24 * 30);
  seen.settings_from = "/etc/courier/courierd.toml";
  return seen;
}

constexpr uint64_t kMillion = 1'000'000;
const Wish kWanted{kMillion, std::nullopt, 1};

const Finding* find(const Diagnosis& diagnosis, std::string_view id) {
  for (const Finding& one : diagnosis.findings) {
    if (one.id == id) return &one;
  }
  return nullptr;
}

// What the rule says of a machine for a million connections; a finding without a name when it says nothing.
Finding of(const Examined& seen, std::string_view id, const Wish& wish = kWanted) {
  const Diagnosis diagnosis = diagnose(seen, wish);
  const Finding* finding = find(diagnosis, id);
  return finding != nullptr ? *finding : Finding{};
}

testing::Matcher<const Finding&> is(Level level) {
  return Field("level", &Finding::level, level);
}
testing::Matcher<const Finding&> mended_by(const std::string& line) {
  return Field("mend", &Finding::mend, Contains(Field("line", &Remedy::line, HasSubstr(line))));
}

TEST(Diagnosis, AReadyMachineIsFitAndNothingIsAdvised) {
  const Diagnosis diagnosis = diagnose(ready_machine(), kWanted);
  EXPECT_TRUE(diagnosis.fit());
  EXPECT_EQ(diagnosis.count(Level::ok), diagnosis.findings.size());
  EXPECT_EQ(diagnosis.size, (Size{kMillion, kMillion, 1}));
  EXPECT_EQ(diagnosis.carries, 1'046'576u);
  EXPECT_EQ(diagnosis.limited_by, "open_files.process");
}

TEST(Diagnosis, EveryFindingThatIsNotGoodSaysWhyAndItsRemedyHasAPlace) {
  Examined seen = ready_machine();
  seen.machine = {};
  seen.machine.open_files = OpenFiles{1'024, 4'096};
  seen.machine.files_per_process_max = seen.machine.files_max = seen.machine.epoll_watches_max = 4'096;
  seen.machine.memory_bytes = kGigabyte;
  seen.machine.swap_bytes = kGigabyte;
  seen.machine.somaxconn = 128;
  seen.machine.syn_cookies = 0;
  seen.machine.conntrack = Fact<Conntrack>(Conntrack{65'536, 100});
  seen.disk.mount = Mount{"/", "overlay", "rw"};
  const Diagnosis diagnosis = diagnose(seen, kWanted);
  EXPECT_FALSE(diagnosis.fit());
  for (const Finding& finding : diagnosis.findings) {
    EXPECT_FALSE(finding.found.empty()) << finding.id;
    const bool judged = finding.level == Level::advice || finding.level == Level::problem;
    EXPECT_EQ(judged, !finding.why.empty()) << finding.id;
    for (const Remedy& remedy : finding.mend) EXPECT_FALSE(remedy.where.empty() || remedy.line.empty());
  }
}

TEST(Diagnosis, WithoutAnyFactEverythingIsUnknownAndNothingFails) {
  Examined seen;
  seen.settings.listeners.emplace_back();
  const Diagnosis diagnosis = diagnose(seen, {});
  EXPECT_TRUE(diagnosis.fit());
  EXPECT_EQ(diagnosis.size.connections, kUnaskedConnectionsMax);
  EXPECT_EQ(diagnosis.carries, std::nullopt);
  EXPECT_GE(diagnosis.count(Level::unknown), 15u);
  EXPECT_THAT(of(seen, "open_files.nr_open").found, HasSubstr("not looked at"));
  EXPECT_FALSE(report_text(seen, diagnosis).empty());
}

TEST(Diagnosis, TheSizeIsWhatIsAskedForOrConfiguredOrWhatTheMemoryCarries) {
  Examined seen = ready_machine();
  EXPECT_EQ(diagnose(seen, {}).size.connections, kUnaskedConnectionsMax);
  EXPECT_FALSE(diagnose(seen, {}).asked);
  seen.machine.memory_bytes = 2 * kGigabyte;
  const Diagnosis small = diagnose(seen, {});
  EXPECT_GT(small.size.connections, 200'000u);
  EXPECT_LT(small.size.connections, 400'000u);
  EXPECT_EQ(small.size.connections % 10'000, 0u);
  EXPECT_TRUE(small.fit());

  seen.settings.listeners[0].connections_max = 50'000;
  seen.settings.listeners.push_back(seen.settings.listeners[0]);
  EXPECT_EQ(diagnose(seen, {}).size.connections, 100'000u);
  EXPECT_TRUE(diagnose(seen, {}).asked);
  EXPECT_EQ(diagnose(seen, {7, 9, 2}).size, (Size{7, 9, 2}));
  seen.settings.listeners[1].connections_max = 0;  // no limit
  EXPECT_FALSE(diagnose(seen, {}).asked);
}

TEST(Diagnosis, WhatNobodyAskedForIsAdvisedAndNotAProblem) {
  Examined seen = ready_machine();
  seen.machine.open_files = OpenFiles{1'024, 20'000};
  EXPECT_THAT(of(seen, "open_files.process"), is(Level::problem));
  EXPECT_THAT(of(seen, "open_files.process", {}), is(Level::advice));
  EXPECT_EQ(diagnose(seen, {}).carries, 18'000u);
}

TEST(OpenFilesRule, TheRunningNodeComesBeforeTheUnitAndTheUnitBeforeTheShell) {
  Examined seen = ready_machine();
  seen.machine.open_files = OpenFiles{1'024, 20'000};
  EXPECT_THAT(of(seen, "open_files.process"), AllOf(is(Level::problem), mended_by("ulimit -Hn 1048576")));
  seen.machine.unit_files = Fact<uint64_t>(1'048'576);
  EXPECT_THAT(of(seen, "open_files.process"), is(Level::ok));
  seen.machine.unit_files = Fact<uint64_t>(kNoLimit);  // which means fs.nr_open
  EXPECT_THAT(of(seen, "open_files.process").found, HasSubstr("2,097,152"));
  seen.machine.nodes = {{4711, OpenFiles{65'536, 1'048'576}, config::ControlGroup{}}};
  EXPECT_THAT(
      of(seen, "open_files.process"),
      AllOf(is(Level::problem), mended_by("LimitNOFILE=1048576"),
            Field(&Finding::found, HasSubstr("courierd (pid 4711) may open 65,536 files; 1,002,000"))));
  EXPECT_THAT(of(seen, "open_files.process", {3 * kMillion, {}, 1}), mended_by("LimitNOFILE=4194304"));
}

TEST(OpenFilesRule, OfSeveralNodesOneMustBeMeant) {
  Examined seen = ready_machine();
  seen.machine.nodes = {{11, OpenFiles{1'024, 1'024}, {}}, {12, OpenFiles{2'000'000, 2'000'000}, {}}};
  EXPECT_THAT(of(seen, "open_files.nodes"), AllOf(is(Level::advice), mended_by("--pid")));
  seen.program_node = "12";
  EXPECT_EQ(of(seen, "open_files.nodes").id, "");
  EXPECT_THAT(of(seen, "open_files.process"), is(Level::ok));
  seen.program_node = "11";
  EXPECT_THAT(of(seen, "open_files.process"), is(Level::problem));
}

TEST(OpenFilesRule, LimitsOfTheMachineCount) {
  Examined seen = ready_machine();
  seen.machine.files_per_process_max = 524'288;
  EXPECT_THAT(of(seen, "open_files.nr_open"), AllOf(is(Level::problem), mended_by("fs.nr_open = 1048576")));
  seen.machine.files_max = 1'002'500;  // 1,000 are open already
  EXPECT_THAT(of(seen, "open_files.file_max"), AllOf(is(Level::problem), mended_by("fs.file-max = 1048576")));
  // Of a node that runs, its own are among them.
  seen.machine.nodes = {{4711, OpenFiles{1'048'576, 1'048'576}, config::ControlGroup{}}};
  EXPECT_THAT(of(seen, "open_files.file_max"), is(Level::ok));
  seen.machine.epoll_watches_max = 800'000;
  EXPECT_THAT(of(seen, "open_files.epoll"),
              AllOf(is(Level::problem), mended_by("fs.epoll.max_user_watches = 1048576")));
  EXPECT_EQ(of(seen, "open_files.epoll").carries, 798'000u);
}

TEST(MemoryRule, MoreThanThereIsFailsAndNearlyAsMuchIsAdvisedAgainst) {
  Examined seen = ready_machine();
  const MemoryNeed need = memory_need({kMillion, kMillion, 1}, {seen.settings.store.cache_bytes, false});
  seen.machine.memory_bytes = need.total() - 1;
  EXPECT_THAT(of(seen, "memory.total"), is(Level::problem));
  seen.machine.memory_bytes = need.total() / 100 * 105;
  EXPECT_THAT(of(seen, "memory.total"), is(Level::advice));
  seen.machine.memory_bytes = need.total() / 100 * 120;
  EXPECT_THAT(of(seen, "memory.total"), is(Level::ok));
}

TEST(MemoryRule, TheLimitOfAContainerCountsAndNotTheHosts) {
  Examined seen = ready_machine();
  config::ControlGroup group;
  group.memory_max = 4 * kGigabyte;
  seen.machine.group = group;
  EXPECT_THAT(of(seen, "memory.total"),
              AllOf(is(Level::problem), Field(&Finding::found, HasSubstr("4.0 GiB"))));
  // That of the running node before ours.
  seen.machine.nodes = {{4711, OpenFiles{1'048'576, 1'048'576}, config::ControlGroup{}}};
  EXPECT_THAT(of(seen, "memory.total"), is(Level::ok));
}

TEST(MemoryRule, TheCeilingHasRoomForTheNodeAndLeavesRoomForTheKernel) {
  Examined seen = ready_machine();
  seen.settings.limits.memory_max = kGigabyte;
  EXPECT_THAT(of(seen, "memory.ceiling"), AllOf(is(Level::problem), mended_by("limits.memory_max")));
  EXPECT_GT(of(seen, "memory.ceiling").carries, 400'000u);
  seen.settings.limits.memory_max = 0;  // 70%
  EXPECT_THAT(of(seen, "memory.ceiling"), is(Level::ok));
  seen.settings.limits.memory_max = 30 * kGigabyte;
  const Finding late = of(seen, "memory.ceiling");
  EXPECT_THAT(late, is(Level::advice));
  ASSERT_EQ(late.mend.size(), 1u);
  EXPECT_EQ(late.mend[0].where, "/etc/courier/courierd.toml");
  EXPECT_THAT(late.mend[0].line, HasSubstr("limits.memory_max = \"27124MB\""));
}

TEST(MemoryRule, StrictOvercommitIsHeldAgainstWhatCourierdNeeds) {
  Examined seen = ready_machine();
  EXPECT_EQ(of(seen, "memory.overcommit").id, "");
  seen.machine.overcommit = 2;
  EXPECT_THAT(of(seen, "memory.overcommit"), is(Level::ok));
  seen.machine.committed_bytes = 15 * kGigabyte + kGigabyte / 2;
  EXPECT_THAT(of(seen, "memory.overcommit"),
              AllOf(is(Level::problem), mended_by("vm.overcommit_memory = 0")));
}

TEST(MemoryRule, SwapIsAdvisedAgainstUnlessTheUnitIsKeptOutOfIt) {
  Examined seen = ready_machine();
  seen.machine.swap_bytes = kGigabyte;
  EXPECT_THAT(of(seen, "memory.swap"), AllOf(is(Level::advice), mended_by("MemorySwapMax=0")));
  config::ControlGroup group;
  group.swap_max = 0;
  seen.machine.nodes = {{4711, OpenFiles{1'048'576, 1'048'576}, group}};
  EXPECT_THAT(of(seen, "memory.swap"), is(Level::ok));
}

TEST(NetworkRule, TheAcceptQueueMustTakeWhatTheListenerAsksFor) {
  Examined seen = ready_machine();
  seen.machine.somaxconn = 128;
  EXPECT_THAT(of(seen, "network.accept_queue"),
              AllOf(is(Level::advice), mended_by("net.core.somaxconn = 4096")));
  EXPECT_EQ(of(seen, "network.overflows").id, "");
  seen.machine.tcp_counters = TcpCounters{17, 0};
  EXPECT_THAT(of(seen, "network.overflows"),
              AllOf(is(Level::advice), Field(&Finding::found, HasSubstr("17 "))));
}

TEST(NetworkRule, SynCookiesBelongOnButNotAlways) {
  Examined seen = ready_machine();
  for (const uint64_t wrong : {0, 2}) {
    seen.machine.syn_cookies = wrong;
    EXPECT_THAT(of(seen, "network.syn"), AllOf(is(Level::advice), mended_by("net.ipv4.tcp_syncookies = 1")));
  }
}

TEST(NetworkRule, AConnectionTableThatIsTooSmallDropsConnections) {
  Examined seen = ready_machine();
  EXPECT_THAT(of(seen, "network.conntrack"), is(Level::ok));
  seen.machine.conntrack = Fact<Conntrack>(Conntrack{262'144, 0});
  EXPECT_THAT(of(seen, "network.conntrack"),
              AllOf(is(Level::ok), Field(&Finding::found, HasSubstr("nothing"))));
  EXPECT_EQ(of(seen, "network.conntrack").carries, std::nullopt);
  seen.machine.conntrack = Fact<Conntrack>(Conntrack{262'144, 300});
  EXPECT_THAT(of(seen, "network.conntrack"),
              AllOf(is(Level::problem), mended_by("net.netfilter.nf_conntrack_max = 2097152"),
                    Field(&Finding::carries, 261'844u)));
  // Its entries are memory too.
  EXPECT_GT(memory_need({kMillion, kMillion, 1}, {0, true}).kernel,
            memory_need({kMillion, kMillion, 1}, {0, false}).kernel);
  seen.machine.conntrack = Fact<Conntrack>(Unknown("no permission"));
  EXPECT_THAT(of(seen, "network.conntrack"), is(Level::unknown));
}

TEST(NetworkRule, OurPortsAreKeptFromOutgoingConnections) {
  Examined seen = ready_machine();
  seen.settings.listeners[0].bind = "[::]:40000";
  seen.settings.admin.bind = "127.0.0.1:50000";
  EXPECT_THAT(of(seen, "network.ports"),
              AllOf(is(Level::advice), mended_by("net.ipv4.ip_local_reserved_ports = 40000,50000")));
  seen.machine.reserved_ports = std::vector<PortRange>{{39'999, 40'001}, {50'000, 50'000}};
  EXPECT_THAT(of(seen, "network.ports"), is(Level::ok));
}

TEST(NetworkRule, ABalancerRunsOutOfPortsLongBeforeAMillion) {
  Examined seen = ready_machine();
  EXPECT_EQ(of(seen, "network.balancer").id, "");
  seen.settings.listeners[0].proxy_protocol = config::ProxyProtocol::required;
  EXPECT_THAT(of(seen, "network.balancer"),
              AllOf(is(Level::advice), Field(&Finding::found, HasSubstr("16 source addresses"))));
  EXPECT_THAT(of(seen, "network.balancer", {28'000, {}, 1}), is(Level::ok));
  seen.settings.listeners.push_back(seen.settings.listeners[0]);
  EXPECT_THAT(of(seen, "network.balancer").found, HasSubstr("8 source addresses"));
  seen.settings.listeners[0].bind = seen.settings.listeners[1].bind = "unix:/run/mqtt.sock";
  EXPECT_EQ(of(seen, "network.balancer").id, "");
}

TEST(NetworkRule, TcpHasMemoryForAMessageToAll) {
  Examined seen = ready_machine();
  seen.machine.tcp_memory = Triple{287'898, 383'867, 575'796};
  EXPECT_THAT(of(seen, "network.tcp_mem"),
              AllOf(is(Level::advice), mended_by("net.ipv4.tcp_mem = 750000 1000000 1500000")));
  EXPECT_EQ(of(seen, "network.tcp_pressure").id, "");
  seen.machine.tcp_counters = TcpCounters{0, 3};
  EXPECT_THAT(of(seen, "network.tcp_pressure"), is(Level::advice));
}

TEST(NetworkRule, LargeDefaultsOfBuffersAreAdvisedAgainst) {
  Examined seen = ready_machine();
  seen.machine.receive_buffer = Triple{4'096, 16'777'216, 16'777'216};
  EXPECT_THAT(of(seen, "network.buffers"),
              AllOf(is(Level::advice), mended_by("net.ipv4.tcp_rmem = 4096 131072 6291456"),
                    Not(mended_by("tcp_wmem"))));
  seen.machine.send_buffer = Triple{65'536, 65'536, 4'194'304};
  EXPECT_THAT(of(seen, "network.buffers"), mended_by("net.ipv4.tcp_wmem"));
}

TEST(CpuRule, MoreThreadsThanCpusAreAdvisedAgainst) {
  Examined seen = ready_machine();
  EXPECT_THAT(of(seen, "cpu.threads").found, HasSubstr("8 shard threads on 8 CPUs"));
  seen.settings.threads = 9;
  EXPECT_THAT(of(seen, "cpu.threads"), AllOf(is(Level::advice), mended_by("threads = 8")));
  config::ControlGroup group;
  group.cpus = 1.5;
  group.throttled = 12;
  seen.machine.group = group;
  EXPECT_THAT(of(seen, "cpu.threads"), AllOf(is(Level::advice), mended_by("threads = 2")));
  seen.settings.threads = 0;  // then courierd takes as many as the quota allows
  EXPECT_THAT(of(seen, "cpu.threads"), is(Level::ok));
  EXPECT_EQ(of(seen, "cpu.throttled").id, "");
  seen.machine.nodes = {{4711, OpenFiles{1'048'576, 1'048'576}, group}};
  EXPECT_THAT(of(seen, "cpu.throttled"), is(Level::advice));
}

TEST(CpuRule, PasswordsOfAllClientsTakeTheirTime) {
  Examined seen = ready_machine();
  EXPECT_EQ(of(seen, "cpu.passwords").id, "");
  seen.settings.auth.password_file = "/etc/courier/passwd";
  EXPECT_THAT(of(seen, "cpu.passwords"), AllOf(is(Level::advice), mended_by("auth.password_workers = 8")));
  EXPECT_THAT(of(seen, "cpu.passwords", {10'000, {}, 1}), is(Level::ok));
  seen.settings.auth.password_workers = 8;
  EXPECT_THAT(of(seen, "cpu.passwords").mend, testing::IsEmpty());
}

TEST(DiskRule, PlacesThatForgetAreAdvisedAgainst) {
  Examined seen = ready_machine();
  for (const char* type : {"tmpfs", "overlay", "nfs4", "9p"}) {
    seen.disk.mount = Mount{"/var", type, "rw"};
    EXPECT_THAT(of(seen, "disk.place"), is(Level::advice)) << type;
  }
  seen.disk.mount = Mount{"/var", "ext4", "ro,relatime,rw"};
  EXPECT_THAT(of(seen, "disk.place"), AllOf(is(Level::problem), mended_by("mount -o remount,rw /var")));
  seen.disk.mount = Mount{"/var", "ext4", "rw,relatime,rw,nobarrier"};
  EXPECT_THAT(of(seen, "disk.place"), is(Level::advice));
  seen.disk.mount = Mount{"/var", "xfs", "rw,noatime"};
  seen.disk.looked_at = "/var";
  EXPECT_THAT(of(seen, "disk.place"),
              AllOf(is(Level::ok), Field(&Finding::found, HasSubstr("not there yet"))));
}

TEST(DiskRule, RoomForWhatTheSettingsAllowIsNeeded) {
  Examined seen = ready_machine();
  seen.disk.free_bytes = kGigabyte;
  EXPECT_THAT(of(seen, "disk.room"), is(Level::problem));
  seen.settings.limits.retained_bytes_max = 1 << 20;
  EXPECT_THAT(of(seen, "disk.room", {1'000, {}, 1}), is(Level::ok));
}

TEST(DiskRule, SlowSyncsAndImpossiblyQuickOnesAreSaid) {
  Examined seen = ready_machine();
  seen.disk.syncs = SyncTimes{120, 12, 60};
  EXPECT_THAT(of(seen, "disk.sync"), AllOf(is(Level::advice), Field(&Finding::found, HasSubstr("12 ms"))));
  seen.disk.syncs = SyncTimes{200, 0.004, 0.01};
  EXPECT_THAT(of(seen, "disk.sync"), AllOf(is(Level::advice), Field(&Finding::why, HasSubstr("power cut"))));
  seen.disk.syncs = Unknown("cannot write a file in /var: Permission denied");
  EXPECT_THAT(of(seen, "disk.sync"),
              AllOf(is(Level::unknown), Field(&Finding::found, HasSubstr("Permission"))));
}

TEST(ClockRule, AClockThatNobodySetsIsSaid) {
  Examined seen = ready_machine();
  seen.machine.clock_synchronised = false;
  EXPECT_THAT(of(seen, "clock.synchronised"), AllOf(is(Level::advice), mended_by("timedatectl")));
}

TEST(SettingsRule, WrongSettingsAreAProblemWhoeverAsks) {
  Examined seen = ready_machine();
  seen.settings_problem = "courierd.toml:3: unknown key";
  EXPECT_THAT(of(seen, "settings.check", {}), is(Level::problem));
  EXPECT_FALSE(diagnose(seen, {}).fit());
}

TEST(SettingsRule, ListenersMustLetAllIn) {
  Examined seen = ready_machine();
  seen.settings.listeners[0].connections_max = 10'000;
  EXPECT_THAT(of(seen, "settings.connections_max"), is(Level::problem));
  EXPECT_EQ(diagnose(seen, kWanted).limited_by, "settings.connections_max");
  EXPECT_TRUE(diagnose(seen, {}).fit());
  seen.settings.limits.session_expiry_max = {};
  EXPECT_THAT(of(seen, "settings.session_expiry_max"), is(Level::advice));
}

// What packaging/ ships is what the rules ask for.
TEST(Remedies, TheSysctlFileOfThePackagingMendsAFreshMachine) {
  Examined seen = ready_machine();
  seen.settings.listeners[0].bind = "0.0.0.0:1883";
  seen.machine.local_ports = PortRange{1'024, 65'535};
  MachineFacts& machine = seen.machine;
  machine.files_per_process_max = machine.somaxconn = machine.syn_cookies = 0;
  machine.tcp_memory = Triple{};
  machine.conntrack = Fact<Conntrack>(Conntrack{262'144, 100});
  std::ifstream in(COURIER_SYSCTL_FILE);
  std::map<std::string, std::string> values;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find(" = ");
    ASSERT_NE(equals, std::string::npos) << line;
    values[line.substr(line.front() == '-' ? 1 : 0, equals - (line.front() == '-' ? 1 : 0))] =
        line.substr(equals + 3);
  }
  const auto number = [&](const std::string& name) { return std::stoull(values[name]); };
  machine.files_per_process_max = number("fs.nr_open");
  machine.somaxconn = number("net.core.somaxconn");
  machine.syn_cookies = number("net.ipv4.tcp_syncookies");
  machine.conntrack = Fact<Conntrack>(Conntrack{number("net.netfilter.nf_conntrack_max"), 100});
  std::istringstream(values["net.ipv4.tcp_mem"]) >> machine.tcp_memory->low >> machine.tcp_memory->middle >>
      machine.tcp_memory->high;
  EXPECT_EQ(values["net.ipv4.ip_local_reserved_ports"], "1883,9464");
  machine.reserved_ports = std::vector<PortRange>{{1'883, 1'883}, {9'464, 9'464}};
  const Diagnosis diagnosis = diagnose(seen, kWanted);
  EXPECT_EQ(diagnosis.count(Level::ok), diagnosis.findings.size()) << report_text(seen, diagnosis);
}

TEST(Remedies, AContainerIsMendedFromOutside) {
  Examined seen = ready_machine();
  seen.machine.container = true;
  seen.machine.open_files = OpenFiles{1'024, 20'000};
  seen.machine.somaxconn = 128;
  seen.machine.files_per_process_max = 20'000;
  EXPECT_THAT(of(seen, "open_files.process").mend,
              Contains(Remedy{"docker run", "--ulimit nofile=1048576:1048576"}));
  EXPECT_THAT(of(seen, "network.accept_queue").mend,
              Contains(Remedy{"docker run", "--sysctl net.core.somaxconn=\"4096\""}));
  EXPECT_THAT(of(seen, "open_files.nr_open").mend,
              Contains(Field(&Remedy::where, HasSubstr("the host's /etc/sysctl.d"))));
}

TEST(Sizing, MemoryIsTheSumOfItsParts) {
  const MemoryTerms terms{64 << 20, false};
  const uint64_t fixed = kNodeBytes + (64 << 20);
  EXPECT_EQ(memory_need({0, 0, 1}, terms).total(), fixed);
  EXPECT_EQ(memory_need({1'000, 0, 1}, terms).node, fixed + 1'000 * kCleanConnectionBytes);
  EXPECT_EQ(memory_need({1'000, 1'000, 1}, terms).node, fixed + 1'000 * kStoredConnectionBytes);
  EXPECT_EQ(memory_need({1'000, 5'000, 1}, terms).node,
            fixed + 1'000 * kStoredConnectionBytes + 4'000 * kSleepingSessionBytes);
  EXPECT_EQ(memory_need({0, 1'000, 4}, terms).node,
            fixed + 1'000 * (kSleepingSessionBytes + 3 * kFilterBytes));
  EXPECT_EQ(memory_need({1'000, 0, 1}, terms).kernel, 1'000 * kKernelConnectionBytes);
}

TEST(Sizing, WhatFitsIntoMemoryIsExact) {
  const MemoryTerms terms{64 << 20, false};
  const Size size{100, 300, 2};
  const uint64_t fitting = connections_in_memory(size, terms, 4 * kGigabyte, 16 * kGigabyte);
  EXPECT_LE(memory_need({fitting, fitting * 3, 2}, terms).node, 4 * kGigabyte);
  EXPECT_GT(memory_need({fitting + 1, (fitting + 1) * 3, 2}, terms).node, 4 * kGigabyte);
  EXPECT_EQ(connections_in_memory(size, terms, 1'000, 1'000), 0u);
}

TEST(Report, FitsIntoEightyColumnsAndNamesEverything) {
  Examined seen = ready_machine();
  seen.machine.nodes = {{4711, OpenFiles{1'024, 1'024}, config::ControlGroup{}}};
  seen.machine.files_per_process_max = 4'096;
  seen.machine.somaxconn = 128;
  seen.machine.swap_bytes = kGigabyte;
  seen.machine.clock_synchronised = Unknown("adjtimex: Operation not permitted");
  seen.settings.auth.password_file = "/etc/courier/passwd";
  seen.settings.listeners[0].proxy_protocol = config::ProxyProtocol::required;
  const Diagnosis diagnosis = diagnose(seen, kWanted);
  const std::string text = report_text(seen, diagnosis);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), kReportColumns) << line;
    EXPECT_THAT(line, Not(testing::EndsWith(" ")));
  }
  EXPECT_THAT(text, HasSubstr("PROBLEM  courierd (pid 4711) may open 1,024 files"));
  EXPECT_THAT(text, HasSubstr("-> /etc/sysctl.d/60-courier.conf:\n                fs.nr_open = 1048576\n"));
  EXPECT_THAT(text, HasSubstr("sysctl --system"));
  EXPECT_THAT(text, HasSubstr("NOT fit for 1,000,000 connections\n"));
  EXPECT_THAT(text, testing::EndsWith("2 problems, 4 pieces of advice, 1 unknown\n"));
}

TEST(Report, JsonHasEveryFindingWithWhatMendsIt) {
  Examined seen = ready_machine();
  seen.machine.files_per_process_max = 4'096;
  seen.settings_from = "bad \xff name";
  const Diagnosis diagnosis = diagnose(seen, kWanted);
  const auto json = nlohmann::json::parse(report_json(seen, diagnosis));
  EXPECT_EQ(json["fit"], false);
  EXPECT_EQ(json["connections"], kMillion);
  EXPECT_EQ(json["connections_max"], 2'096);
  EXPECT_EQ(json["limited_by"], "open_files.nr_open");
  EXPECT_EQ(json["findings"].size(), diagnosis.findings.size());
  for (const auto& one : json["findings"]) {
    if (one["id"] != "open_files.nr_open") continue;
    EXPECT_EQ(one["level"], "problem");
    EXPECT_EQ(one["mend"][0]["where"], "/etc/sysctl.d/60-courier.conf");
    EXPECT_EQ(one["mend"][0]["line"], "fs.nr_open = 1048576");
  }
}

}  // namespace
}  // namespace courier::cli::doctor
