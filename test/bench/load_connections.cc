#include "load_connections.h"

#include <algorithm>
#include <cstdio>

namespace courier::bench {
namespace {

constexpr size_t kFirst = 500;  // behind them the broker's fixed costs are paid
constexpr uint64_t kKeepAliveNs = 60'000'000'000;

}  // namespace

void Idle::on_frame(Peer&, const Frame& frame) {
  if (frame.packet() != Packet::pingresp) fail("an idle client was sent something");
  ++pongs_;
}

void Idle::arrive_some(size_t count) {
  std::vector<Arrival> arrivals;
  for (size_t i = 0; i < count; ++i) {
    Peer& peer = peers_.emplace_back();
    peer.index = static_cast<uint32_t>(peers_.size() - 1);
    arrivals.push_back({&peer, "i" + topic_of(peer.index), topic_of(peer.index)});
  }
  arrive(arrivals, !options_.persistent, 1);
}

void Idle::run() {
  if (options_.connections <= kFirst) fail("too few connections to tell their share");
  arrive_some(kFirst);
  turns_for(1.2);
  const BrokerUse first = broker_use(options_.broker_pid);
  arrive_some(options_.connections - kFirst);
  turns_for(3);
  const BrokerUse all = broker_use(options_.broker_pid);
  const double bytes = (all.rss_bytes - first.rss_bytes) / static_cast<double>(options_.connections - kFirst);

  const uint64_t began = now_ns();
  const auto until = began + static_cast<uint64_t>(options_.seconds * 1e9);
  uint64_t pings = 0;
  for (now_ = began; now_ < until; turn(kMillisecond)) {
    const uint64_t due = (now_ - began) * peers_.size() / kKeepAliveNs;
    for (; pings < due; ++pings) write(peers_[pings % peers_.size()], {"\xc0\0", 2});
  }
  const BrokerUse after = broker_use(options_.broker_pid);
  const double seconds = static_cast<double>(now_ - began) / 1e9;
  turns_for(0.2);
  if (pongs_ != pings) fail("a ping was not answered");
  std::printf(
      "{\"valid\": true, \"connections\": %zu, \"rss_bytes\": %.0f, \"cpu_percent\": %.3f, "
      "\"pings\": %llu, \"seconds\": %.3f, \"rss_mb\": %.1f}\n",
      peers_.size(), bytes, (after.cpu_us - all.cpu_us) / seconds / 1e4,
      static_cast<unsigned long long>(pings), seconds, after.rss_bytes / 1e6);
}

void Storm::begin(Peer& peer) {
  Client& client = clients_[peer.index];
  client.began_ns = now_ns();
  client.answered = false;
  open(peer);
  write(peer, connect_packet("c" + topic_of(begun_++), true, 60));
}

void Storm::on_frame(Peer& peer, const Frame& frame) {
  Client& client = clients_[peer.index];
  if (frame.packet() != Packet::connack || client.answered)
    fail("a connect was answered with something else");
  client.answered = true;
  ++connects_;
  latencies_.add((now_ - std::min(now_, client.began_ns)) / 1000);
  // The broker closes first: it has had the DISCONNECT then.
  write(peer, {"\xe0\0", 2});
}

void Storm::on_closed(Peer& peer) {
  if (!clients_[peer.index].answered) fail("a connect was closed without an answer");
  close_peer(peer);
  if (going_) begin(peer);
}

void Storm::run() {
  for (size_t i = 0; i < options_.connections; ++i) {
    Client& client = clients_.emplace_back();
    client.peer.index = static_cast<uint32_t>(i);
  }
  going_ = true;
  for (Client& client : clients_) begin(client.peer);
  turns_for(options_.warmup_s);
  latencies_.clear();
  const BrokerUse before = broker_use(options_.broker_pid);
  const uint64_t connects_before = connects_;
  const uint64_t began = now_ns();
  turns_for(options_.seconds);
  const BrokerUse after = broker_use(options_.broker_pid);
  const double seconds = static_cast<double>(now_ns() - began) / 1e9;
  const auto connects = static_cast<double>(connects_ - connects_before);
  const Latencies latencies = latencies_;
  going_ = false;
  for (const uint64_t until = now_ns() + 5'000'000'000; connects_ < begun_;) {
    if (now_ > until) fail("a connect was not answered");
    turn(10 * kMillisecond);
  }
  if (connects == 0) fail("nobody was connected");
  std::printf(
      "{\"valid\": true, \"messages\": %.0f, \"seconds\": %.3f, \"per_second\": %.0f, \"cpu_us\": %.4f, "
      "\"p50_us\": %llu, \"p99_us\": %llu, \"max_us\": %llu, \"connections\": %zu}\n",
      connects, seconds, connects / seconds, (after.cpu_us - before.cpu_us) / connects,
      static_cast<unsigned long long>(latencies.at(0.5)), static_cast<unsigned long long>(latencies.at(0.99)),
      static_cast<unsigned long long>(latencies.max_us()), clients_.size());
}

}  // namespace courier::bench
