// A worker's clients: how they connect, go, and come back.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "jose/jws.h"
#include "load/worker.h"

namespace courier::load {

uint32_t Worker::local_of(const client::Client& client) const {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(client.context));
}

std::string Worker::token_for(const Jwt& jwt, uint32_t number) const {
  const int64_t now = clock_.wall_ms() / 1000;
  nlohmann::ordered_json claims = nlohmann::ordered_json::object();
  for (const auto& [name, value] : jwt.claims) claims[name] = value.fill({.number = number});
  claims["iat"] = now;
  claims["exp"] = now + jwt.ttl_ms / 1000;
  auto token = jose::sign_jws(claims.dump(), keys_.at(jwt.key_env));
  CHECK(token.has_value());  // a shared secret can always sign
  return std::move(*token);
}

std::shared_ptr<const client::ConnectOptions> Worker::options_for(size_t g, uint32_t number) const {
  const Group& group = scenario_.groups[g];
  auto options = std::make_shared<client::ConnectOptions>();
  options->version = group.mqtt.version;
  options->clean_start = group.mqtt.clean_session;
  options->keep_alive_seconds = group.mqtt.keep_alive_seconds;
  options->restore_subscriptions = false;
  if (group.mqtt.version == mqtt::Version::v5) {
    if (group.mqtt.session_expiry_given) {
      options->session_expiry_seconds = group.mqtt.session_expiry_seconds;
    } else if (!group.mqtt.clean_session) {
      options->session_expiry_seconds = client::kSessionNeverExpires;
    }
    if (group.mqtt.receive_maximum != 65'535) options->receive_maximum = group.mqtt.receive_maximum;
  }
  const TextTemplate::Values values{.number = number};
  if (!group.username.empty()) options->username = group.username.fill(values);
  if (group.password) options->password = group.password->fill(values);
  if (group.jwt) options->password = token_for(*group.jwt, number);
  if (group.will) {
    options->will = client::WillMessage{.topic = group.will->topic.fill(values),
                                        .payload = group.will->payload.fill(values),
                                        .qos = group.will->qos,
                                        .retain = group.will->retain};
  }
  return options;
}

client::Client& Worker::client_of(uint32_t local) {
  Player& player = players_[local];
  if (player.client) return *player.client;
  const ClientNumber number = number_of(local);
  const auto member = audience_.member(number);
  const Group& group = scenario_.groups[member.group];
  client::ClientSetup setup;
  setup.server = endpoints_[number % endpoints_.size()];
  setup.transport = transports_[number % transports_.size()];
  // Thousands of clients that say the same share it.
  const bool same = group.username.constant() && !group.jwt &&
                    (!group.password || group.password->constant()) &&
                    (!group.will || (group.will->topic.constant() && group.will->payload.constant()));
  GroupPart& part = groups_[member.group];
  if (!part.shared_options || !same) {
    auto options = options_for(member.group, member.number);
    if (same) part.shared_options = options;
    setup.connect = std::move(options);
  } else {
    setup.connect = part.shared_options;
  }
  setup.client_id = group.client_id.fill({.number = member.number});
  setup.reconnect = group.reconnect.enabled;
  setup.backoff = {.first_ms = group.reconnect.first_ms,
                   .max_ms = group.reconnect.max_ms,
                   .stable_ms = group.reconnect.first_ms,
                   .jitter = group.reconnect.jitter,
                   .seed = derived(scenario_.seed, number, 101) | 1};
  if (!sources_.empty()) setup.source = sources_[number % sources_.size()];
  if (scenario_.target.proxy_protocol != ProxyProtocol::none) {
    // A phone somewhere behind the load balancer: an address of its own, from the network kept for benchmarks
    // and, when that is full, the private ones. RFC 2544, RFC 1918.
    const uint32_t at = number < 131'072 ? (198u << 24 | 18u << 16) + number : (10u << 24) + number;
    const auto phone =
        net::SocketAddress::ipv4({static_cast<uint8_t>(at >> 24), static_cast<uint8_t>(at >> 16),
                                  static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at)},
                                 static_cast<uint16_t>(1024 + number % 64'000));
    setup.preamble = client::proxy_preamble(static_cast<int>(scenario_.target.proxy_protocol), phone,
                                            setup.server->addresses.front());
  }
  client::ClientHandler& handler = *this;
  player.client = std::make_unique<client::Client>(loop_, std::move(setup), handler);
  player.client->context = reinterpret_cast<void*>(static_cast<uintptr_t>(local));
  return *player.client;
}

// Its connection is due now, or was.
void Worker::come(uint32_t local, int64_t due_us) {
  Player& player = players_[local];
  client::Client& client = client_of(local);
  player.wanted = true;
  player.due_us = due_us;
  const auto member = audience_.member(number_of(local));
  if (scenario_.groups[member.group].jwt && player.connections > 0) {
    (void)client.set_connect_options(options_for(member.group, member.number));  // a fresh token
  }
  if (auto opened = client.open(); !opened) {
    Tally& tally = this->tally(due_us);
    ++tally[Count::connect_attempts];
    ++tally[Count::connect_failed];
    tally.add_reason("connect: " + opened.error().message);
  }
}

void Worker::leave(uint32_t local, FlapHow how) {
  Player& player = players_[local];
  if (!player.client) return;
  went(local);
  switch (how) {
    case FlapHow::tcp_reset:
      return player.client->cut(client::Cut::reset);
    case FlapHow::silent:
      return player.client->cut(client::Cut::silent);
    case FlapHow::disconnect:
      return player.client->close();
  }
}

// The books, when a connection ends by whichever side.
void Worker::went(uint32_t local) {
  Player& player = players_[local];
  const size_t group = audience_.member(number_of(local)).group;
  if (player.connected) {
    --connected_[group];
    player.gone_us = now_us();
  }
  player.connected = false;
  if (player.ready) {
    --ready_[group];
    player.ready = false;
    count_members(local, false);
  }
  ledger_.gone(local);
}

void Worker::on_transport(client::Client& client) {
  const Player& player = players_[local_of(client)];
  tally(player.due_us)[Latency::connect_tcp].record((now_us() - player.due_us) * 1000);
}

void Worker::on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) {
  const uint32_t local = local_of(client);
  Player& player = players_[local];
  const auto member = audience_.member(number_of(local));
  ++player.connections;
  player.connected = true;
  ++connected_[member.group];
  Tally& tally = this->tally(player.due_us);
  ++tally[Count::connect_attempts];
  ++tally[Count::connect_ok];
  tally[Latency::connect_connack].record((now_us() - player.due_us) * 1000);
  const Group& group = scenario_.groups[member.group];
  if (player.connections > 1 && !session_present && player.session_us < now_us() - player.gone_us) {
    session_expired(local);
  }
  // A server may keep it for less time than it was asked to.
  const uint32_t kept_seconds = connack.session_expiry_seconds.value_or(
      group.mqtt.expires() ? group.mqtt.session_expiry_seconds : client::kSessionNeverExpires);
  player.session_us =
      kept_seconds == client::kSessionNeverExpires ? INT64_MAX : int64_t{kept_seconds} * 1'000'000;
  if (group.subscribe.empty() || (session_present && player.subscribed)) return is_ready(local);
  std::vector<client::Subscription> subscriptions;
  for (const LoadSubscription& each : group.subscribe) {
    subscriptions.push_back(
        {.filter = each.filter.fill({.number = member.number}), .options = {.qos = each.qos}});
  }
  player.subscribe_us = now_us();
  if (auto asked = client.subscribe(std::move(subscriptions)); !asked) {
    tally.add_reason("subscribe: " + asked.error().message);
  }
}

void Worker::on_subscribed(client::Client& client, const client::Completion& completion) {
  const uint32_t local = local_of(client);
  Player& player = players_[local];
  if (completion.error) return;  // the connection has ended; its end is counted
  Tally& tally = this->tally(player.due_us);
  size_t refused = 0;
  for (const auto reason : completion.reasons) refused += mqtt::is_error(reason);
  if (refused > 0) {
    tally[Count::subscribe_refused] += refused;
    tally.add_reason(fmt::format("subscribe: {}", mqtt::name(completion.reasons.front())), refused);
    return;  // it is owed nothing
  }
  tally[Latency::subscribe_suback].record((now_us() - player.subscribe_us) * 1000);
  player.subscribed = true;
  is_ready(local);
}

void Worker::is_ready(uint32_t local) {
  Player& player = players_[local];
  const auto member = audience_.member(number_of(local));
  if (player.ready) return;
  player.ready = true;
  ++ready_[member.group];
  const int64_t now = now_us();
  player.back_us = now;
  ledger_.subscribed(local, now);
  count_members(local, true);
}

void Worker::on_disconnected(client::Client& client, const client::Ending& ending,
                             std::optional<int64_t> retry_in_ms) {
  const uint32_t local = local_of(client);
  Player& player = players_[local];
  const bool stood = player.connected;
  Tally& tally = this->tally(stood ? now_us() : player.due_us);
  went(local);
  if (stood) {
    ++tally[Count::disconnect_unexpected];
    tally.add_reason("disconnected: " +
                     (ending.reason ? std::string(mqtt::name(*ending.reason)) : ending.code.message()));
  } else {
    ++tally[Count::connect_attempts];
    ++tally[ending.refused_at_connect ? Count::connect_refused : Count::connect_failed];
    tally.add_reason("connect: " + (ending.reason  ? std::string(mqtt::name(*ending.reason))
                                    : ending.cause ? ending.cause.message()
                                                   : ending.code.message()));
  }
  if (retry_in_ms) player.due_us = now_us() + *retry_in_ms * 1000;
  const auto member = audience_.member(number_of(local));
  if (retry_in_ms && scenario_.groups[member.group].jwt) {
    (void)client.set_connect_options(options_for(member.group, member.number));
  }
}

void Worker::on_closed(client::Client&) {
  if (hanging_up_ && leaving_ > 0) --leaving_;
}

}  // namespace courier::load
