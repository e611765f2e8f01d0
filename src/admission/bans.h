// Who may not come in, whatever it shows: addresses, networks, user names, client ids.
//
// Every connection's address is asked about before TLS, its names at its CONNECT: most nodes have no bans,
// and then both cost a load. A ban holds as soon as add() returns; whoever watch()es is told, and ends the
// connections that are hit. A ban that has expired hits nobody, and is gone at the next purge().
//
// Survives a restart: a file (ban_file.h) that save() writes. What people do is saved before they hear that
// it is done; what the broker does by itself (flapping) within a second.
//
// Thread-safe; save() waits for the disk.
//
// 1. One ban a target: a later one for the same takes the earlier one's place, under a new id.
// 2. At most kBansMax, of which the broker itself makes kOwnBansMax.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "admission/ban.h"
#include "admission/network_index.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"

namespace courier::admission {

// Made by the broker, not by people.
inline constexpr std::string_view kMadeByFlapping = "flapping";

class Bans {
 public:
  // With what the file at `path` has; "": nothing is ever written. Clock and registry outlive it.
  // errc::bad_file, errc::io.
  static Result<std::unique_ptr<Bans>> open(std::string path, const Clock& clock, Registry& registry);

  // `until`: 0 for ever. errc::bad_ban, errc::too_many.
  Result<Ban> add(BanTarget target, std::string reason, std::string made_by, WallMs until);
  // What was removed; nothing: there is none of this id.
  std::optional<Ban> remove(BanId id);
  // Those in force with an id above `after`, in order, `count` at most.
  std::vector<Ban> list(BanId after, size_t count) const;
  size_t size() const { return size_.load(std::memory_order_relaxed); }

  // Those that hit. Without bans of the kind one load, and nothing is copied.
  std::optional<Ban> find(const net::SocketAddress& address) const;
  // The same for "192.0.2.7:51234".
  std::optional<Ban> find_peer(std::string_view address) const;
  std::optional<Ban> find(BanTarget::Kind kind, std::string_view mountpoint, std::string_view name) const;
  bool has_addresses() const { return addresses_.load(std::memory_order_relaxed) != 0; }
  bool has_names() const { return names_count_.load(std::memory_order_relaxed) != 0; }
  // Counts a connection that was refused or ended for it.
  void hit(BanTarget::Kind kind) { hits_[static_cast<size_t>(kind)]->add(); }

  // Told of each new ban, on the thread that made it. Set before there are others, and reset after.
  void watch(std::function<void(const Ban&)> told) { told_ = std::move(told); }

  // Forgets those that have expired.
  void purge();
  bool unsaved() const { return changes_.load() != saved_.load(); }
  // Returns when all that was there when it was called is on disk. errc::io.
  Result<void> save();

 private:
  Bans(std::string path, const Clock& clock, Registry& registry);
  void put(Ban ban);
  void take_out(std::map<BanId, Ban>::iterator at);
  void count();
  static std::string key_of(BanTarget::Kind kind, const std::optional<std::string_view>& mountpoint,
                            std::string_view name);
  static std::string key_of(const BanTarget& target);

  const std::string path_;
  const Clock& clock_;
  std::array<Gauge*, kBanKindCount> in_force_;
  std::array<Counter*, kBanKindCount> hits_;
  std::function<void(const Ban&)> told_;

  mutable std::shared_mutex mutex_;
  // Guarded by mutex_.
  BanId next_id_ = 1;
  std::map<BanId, Ban> bans_;
  NetworkIndex networks_;
  std::unordered_map<std::string, BanId> names_;
  std::array<size_t, kBanKindCount> kinds_{};
  size_t own_ = 0;        // made by the broker
  WallMs first_end_ = 0;  // no ban expires earlier; 0: none does

  std::atomic<size_t> size_{0}, addresses_{0}, names_count_{0};
  std::atomic<uint64_t> changes_{0}, saved_{0};
  std::mutex file_mutex_;  // held while the file is written; before mutex_
};

}  // namespace courier::admission
