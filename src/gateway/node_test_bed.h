// For tests: a whole broker on memory behind a gateway on loopback sockets, and a phone that talks to it byte
// by byte.
//
// The log commits on a feed thread of its own as soon as something is appended, as a real one does.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "auth/acl/rules.h"
#include "auth/anonymous.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "broker/node.h"
#include "gateway/gateway.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "net/socket.h"
#include "store/memory/memory_disk.h"
#include "store/memory/memory_log.h"
#include "store/memory/memory_store.h"

namespace courier::gateway {

class PumpedLog final : public store::MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  ~PumpedLog() override { PumpedLog::stop(); }
  void start(store::LogReader& reader) override {
    MemoryLog::start(reader);
    feed_ = std::thread([this] { run(); });
  }
  void stop() override {
    if (!feed_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    feed_.join();
    MemoryLog::stop();
  }
  void append(store::Batch batch) override {
    MemoryLog::append(std::move(batch));
    more();
  }
  void post(std::function<void()> task) override {
    MemoryLog::post(std::move(task));
    more();
  }

 private:
  void more() {
    {
      const std::lock_guard lock(mutex_);
      more_ = true;
    }
    wake_.notify_all();
  }
  void run() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return more_ || stopping_; });
        if (stopping_) return;
        more_ = false;
      }
      pump();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  bool more_ = false, stopping_ = false;  // guarded by mutex_
  std::thread feed_;
};

// Answers when the test says so; at once unless told to hold.
class HeldAuthenticator final : public auth::Authenticator {
 public:
  void hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void let_go() {
    std::vector<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (const auto& answer : held) answer();
  }
  size_t waiting() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  std::string last_peer() {
    const std::lock_guard lock(mutex_);
    return last_peer_;
  }
  void authenticate(auth::Credentials credentials, std::function<void(auth::Decision)> done) override {
    auth::Decision decision;
    decision.verdict = auth::Verdict::allow;
    decision.identity.mountpoint = credentials.mountpoint;
    {
      const std::lock_guard lock(mutex_);
      last_peer_ = credentials.peer;
      if (holding_) {
        held_.push_back([done = std::move(done), decision] { done(decision); });
        return;
      }
    }
    done(decision);
  }

 private:
  std::mutex mutex_;
  bool holding_ = false;                     // guarded by mutex_
  std::string last_peer_;                    // guarded by mutex_
  std::vector<std::function<void()>> held_;  // guarded by mutex_
};

struct BedOptions {
  uint32_t threads = 2;
  ConnectionOptions connections;
  broker::Limits limits;
  std::vector<ListenerOptions> listeners;  // none: one on a free port of 127.0.0.1
  admission::Options admission;
  admission::FlappingOptions flapping;
};

class Bed {
 public:
  explicit Bed(BedOptions options = {}) : limits(options.limits) {
    options.connections.packet_bytes_max = limits.packet_bytes_max;
    auto opened = Gateway::open({.threads = options.threads,
                                 .workers = 1,
                                 .connections = options.connections,
                                 .admission = options.admission,
                                 .bans = bans.get()},
                                system_clock(), registry);
    EXPECT_TRUE(opened) << opened.error().message;
    gateway = *std::move(opened);
    broker::NodeOptions node_options;
    node_options.shard_count = options.threads;
    node_options.sys_interval_ms = 0;
    node_options.bans = bans.get();
    node_options.flapping = &flapping;
    flapping.use(options.flapping);
    node.emplace(node_options, limits, log, store, system_clock(), *gateway, authenticator, *rules, registry);
    const auto started = node->start();
    EXPECT_TRUE(started) << started.error().message;
    gateway->start([&](uint32_t i) -> broker::Shard& { return node->shard(i); });
    EXPECT_TRUE(soon([&] { return node->ready(); }));
    if (options.listeners.empty()) options.listeners.push_back({.name = "door", .bind = loopback()});
    const auto listening = gateway->listen(std::move(options.listeners));
    EXPECT_TRUE(listening) << listening.error().message;
  }
  ~Bed() {
    log.stop();
    gateway->stop();
  }

  static net::SocketAddress loopback() { return *net::SocketAddress::parse("127.0.0.1:0"); }
  const net::SocketAddress& address(size_t listener = 0) const { return gateway->addresses()[listener]; }

