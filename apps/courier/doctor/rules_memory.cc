// Memory of the broker and of the kernel, the ceiling, and what takes memory away: swap and strict
// overcommit.
#include <algorithm>

#include "courier/doctor/rules.h"

namespace courier::cli::doctor {
namespace {

std::string size_text(const Size& size) {
  return size.sessions == size.connections
             ? fmt::format("{} connections with stored sessions", many(size.connections))
             : fmt::format("{} connections, {} stored sessions", many(size.connections), many(size.sessions));
}

void check_total(Case& on, uint64_t memory) {
  const MemoryNeed need = memory_need(on.size, on.memory_terms());
  const std::string found = fmt::format("{} of memory; {} take {}: {} courierd, {} the kernel",
                                        bytes_text(memory), size_text(on.size), bytes_text(need.total()),
                                        bytes_text(need.node), bytes_text(need.kernel));
  if (need.total() > memory) {
    on.fall_short(Topic::memory, "total", found, "The kernel would end courierd to get memory back.",
                  {{"the machine", fmt::format("{} or more", bytes_text(need.total() / 10 * 11))}});
  } else if (need.total() > memory / 10 * 9) {
    on.advise(Topic::memory, "total", found,
              "Less than a tenth is left for messages on their way and for files.",
              {{"the machine", fmt::format("{} or more", bytes_text(need.total() / 10 * 11))}});
  } else {
    on.ok(Topic::memory, "total", found);
  }
  on.carries(connections_in_memory(on.size, on.memory_terms(), kNoLimit, memory));
}

void check_ceiling(Case& on, uint64_t memory) {
  const MemoryNeed need = memory_need(on.size, on.memory_terms());
  const uint64_t ceiling = memory_ceiling(on.seen.settings, memory);
  const std::string found =
      fmt::format("memory_max is {}{}; courierd needs {}", bytes_text(ceiling),
                  on.seen.settings.limits.memory_max == 0 ? " (70%)" : "", bytes_text(need.node));
  // What it may be, so that the kernel's part has room too.
  const uint64_t room = memory / 20 * 19;
  const uint64_t most = room - std::min(room, need.kernel);
  const Remedy lower = on.setting(fmt::format("limits.memory_max = \"{}MB\"", most >> 20));
  if (need.node > ceiling) {
    on.fall_short(Topic::memory, "ceiling", found, "Beyond it new work is refused with 0x97.",
                  most >= need.node ? std::vector<Remedy>{lower} : std::vector<Remedy>{});
  } else if (ceiling + need.kernel > memory && most >= need.node) {
    on.advise(
        Topic::memory, "ceiling",
        fmt::format("{}; with {} of the kernel that is more than there is", found, bytes_text(need.kernel)),
        "The kernel would end courierd before the ceiling refuses anything.", {lower});
  } else {
    on.ok(Topic::memory, "ceiling", found);
  }
  on.carries(connections_in_memory(on.size, on.memory_terms(), ceiling, kNoLimit));
}

// With "strict overcommit" malloc fails long before memory does.
void check_commit(Case& on) {
  const MachineFacts& machine = on.seen.machine;
  if (!machine.overcommit) {
    return on.unknown(Topic::memory, "overcommit", "vm.overcommit_memory", machine.overcommit.error());
  }
  if (*machine.overcommit != 2) return;
  const Remedy mend = on.sysctl("vm.overcommit_memory", 0);
  if (!machine.commit_limit_bytes || !machine.committed_bytes) {
    return on.advise(Topic::memory, "overcommit", "vm.overcommit_memory is 2",
                     "Memory that is only reserved counts as if it were used.", {mend});
  }
  const uint64_t limit = *machine.commit_limit_bytes;
  const uint64_t left = limit - std::min(limit, *machine.committed_bytes);
  const uint64_t needed = on.node() != nullptr ? 0 : memory_need(on.size, on.memory_terms()).node;
  const std::string found =
      fmt::format("vm.overcommit_memory is 2: programs may reserve {} more", bytes_text(left));
  if (left < needed) {
    on.fall_short(Topic::memory, "overcommit",
                  fmt::format("{}; courierd needs {}", found, bytes_text(needed)),
                  "courierd ends when it gets no memory, although there is some.", {mend});
  } else {
    on.ok(Topic::memory, "overcommit", found);
  }
}

void check_swap(Case& on) {
  const auto& swap = on.seen.machine.swap_bytes;
  if (!swap) return on.unknown(Topic::memory, "swap", "swap", swap.error());
  const uint64_t allowed = on.group() ? on.group()->swap_max : kNoLimit;
  if (*swap == 0) return on.ok(Topic::memory, "swap", "no swap");
  if (allowed == 0) return on.ok(Topic::memory, "swap", "courierd is kept out of the swap");
  on.advise(Topic::memory, "swap", fmt::format("{} of swap", bytes_text(*swap)),
            "A sleeping session that was swapped out stops its whole shard thread while it is read, and "
            "memory_max does not see it.",
            {on.unit("MemorySwapMax=0", "--memory=LIMIT --memory-swap=LIMIT (the same)")});
}

}  // namespace

void check_memory(Case& on) {
  const auto memory = on.memory();
  if (!memory) {
    on.unknown(Topic::memory, "total", "how much memory there is", memory.error());
  } else {
    check_total(on, *memory);
    check_ceiling(on, *memory);
  }
  check_commit(on);
  check_swap(on);
}

}  // namespace courier::cli::doctor
