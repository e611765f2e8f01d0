// The rest of what a node stands on: its settings, CPUs, disk and clock.
#include <algorithm>

#include "config/machine.h"
#include "courier/doctor/rules.h"

namespace courier::cli::doctor {
namespace {

// A sync of more than this is felt by whoever waits for a PUBACK.
constexpr double kSyncP99Ms = 20;
// No disk that keeps what it is told is so quick.
constexpr double kSyncTooGoodMs = 0.02;

// All clients come back after a restart; longer than this should be known before.
constexpr double kReconnectSecondsMax = 600;

// File systems on which an acknowledged message does not outlive a restart, or a sync is another machine's
// word.
struct OddFileSystem {
  std::string_view type, why;
};
constexpr OddFileSystem kOddFileSystems[] = {
    {"tmpfs", "This is memory: what was acknowledged is gone after a reboot."},
    {"ramfs", "This is memory: what was acknowledged is gone after a reboot."},
    {"overlay",
     "This is a container's own layer: what was acknowledged goes with the container. Use a volume."},
    {"nfs", "A sync is the server's word, locks and errors come late. Use a local disk."},
    {"nfs4", "A sync is the server's word, locks and errors come late. Use a local disk."},
    {"cifs", "A sync is the server's word, locks and errors come late. Use a local disk."},
    {"smb3", "A sync is the server's word, locks and errors come late. Use a local disk."},
    {"9p", "A sync is the host's word, which not every host keeps. Use a disk of the machine's own."},
    {"virtiofs", "A sync is the host's word, which not every host keeps. Use a disk of the machine's own."},
};

void check_place(Case& on) {
  const DiskFacts& disk = on.seen.disk;
  if (!disk.mount) return on.unknown(Topic::disk, "place", disk.looked_at, disk.mount.error());
  const Mount& mount = *disk.mount;
  const std::string found =
      disk.looked_at == disk.data_dir
          ? fmt::format("data_dir {} is on {} ({})", disk.data_dir, mount.type, mount.point)
          : fmt::format("data_dir {} is not there yet; {} is on {}", disk.data_dir, disk.looked_at,
                        mount.type);
  for (const OddFileSystem& odd : kOddFileSystems) {
    if (mount.type != odd.type) continue;
    return on.advise(Topic::disk, "place", found, std::string(odd.why),
                     {on.setting("data_dir = \"/a/disk\"")});
  }
  if (mount.has_option("ro")) {
    return on.fail(Topic::disk, "place", found + ", mounted for reading only", "courierd cannot start.",
                   {{"command", fmt::format("mount -o remount,rw {}", mount.point)}});
  }
  if (mount.has_option("nobarrier") || mount.has_option("barrier=0")) {
    return on.advise(Topic::disk, "place", found + ", mounted with nobarrier",
                     "A sync does not empty the disk's cache: a power cut may take what was acknowledged.",
                     {{"/etc/fstab", fmt::format("{}: without nobarrier, barrier=0", mount.point)}});
  }
  on.ok(Topic::disk, "place", found);
}

void check_room(Case& on) {
  const DiskFacts& disk = on.seen.disk;
  if (!disk.free_bytes) return on.unknown(Topic::disk, "room", "free space", disk.free_bytes.error());
  const config::Settings& settings = on.seen.settings;
  // The log and RocksDB's journal, twice, since tables are written anew before the old ones go; what may be
  // retained, likewise; and a record for each session.
  const uint64_t floor = 4 * settings.store.log_bytes_max + 2 * settings.limits.retained_bytes_max +
                         2 * on.size.sessions * kSessionDiskBytes;
  const uint64_t sessions = std::max<uint64_t>(on.size.sessions, 1);
  if (*disk.free_bytes < floor) {
    return on.fall_short(Topic::disk, "room",
                         fmt::format("{} free; log, retained messages and sessions alone may take {}",
                                     bytes_text(*disk.free_bytes), bytes_text(floor)),
                         "On a full disk messages of QoS 1 and 2 are refused.",
                         {{"the machine", "a larger disk for data_dir"}});
  }
  // Half of it: as much again is written before the old goes.
  on.ok(Topic::disk, "room",
        fmt::format("{} free: {} for each session's messages that wait ({} allowed)",
                    bytes_text(*disk.free_bytes), bytes_text((*disk.free_bytes - floor) / 2 / sessions),
                    bytes_text(settings.limits.inbox_bytes_max)));
}

void check_syncs(Case& on) {
  const auto& syncs = on.seen.disk.syncs;
  if (!syncs) return on.unknown(Topic::disk, "sync", "how long a sync takes", syncs.error());
  const std::string found = fmt::format("a sync takes {}, 99 of 100 less than {} ({} tried)",
                                        ms_text(syncs->p50_ms), ms_text(syncs->p99_ms), syncs->count);
  if (syncs->p99_ms > kSyncP99Ms) {
    on.advise(Topic::disk, "sync", found,
              "Each PUBACK of QoS 1 and 2 for a stored session waits for one. Many share a sync, so it is "
              "their delay "
              "that suffers, less their number.",
              {{"the machine", "a local SSD with power-loss protection"}});
  } else if (syncs->p50_ms < kSyncTooGoodMs && on.seen.disk.mount && on.seen.disk.mount->type != "tmpfs") {
    on.advise(Topic::disk, "sync", found,
              "No disk is so quick: something between says \"written\" too early, and a power cut may take "
              "what was "
              "acknowledged.");
  } else {
    on.ok(Topic::disk, "sync", found + "; so long a PUBACK waits at least");
  }
}

void check_threads(Case& on, uint64_t cpus, const std::string& whose) {
  const config::Settings& settings = on.seen.settings;
  const uint64_t threads = settings.threads != 0 ? settings.threads : cpus;
  const std::string found = fmt::format("{} shard threads on {}", threads, whose);
  if (threads > cpus) {
    on.advise(Topic::cpu, "threads", found,
              "Threads that wait for a CPU hold up all their clients: for up to 0.1 s at a time where a "
              "quota is used up.",
              {on.setting(fmt::format("threads = {}", cpus))});
  } else {
    on.ok(Topic::cpu, "threads", found);
  }
}

void check_passwords(Case& on) {
  const config::Auth& auth = on.seen.settings.auth;
  if (auth.password_file.empty()) return;
  const double per_second = 1e3 / kPasswordCheckMs * auth.password_workers;
  const double seconds = static_cast<double>(on.size.connections) / per_second;
  const std::string found = fmt::format("{} password workers check about {:.0f} passwords a second",
                                        auth.password_workers, per_second);
  if (seconds <= kReconnectSecondsMax) return on.ok(Topic::cpu, "passwords", found);
  std::vector<Remedy> mend;
  const auto& cores = on.seen.machine.cores;
  if (cores && *cores > auth.password_workers) {
    mend.push_back(on.setting(fmt::format("auth.password_workers = {}", *cores)));
  }
  on.advise(
      Topic::cpu, "passwords",
      fmt::format("{}: {} minutes until {} clients are back", found,
                  many(static_cast<uint64_t>(seconds / 60)), many(on.size.connections)),
      fmt::format(
          "Each takes {:.0f} ms of a CPU, which is what argon2id is for. Clients beyond the queue are told "
          "\"server busy\" and come again.",
          kPasswordCheckMs),
      std::move(mend));
}

}  // namespace

void check_settings(Case& on) {
  const Examined& seen = on.seen;
  const config::Settings& settings = seen.settings;
  if (seen.settings_problem) {
    return on.fail(Topic::settings, "check", *seen.settings_problem,
                   "courierd does not start with them; what follows is judged by the defaults.");
  }
  on.ok(Topic::settings, "check",
        seen.settings_from.empty() ? "no file (--config FILE): the defaults"
                                   : seen.settings_from + " is valid");
  uint64_t allowed = 0;
  bool limited = true;
  for (const config::Listener& listener : settings.listeners) {
    allowed += listener.connections_max;
    limited = limited && listener.connections_max != 0;
  }
  if (limited) {
    const std::string found = fmt::format("connections_max of all listeners is {}", many(allowed));
    if (allowed < on.size.connections) {
      on.fall_short(Topic::settings, "connections_max", found,
                    "A connection beyond it is closed as soon as it comes.",
                    {on.setting(fmt::format("listener.…connections_max = {}", on.size.connections))});
    } else {
      on.ok(Topic::settings, "connections_max", found);
    }
    on.carries(allowed);
  }
  if (settings.limits.session_expiry_max.count() == 0 && on.size.sessions > 0) {
    on.advise(Topic::settings, "session_expiry_max", "session_expiry_max is not set",
              "A phone that is thrown away leaves its session for ever, with what waits in it.",
              {on.setting("limits.session_expiry_max = \"30d\"")});
  }
}

void check_cpu(Case& on) {
  const auto& cores = on.seen.machine.cores;
  if (!cores) {
    on.unknown(Topic::cpu, "threads", "how many CPUs there are", cores.error());
  } else {
    const double quota = on.group() ? on.group()->cpus : 0;
    const bool capped = quota > 0 && quota < static_cast<double>(*cores);
    const uint64_t cpus = config::cores_within(static_cast<uint32_t>(*cores), quota);
    check_threads(on, cpus,
                  fmt::format("{} CPUs{}", *cores,
                              capped ? fmt::format(", of which a quota allows {:.3g}", quota) : ""));
    if (capped && on.node() != nullptr && on.group()->throttled > 0) {
      on.advise(Topic::cpu, "throttled",
                fmt::format("courierd used up its quota in {} periods", many(on.group()->throttled)),
                "All its threads stand still until the next period.",
                {on.unit("CPUQuota=", "--cpus=N, more")});
    }
  }
  check_passwords(on);
}

void check_disk(Case& on) {
  check_place(on);
  check_room(on);
  check_syncs(on);
}

void check_clock(Case& on) {
  const auto& synchronised = on.seen.machine.clock_synchronised;
  if (!synchronised)
    return on.unknown(Topic::clock, "synchronised", "whether it is synchronised", synchronised.error());
  if (*synchronised) return on.ok(Topic::clock, "synchronised", "is synchronised");
  on.advise(Topic::clock, "synchronised", "is not synchronised",
            "Expiry of messages and sessions goes by it, and one that jumps ends them early or late.",
            {{"command", "timedatectl set-ntp true (or chrony)"}});
}

}  // namespace courier::cli::doctor
