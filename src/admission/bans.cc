#include "admission/bans.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "admission/ban_file.h"
#include "admission/errc.h"
#include "admission/limits.h"
#include "base/check.h"
#include "base/utf8.h"

namespace courier::admission {

using Kind = BanTarget::Kind;

Bans::Bans(std::string path, const Clock& clock, Registry& registry)
    : path_(std::move(path)), clock_(clock), in_force_{}, hits_{} {
  for (const Kind kind : {Kind::address, Kind::username, Kind::client_id}) {
    const Labels labels = {{"kind", std::string(name(kind))}};
    in_force_[static_cast<size_t>(kind)] =
        &registry.gauge("courier_bans", "Bans, by what is banned.", labels);
    hits_[static_cast<size_t>(kind)] = &registry.counter(
        "courier_ban_hits_total", "Connections that were closed, refused or ended for a ban.", labels);
  }
}

Result<std::unique_ptr<Bans>> Bans::open(std::string path, const Clock& clock, Registry& registry) {
  std::unique_ptr<Bans> bans(new Bans(std::move(path), clock, registry));
  if (bans->path_.empty()) return bans;
  auto file = read_ban_file(bans->path_);
  if (!file) return fail(std::move(file).error());
  bans->next_id_ = file->next_id;
  for (Ban& ban : file->bans) bans->put(std::move(ban));
  bans->count();
  return bans;
}

std::string Bans::key_of(Kind kind, const std::optional<std::string_view>& mountpoint,
                         std::string_view name) {
  std::string key(1, static_cast<char>('0' + static_cast<int>(kind)));
  if (mountpoint) key.append("=").append(*mountpoint);
  // Neither mountpoints nor names have a zero byte.
  return key.append(1, '\0').append(name);
}

std::string Bans::key_of(const BanTarget& target) {
  return key_of(target.kind, target.mountpoint, target.value);
}

void Bans::put(Ban ban) {
  if (ban.target.kind == Kind::address) {
    const auto network = net::Cidr::parse(ban.target.value);
    CHECK(network);
    if (const auto before = networks_.find(*network)) take_out(bans_.find(*before));
    networks_.put(*network, ban.id);
  } else {
    const std::string key = key_of(ban.target);
    if (const auto before = names_.find(key); before != names_.end()) take_out(bans_.find(before->second));
    names_[key] = ban.id;
  }
  ++kinds_[static_cast<size_t>(ban.target.kind)];
  own_ += ban.made_by == kMadeByFlapping ? 1 : 0;
  if (ban.until != 0 && (first_end_ == 0 || ban.until < first_end_)) first_end_ = ban.until;
  const BanId id = ban.id;
  bans_.emplace(id, std::move(ban));
}

void Bans::take_out(std::map<BanId, Ban>::iterator at) {
  CHECK(at != bans_.end());
  const Ban& ban = at->second;
  if (ban.target.kind == Kind::address) {
    networks_.remove(*net::Cidr::parse(ban.target.value));
  } else {
    names_.erase(key_of(ban.target));
  }
  --kinds_[static_cast<size_t>(ban.target.kind)];
  own_ -= ban.made_by == kMadeByFlapping ? 1 : 0;
  bans_.erase(at);
}

// What is read without the lock.
void Bans::count() {
  size_ = bans_.size();
  addresses_ = networks_.size();
  names_count_ = names_.size();
  for (size_t kind = 0; kind < kBanKindCount; ++kind)
    in_force_[kind]->set(static_cast<int64_t>(kinds_[kind]));
}

Result<Ban> Bans::add(BanTarget target, std::string reason, std::string made_by, WallMs until) {
  auto good = checked(std::move(target));
  if (!good) return fail(std::move(good).error());
  if (reason.size() > kReasonBytesMax || made_by.size() > kMadeByBytesMax) {
    return fail(errc::bad_ban, fmt::format("a reason may have {} bytes, and who made it {}", kReasonBytesMax,
                                           kMadeByBytesMax));
  }
  for (const std::string_view text :
       {std::string_view(good->value), std::string_view(reason), std::string_view(made_by)}) {
    if (!is_well_formed_utf8(text) || text.find('\0') != text.npos)
      return fail(errc::bad_ban, "a text is not UTF-8, or has a zero byte");
  }
  const WallMs now = clock_.wall_ms();
  if (until != 0 && until <= now) return fail(errc::bad_ban, "it would be over already");
  Ban ban{0, *std::move(good), std::move(reason), std::move(made_by), now, until};
  {
    const std::unique_lock lock(mutex_);
    if (bans_.size() >= kBansMax || (ban.made_by == kMadeByFlapping && own_ >= kOwnBansMax)) {
      return fail(errc::too_many,
                  fmt::format("there are {} bans already; remove some, or ban networks", bans_.size()));
    }
    ban.id = next_id_++;
    put(ban);
    count();
    changes_.fetch_add(1);
  }
  if (told_) told_(ban);
  return ban;
}

std::optional<Ban> Bans::remove(BanId id) {
  const std::unique_lock lock(mutex_);
  const auto at = bans_.find(id);
  if (at == bans_.end()) return std::nullopt;
  Ban ban = at->second;
  take_out(at);
  count();
  changes_.fetch_add(1);
  return ban;
}

std::vector<Ban> Bans::list(BanId after, size_t count) const {
  const WallMs now = clock_.wall_ms();
  std::vector<Ban> found;
  const std::shared_lock lock(mutex_);
  for (auto at = bans_.upper_bound(after); at != bans_.end() && found.size() < count; ++at) {
    if (at->second.in_force(now)) found.push_back(at->second);
  }
  return found;
}

std::optional<Ban> Bans::find(const net::SocketAddress& address) const {
  if (!has_addresses()) return std::nullopt;
  const WallMs now = clock_.wall_ms();
  const std::shared_lock lock(mutex_);
  const BanId id = networks_.find(address, [&](BanId each) { return bans_.at(each).in_force(now); });
  return id == 0 ? std::nullopt : std::optional(bans_.at(id));
}

std::optional<Ban> Bans::find_peer(std::string_view address) const {
  if (!has_addresses()) return std::nullopt;
  const auto parsed = net::SocketAddress::parse(address);
  return parsed ? find(*parsed) : std::nullopt;
}

std::optional<Ban> Bans::find(Kind kind, std::string_view mountpoint, std::string_view name) const {
  if (!has_names() || name.empty()) return std::nullopt;
  const std::string keys[] = {key_of(kind, mountpoint, name), key_of(kind, std::nullopt, name)};
  const WallMs now = clock_.wall_ms();
  const std::shared_lock lock(mutex_);
  for (const std::string& key : keys) {
    const auto at = names_.find(key);
    if (at == names_.end()) continue;
    const Ban& ban = bans_.at(at->second);
    if (ban.in_force(now)) return ban;
  }
  return std::nullopt;
}

void Bans::purge() {
  const WallMs now = clock_.wall_ms();
  {
    const std::shared_lock lock(mutex_);
    if (first_end_ == 0 || now < first_end_) return;
  }
  const std::unique_lock lock(mutex_);
  first_end_ = 0;
  for (auto at = bans_.begin(); at != bans_.end();) {
    const auto next = std::next(at);
    const Ban& ban = at->second;
    if (!ban.in_force(now)) {
      take_out(at);
      changes_.fetch_add(1);
    } else if (ban.until != 0 && (first_end_ == 0 || ban.until < first_end_)) {
      first_end_ = ban.until;
    }
    at = next;
  }
  count();
}

Result<void> Bans::save() {
  if (path_.empty()) return {};
  const uint64_t wanted = changes_.load();
  const std::lock_guard writing(file_mutex_);
  if (saved_.load() >= wanted) return {};  // whoever wrote meanwhile wrote this, too
  BanFile file;
  uint64_t changes = 0;
  {
    const std::shared_lock lock(mutex_);
    changes = changes_.load();
    file.next_id = next_id_;
    file.bans.reserve(bans_.size());
    for (const auto& [id, ban] : bans_) file.bans.push_back(ban);
  }
  if (auto written = write_ban_file(path_, file); !written) return written;
  saved_.store(changes);
  return {};
}

}  // namespace courier::admission
