// Bans by name, and of who is here already; clients that flap.
//
// A ban holds from the moment it is made (Bans::add), and every connection passes attach() on the thread of
// its session after that, or hangs in `connections_` of some shard when that shard hears of the ban: none
// slips through between the two.
#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "broker/shard.h"
#include "broker/shared.h"

namespace courier::broker {

using admission::Ban;
using Kind = admission::BanTarget::Kind;
using mqtt::ReasonCode;

namespace {

log::Limit flapping_lines{{.per_second = 5}};
// Connections that are held against the bans in one Turn.
constexpr size_t kLookedAtPerTurn = 4096;

std::string sentence(const Ban& ban) {
  return fmt::format("{} {} is banned (ban {}{}{})", admission::name(ban.target.kind), ban.target.value,
                     ban.id, ban.reason.empty() ? "" : ": ", ban.reason);
}

}  // namespace

std::optional<Ban> Shard::ban_on(const Connection& connection, std::string_view mountpoint,
                                 std::string_view username) const {
  const admission::Bans* bans = out_.shared.bans;
  if (!bans || bans->size() == 0) return std::nullopt;
  if (auto ban = bans->find_peer(connection.peer.address)) return ban;
  if (auto ban = bans->find(Kind::client_id, mountpoint, connection.client_id)) return ban;
  return bans->find(Kind::username, mountpoint, username);
}

// The sentence names the ban for our log; a stranger hears no more than the code.
void Shard::refuse_banned(Connection& connection, const Ban& ban) {
  out_.shared.bans->hit(ban.target.kind);
  connection.problem_information = false;
  refuse_connect(connection, ReasonCode::banned, sentence(ban));
}

// Counts it; if it has come too often it is banned, and gone when this returns true.
bool Shard::flaps(const Connection& connection) {
  if (!out_.shared.flapping || !out_.shared.bans) return false;
  const std::string mountpoint = connection.identity.mountpoint.str(), client_id = connection.client_id.str();
  const auto ban_ms = out_.shared.flapping->came(mountpoint, client_id, out_.clock.mono_ns());
  if (!ban_ms) return false;
  const ConnectionId id = connection.id;
  auto ban = out_.shared.bans->add({Kind::client_id, client_id, mountpoint}, "it connects again and again",
                                   std::string(admission::kMadeByFlapping),
                                   out_.shared.machine_clock->wall_ms() + *ban_ms);
  if (!ban) {
    log::warn(flapping_lines, "a client flaps and cannot be banned",
              {{"client_id", client_id}, {"error", ban.error().message}});
    return false;
  }
  log::warn(flapping_lines, "a client flaps: banned",
            {{"client_id", client_id},
             {"mountpoint", mountpoint},
             {"peer", connection.peer.address},
             {"ban", ban->id},
             {"seconds", *ban_ms / 1000}});
  if (Connection* here = find(id)) refuse_banned(*here, *ban);
  return true;
}

void Shard::bans_changed() {
  if (!to_judge_.empty()) {
    judge_again_ = true;
    return;
  }
  to_judge_.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) to_judge_.push_back(id);
}

void Shard::judge_some() {
  for (size_t looked = 0; looked < kLookedAtPerTurn && !to_judge_.empty(); ++looked) {
    Connection* connection = find(to_judge_.back());
    to_judge_.pop_back();
    if (!connection) continue;
    const bool known = connection->state != Connection::State::authenticating;
    const auto ban =
        ban_on(*connection, known ? connection->identity.mountpoint : connection->peer.mountpoint,
               connection->identity.username);
    if (!ban) continue;
    if (connection->state != Connection::State::active) {
      refuse_banned(*connection, *ban);
      continue;
    }
    out_.shared.bans->hit(ban->target.kind);
    // Banned (0x8A) has no place in a DISCONNECT; this has. Section 3.14.2.1.
    connection->problem_information = false;
    disconnect(*connection, EndCause::banned, ReasonCode::administrative_action, sentence(*ban));
  }
  if (!to_judge_.empty()) return;
  if (std::exchange(judge_again_, false)) {
    bans_changed();
  } else {
    to_judge_.shrink_to_fit();
  }
}

}  // namespace courier::broker
