// One descriptor for each connection: of the process, of the machine, and of epoll.
#include <algorithm>

#include "courier/doctor/rules.h"

namespace courier::cli::doctor {
namespace {

constexpr const char* kClosed = "A connection beyond it is closed as soon as it comes.";

uint64_t less(uint64_t limit, uint64_t others) {
  return limit == kNoLimit ? kNoLimit : limit - std::min(limit, others);
}

struct ProcessLimit {
  Fact<uint64_t> files;
  std::string whose;
  std::vector<Remedy> mend;
};

// Of the courierd that runs; of the one that systemd would start; or of one started from here.
ProcessLimit process_limit(const Case& on, uint64_t wanted) {
  const MachineFacts& machine = on.seen.machine;
  const std::string files = std::to_string(wanted);
  const Remedy unit = on.unit("LimitNOFILE=" + files, fmt::format("--ulimit nofile={}:{}", files, files));
  if (const RunningNode* node = on.node()) {
    // It has raised the soft limit to the hard one at its start.
    const auto& limit = node->open_files;
    return {limit ? Fact<uint64_t>(limit->soft) : Fact<uint64_t>(Unknown(limit.error())),
            fmt::format("courierd (pid {}) may open", node->pid),
            {unit}};
  }
  if (machine.unit_files && *machine.unit_files) {
    Fact<uint64_t> limit = **machine.unit_files;
    if (*limit == kNoLimit && machine.files_per_process_max) limit = *machine.files_per_process_max;
    return {limit, "the unit courierd.service may open", {unit}};
  }
  const auto& limit = machine.open_files;
  return {limit ? Fact<uint64_t>(limit->hard) : Fact<uint64_t>(Unknown(limit.error())),
          "a courierd started from here may open",
          {unit, {"or in the shell that starts it", "ulimit -Hn " + files}}};
}

void check_process(Case& on, uint64_t needed) {
  const ProcessLimit limit = process_limit(on, std::max<uint64_t>(rounded_limit(needed), 1 << 20));
  if (!limit.files)
    return on.unknown(Topic::open_files, "process", "the limit of courierd", limit.files.error());
  const std::string found =
      fmt::format("{} {} files; {} are needed", limit.whose, many(*limit.files), many(needed));
  if (*limit.files >= needed) {
    on.ok(Topic::open_files, "process", found);
  } else {
    on.fall_short(Topic::open_files, "process", found, kClosed, limit.mend);
  }
  on.carries(less(*limit.files, kOtherFiles));
}

void check_kernel(Case& on, uint64_t needed) {
  const auto& most = on.seen.machine.files_per_process_max;
  if (!most) return on.unknown(Topic::open_files, "nr_open", "fs.nr_open", most.error());
  const std::string found = fmt::format("fs.nr_open lets one process have {}", many(*most));
  if (*most >= needed) {
    on.ok(Topic::open_files, "nr_open", found);
  } else {
    on.fall_short(Topic::open_files, "nr_open", fmt::format("{}; {} are needed", found, many(needed)),
                  "No limit of a process can be set higher than this.",
                  {on.sysctl("fs.nr_open", rounded_limit(needed))});
  }
  on.carries(less(*most, kOtherFiles));
}

void check_machine(Case& on, uint64_t needed) {
  const MachineFacts& machine = on.seen.machine;
  if (!machine.files_max) {
    return on.unknown(Topic::open_files, "file_max", "fs.file-max", machine.files_max.error());
  }
  // Those of a courierd that runs are among the open ones already.
  const uint64_t others = on.node() == nullptr && machine.files_now ? *machine.files_now : 0;
  const std::string found =
      fmt::format("fs.file-max lets the whole machine have {}", many(*machine.files_max));
  if (*machine.files_max >= needed + others) {
    on.ok(Topic::open_files, "file_max", found);
  } else {
    on.fall_short(Topic::open_files, "file_max",
                  fmt::format("{}; {} are needed", found, many(needed + others)),
                  "Beyond it connections are refused, and other programs cannot open files either.",
                  {on.sysctl("fs.file-max", rounded_limit(needed + others))});
  }
  on.carries(less(*machine.files_max, kOtherFiles + others));
}

void check_epoll(Case& on) {
  const auto& most = on.seen.machine.epoll_watches_max;
  if (!most) return on.unknown(Topic::open_files, "epoll", "fs.epoll.max_user_watches", most.error());
  const uint64_t needed = on.size.connections + kOtherFiles;
  const std::string found = fmt::format("fs.epoll.max_user_watches lets one user watch {}", many(*most));
  if (*most >= needed) {
    on.ok(Topic::open_files, "epoll", found);
  } else {
    on.fall_short(Topic::open_files, "epoll", fmt::format("{}; {} are needed", found, many(needed)),
                  "The default is 4% of the memory. Beyond it a connection is closed as it comes.",
                  {on.sysctl("fs.epoll.max_user_watches", rounded_limit(needed))});
  }
  on.carries(less(*most, kOtherFiles));
}

}  // namespace

void check_open_files(Case& on) {
  const uint64_t needed = on.size.connections + kOtherFiles;
  if (on.seen.machine.nodes.size() > 1 && on.node() == nullptr) {
    std::string pids;
    for (const RunningNode& node : on.seen.machine.nodes) pids += fmt::format(" {}", node.pid);
    on.advise(Topic::open_files, "nodes", fmt::format("several courierd run here:{}", pids),
              "Their limits are not looked at; say which one is meant.", {{"courier doctor", "--pid PID"}});
  }
  check_process(on, needed);
  check_kernel(on, needed);
  check_machine(on, needed);
  check_epoll(on);
}

}  // namespace courier::cli::doctor