  // Waits until it is so, for what happens on another thread without a word to us.
  template <typename Condition>
  static ::testing::AssertionResult soon(Condition condition) {
    const MonoNs until = system_clock().mono_ns() + 10'000'000'000;
    while (!condition()) {
      if (system_clock().mono_ns() > until) return ::testing::AssertionFailure() << "not within ten seconds";
      std::this_thread::yield();
    }
    return ::testing::AssertionSuccess();
  }

  Registry registry;
  broker::Limits limits;
  std::unique_ptr<admission::Bans> bans = *admission::Bans::open({}, system_clock(), registry);
  admission::Flapping flapping;
  store::MemoryDisk disk;
  PumpedLog log{disk, system_clock()};
  store::MemoryStore store{disk};
  HeldAuthenticator authenticator;
  std::unique_ptr<auth::acl::Rules> rules = *auth::acl::Rules::open({});
  std::unique_ptr<Gateway> gateway;
  std::optional<broker::Node> node;
};

// A client without manners of its own: it sends what it is told to and says what came.
class Phone {
 public:
  explicit Phone(const net::SocketAddress& broker, mqtt::Version spoken = mqtt::Version::v5)
      : version(spoken) {
    auto fd = net::connect_start(broker);
    EXPECT_TRUE(fd) << fd.error().message;
    socket = *std::move(fd);
    EXPECT_TRUE(wait(POLLOUT));
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const net::IoResult sent = net::write_some(socket.get(), bytes);
      bytes.remove_prefix(sent.bytes);
      if (sent.status == net::IoStatus::failed) return;
      if (sent.status == net::IoStatus::would_block && !wait(POLLOUT)) return;
    }
  }
  static std::string encoded(const mqtt::Packet& packet, mqtt::Version version = mqtt::Version::v5) {
    std::string bytes;
    EXPECT_TRUE(mqtt::encode(bytes, packet, version));
    return bytes;
  }
  void send(const mqtt::Packet& packet) { send(encoded(packet, version)); }

  // The next packet. Nothing: the broker hung up, or nothing came for ten seconds. Views live until the next
  // call.
  std::optional<mqtt::Packet> receive() {
    input.erase(0, taken);
    taken = 0;
    for (;;) {
      mqtt::DecodeResult result = mqtt::decode_one(input, version, mqtt::Side::client, false, {});
      if (auto* decoded = std::get_if<mqtt::Decoded>(&result)) {
        taken = decoded->size;
        return std::move(decoded->packet);
      }
      EXPECT_FALSE(std::holds_alternative<mqtt::Violation>(result));
      if (std::holds_alternative<mqtt::Violation>(result) || !more()) return std::nullopt;
    }
  }
  template <typename Packet>
  Packet expect() {
    const auto packet = receive();
    EXPECT_TRUE(packet && std::holds_alternative<Packet>(*packet));
    if (!packet || !std::holds_alternative<Packet>(*packet)) return {};
    return std::get<Packet>(*packet);
  }
  mqtt::Connack connect(std::string_view client_id, mqtt::Connect packet = {}) {
    packet.version = version;
    packet.client_id = client_id;
    send(packet);
    return expect<mqtt::Connack>();
  }
  // Whether the broker ended it in good order (a FIN, not a reset), with nothing more to read.
  ::testing::AssertionResult closed_in_order() {
    input.erase(0, taken);
    taken = 0;
    while (more()) {
    }
    if (!input.empty()) return ::testing::AssertionFailure() << input.size() << " bytes came first";
    if (last.status == net::IoStatus::closed) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << (last.status == net::IoStatus::failed ? "reset" : "still open");
  }
  bool wait(short events, int timeout_ms = 10'000) {
    pollfd wanted{socket.get(), events, 0};
    return ::poll(&wanted, 1, timeout_ms) == 1;
  }
  bool more() {
    if (!wait(POLLIN)) {
      last = {net::IoStatus::would_block, 0, 0};
      return false;
    }
    char room[64 * 1024];
    last = net::read_some(socket.get(), room);
    if (last.status != net::IoStatus::done) return false;
    input.append(room, last.bytes);
    return true;
  }

  mqtt::Version version;
  net::Fd socket;
  std::string input;
  size_t taken = 0;
  net::IoResult last;
};

}  // namespace courier::gateway
