#include "courier/doctor/machine_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "config/control_group.h"
#include "courier/text_table.h"
#include "net/fd.h"

namespace courier::cli::doctor {
namespace {

constexpr size_t kShownBytes = 40;  // of a value that makes no sense
constexpr size_t kNodesMax = 16;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split_words(std::string_view text, std::string_view separators = " \t\n") {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  return split_words(text, "\n");
}

std::optional<uint64_t> as_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> as_limit(std::string_view text) {
  if (text == "max" || text == "unlimited" || text == "infinity") return config::kNoLimit;
  return as_number(text);
}

Unknown senseless(const std::string& path, std::string_view text) {
  return Unknown(fmt::format("{} says \"{}\"", path, one_line(trimmed(text).substr(0, kShownBytes))));
}

template <typename Parse>
auto read_as(const std::string& path, Parse parse) -> Fact<typename decltype(parse(""))::value_type> {
  const auto text = read_fact_file(path);
  if (!text) return Unknown(text.error());
  auto value = parse(trimmed(*text));
  if (!value) return senseless(path, *text);
  return *std::move(value);
}

Fact<uint64_t> read_number(const std::string& path) {
  return read_as(path, [](std::string_view text) { return as_number(text); });
}

Fact<Triple> read_triple(const std::string& path) {
  return read_as(path, [](std::string_view text) -> std::optional<Triple> {
    const auto words = split_words(text);
    if (words.size() != 3) return std::nullopt;
    const auto low = as_number(words[0]), middle = as_number(words[1]), high = as_number(words[2]);
    if (!low || !middle || !high) return std::nullopt;
    return Triple{*low, *middle, *high};
  });
}

std::optional<PortRange> as_ports(std::string_view first, std::string_view last) {
  const auto from = as_number(first), to = as_number(last);
  if (!from || !to || *from > *to || *to > 65'535) return std::nullopt;
  return PortRange{static_cast<uint32_t>(*from), static_cast<uint32_t>(*to)};
}

Fact<std::vector<PortRange>> read_reserved_ports(const std::string& path) {
  return read_as(path, [](std::string_view text) -> std::optional<std::vector<PortRange>> {
    std::vector<PortRange> ranges;
    for (const std::string_view one : split_words(text, ",")) {
      const size_t dash = one.find('-');
      const auto range =
          dash == one.npos ? as_ports(one, one) : as_ports(one.substr(0, dash), one.substr(dash + 1));
      if (!range) return std::nullopt;
      ranges.push_back(*range);
    }
    return ranges;
  });
}

// The value of "NAME:   VALUE [kB]" in bytes.
Fact<uint64_t> memory_line(const Fact<std::string>& meminfo, std::string_view name) {
  if (!meminfo) return Unknown(meminfo.error());
  for (const std::string_view line : split_lines(*meminfo)) {
    const auto words = split_words(line);
    if (words.size() < 2 || words[0] != name) continue;
    const auto kilobytes = as_number(words[1]);
    if (!kilobytes || *kilobytes > config::kNoLimit / 1024) return senseless("/proc/meminfo", line);
    return *kilobytes * 1024;
  }
  return Unknown(fmt::format("/proc/meminfo has no {}", name.substr(0, name.size() - 1)));
}

Fact<OpenFiles> read_open_files(const std::string& path) {
  const auto text = read_fact_file(path);
  if (!text) return Unknown(text.error());
  constexpr std::string_view kName = "Max open files";
  for (const std::string_view line : split_lines(*text)) {
    if (!line.starts_with(kName)) continue;
    const auto words = split_words(line.substr(kName.size()));
    const auto soft = words.size() >= 2 ? as_limit(words[0]) : std::nullopt;
    const auto hard = words.size() >= 2 ? as_limit(words[1]) : std::nullopt;
    if (!soft || !hard) return senseless(path, line);
    return OpenFiles{*soft, *hard};
  }
  return Unknown(path + " has no \"Max open files\"");
}

// "0-3,8" is five.
Fact<uint64_t> read_cores(const std::string& path) {
  const auto text = read_fact_file(path);
  if (!text) return Unknown(text.error());
  constexpr std::string_view kName = "Cpus_allowed_list:";
  for (const std::string_view line : split_lines(*text)) {
    if (!line.starts_with(kName)) continue;
    uint64_t cores = 0;
    for (const std::string_view one : split_words(trimmed(line.substr(kName.size())), ",")) {
      const size_t dash = one.find('-');
      const auto first = as_number(one.substr(0, dash));
      const auto last = dash == one.npos ? first : as_number(one.substr(dash + 1));
      if (!first || !last || *last < *first || *last > 1'000'000) return senseless(path, line);
      cores += *last - *first + 1;
    }
    if (cores == 0) return senseless(path, line);
    return cores;
  }
  return Unknown(path + " has no Cpus_allowed_list");
}

Fact<TcpCounters> read_tcp_counters(const std::string& path) {
  const auto text = read_fact_file(path);
  if (!text) return Unknown(text.error());
  std::map<std::string_view, uint64_t> values;
  const auto lines = split_lines(*text);
  // Pairs of lines: names, and their values.
  for (size_t i = 0; i + 1 < lines.size(); i += 2) {
    const auto names = split_words(lines[i]), numbers = split_words(lines[i + 1]);
    if (names.empty() || numbers.empty() || names[0] != "TcpExt:" || numbers[0] != names[0]) continue;
    for (size_t k = 1; k < std::min(names.size(), numbers.size()); ++k) {
      if (const auto value = as_number(numbers[k])) values[names[k]] = *value;
    }
  }
  if (!values.contains("ListenOverflows")) return Unknown(path + " has no ListenOverflows");
  return TcpCounters{values["ListenOverflows"], values["TCPMemoryPressures"]};
}

Fact<config::ControlGroup> read_group(const std::string& root, const std::string& process) {
  const auto group = config::control_group(root, process);
  if (!group) return Unknown(fmt::format("{}/proc/{}/cgroup cannot be read", root, process));
  return *group;
}

// --- processes and the unit ---

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(folder.c_str()));
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) names.emplace_back(entry->d_name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<RunningNode> find_nodes(const std::string& root) {
  std::vector<RunningNode> nodes;
  for (const std::string& name : names_in(root + "/proc")) {
    const auto pid = as_number(name);
    if (!pid || nodes.size() == kNodesMax) continue;
    const auto command = read_fact_file(root + "/proc/" + name + "/comm");
    if (!command || trimmed(*command) != "courierd") continue;
    nodes.push_back({*pid, read_open_files(root + "/proc/" + name + "/limits"), read_group(root, name)});
  }
  return nodes;
}

// The last LimitNOFILE of a unit file; what systemd takes as both limits, or "soft:hard".
void take_unit_file(const std::string& path, Fact<uint64_t>& limit) {
  const auto text = read_fact_file(path);
  if (!text) return;
  constexpr std::string_view kKey = "LimitNOFILE=";
  for (const std::string_view raw : split_lines(*text)) {
    const std::string_view line = trimmed(raw);
    if (!line.starts_with(kKey)) continue;
    std::string_view value = trimmed(line.substr(kKey.size()));
    if (const size_t colon = value.find(':'); colon != value.npos) value.remove_prefix(colon + 1);
    const auto number = as_limit(value);
    limit = number ? Fact<uint64_t>(*number) : Fact<uint64_t>(senseless(path, line));
  }
}

std::optional<Fact<uint64_t>> read_unit(const std::string& root) {
  constexpr const char* kFolders[] = {"/etc/systemd/system", "/run/systemd/system",
                                      "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                      "/lib/systemd/system"};
  for (const char* folder : kFolders) {
    const std::string unit = fmt::format("{}{}/courierd.service", root, folder);
    if (::access(unit.c_str(), F_OK) != 0) continue;
    Fact<uint64_t> limit = Unknown(unit + " has no LimitNOFILE");
    take_unit_file(unit, limit);
    // Drop-ins of all folders in the order of their names; of those with the same name the first counts.
    std::map<std::string, std::string> drop_ins;
    for (const char* place : kFolders) {
      const std::string more = fmt::format("{}{}/courierd.service.d", root, place);
      for (const std::string& name : names_in(more)) {
        if (name.ends_with(".conf")) drop_ins.emplace(name, more + "/" + name);
      }
    }
    for (const auto& [name, path] : drop_ins) take_unit_file(path, limit);
    return limit;
  }
  return std::nullopt;
}

std::optional<Fact<Conntrack>> read_conntrack(const std::string& root) {
  const std::string folder = root + "/proc/sys/net/netfilter/nf_conntrack_";
  if (::access((folder + "max").c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  const auto most = read_number(folder + "max"), now = read_number(folder + "count");
  if (!most) return Fact<Conntrack>(Unknown(most.error()));
  if (!now) return Fact<Conntrack>(Unknown(now.error()));
  return Fact<Conntrack>(Conntrack{*most, *now});
}

bool in_container(const std::string& root) {
  for (const char* mark : {"/.dockerenv", "/run/.containerenv", "/run/systemd/container"}) {
    if (::access((root + mark).c_str(), F_OK) == 0) return true;
  }
  return ::access((root + "/var/run/secrets/kubernetes.io").c_str(), F_OK) == 0;
}

// What mountinfo writes as \040 and the like.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3 && value < 256) {
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

bool Mount::has_option(std::string_view name) const {
  const auto all = split_words(options, ",");
  return std::find(all.begin(), all.end(), name) != all.end();
}

Fact<std::string> read_fact_file(const std::string& path) {
  const auto failed = [&] { return Unknown(fmt::format("{}: {}", path, std::strerror(errno))); };
  const net::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return failed();
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return failed();
  if (!S_ISREG(status.st_mode)) return Unknown(path + " is no file");
  std::string text;
  char room[64 * 1024];
  for (;;) {
    const ssize_t count = ::read(file.get(), room, sizeof room);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return text;
    text.append(room, static_cast<size_t>(count));
    if (text.size() > kFactFileBytesMax) return Unknown(path + " is too long");
  }
}

Fact<Mount> mount_of(std::string_view mountinfo, std::string_view path) {
  std::optional<Mount> best;
  for (const std::string_view line : split_lines(mountinfo)) {
    // 36 35 98:0 /root /point options optional… - type source options
    const auto words = split_words(line, " ");
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 10 || words.end() - dash < 4) continue;
    std::string point = unescaped(words[4]);
    // What is mounted later on the same place hides what was there.
    if (!is_below(path, point) || (best && point.size() < best->point.size())) continue;
    best = Mount{std::move(point), std::string(dash[1]), fmt::format("{},{}", words[5], dash[3])};
  }
  if (!best) return Unknown("/proc/self/mountinfo names no mount for it");
  return *std::move(best);
}

MachineFacts read_machine(const std::string& root) {
  const std::string sys = root + "/proc/sys/", net = sys + "net/";
  const auto meminfo = read_fact_file(root + "/proc/meminfo");
  MachineFacts facts;
  facts.kernel = read_as(sys + "kernel/osrelease",
                         [](std::string_view text) { return std::optional(one_line(text.substr(0, 80))); });
  facts.container = in_container(root);
  facts.page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));

  facts.cores = read_cores(root + "/proc/self/status");
  facts.memory_bytes = memory_line(meminfo, "MemTotal:");
  facts.swap_bytes = memory_line(meminfo, "SwapTotal:");
  facts.commit_limit_bytes = memory_line(meminfo, "CommitLimit:");
  facts.committed_bytes = memory_line(meminfo, "Committed_AS:");
  facts.overcommit = read_number(sys + "vm/overcommit_memory");
  facts.group = read_group(root, "self");

  facts.open_files = read_open_files(root + "/proc/self/limits");
  facts.nodes = find_nodes(root);
  facts.unit_files = read_unit(root);
  facts.files_per_process_max = read_number(sys + "fs/nr_open");
  facts.files_max = read_number(sys + "fs/file-max");
  facts.files_now = read_as(sys + "fs/file-nr", [](std::string_view text) {
    return as_number(text.substr(0, text.find_first_of(" \t")));
  });
  facts.epoll_watches_max = read_number(sys + "fs/epoll/max_user_watches");

  facts.somaxconn = read_number(net + "core/somaxconn");
  facts.syn_cookies = read_number(net + "ipv4/tcp_syncookies");
  facts.syn_backlog = read_number(net + "ipv4/tcp_max_syn_backlog");
  facts.conntrack = read_conntrack(root);
  facts.local_ports = read_as(net + "ipv4/ip_local_port_range", [](std::string_view text) {
    const auto words = split_words(text);
    return words.size() == 2 ? as_ports(words[0], words[1]) : std::nullopt;
  });
  facts.reserved_ports = read_reserved_ports(net + "ipv4/ip_local_reserved_ports");
  facts.tcp_memory = read_triple(net + "ipv4/tcp_mem");
  facts.receive_buffer = read_triple(net + "ipv4/tcp_rmem");
  facts.send_buffer = read_triple(net + "ipv4/tcp_wmem");
  facts.tcp_counters = read_tcp_counters(root + "/proc/net/netstat");
  return facts;
}

Fact<bool> read_clock() {
  timex state{};  // no modes: only asks
  const int clock = ::adjtimex(&state);
  if (clock < 0) return Unknown(fmt::format("adjtimex: {}", std::strerror(errno)));
  return clock != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace courier::cli::doctor
