// For tests: meshes in one process over loopback, what they are told, and a peer made of a bare socket that
// says what no mesh would.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mesh/mesh.h"
#include "net/socket.h"
#include "net/test_ports.h"

namespace courier::mesh {

inline constexpr std::chrono::seconds kTestPatience{30};

// Until `met`, of something that nobody announces: a counter.
inline bool comes_true(const std::function<bool()>& met) {
  const auto end = std::chrono::steady_clock::now() + kTestPatience;
  while (!met()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

inline Deliver deliver_of(std::string_view topic, std::string_view payload, uint64_t after = 0) {
  return {.to = {{SessionId(7), true, {}}},
          .message = mqtt::MessagePtr(mqtt::Message::make(topic, payload)),
          .after = Position(after)};
}

// Remembers what a mesh says. Any thread.
class TestHandler final : public Handler {
 public:
  using OnRequest = std::function<void(NodeEpoch, uint16_t, std::string_view, Reply)>;

  explicit TestHandler(OnRequest on_request = nullptr) : on_request_(std::move(on_request)) {}

  void on_deliver(NodeEpoch from, std::span<Deliver> messages) override {
    const std::lock_guard lock(mutex_);
    for (Deliver& one : messages) {
      EXPECT_EQ(one.from, from);
      delivers_.push_back(std::move(one));
    }
    changed_.notify_all();
  }
  void on_request(NodeEpoch from, uint16_t kind, std::string_view body, Reply reply) override {
    if (on_request_) on_request_(from, kind, body, std::move(reply));
  }
  void on_link(NodeEpoch peer, bool up) override {
    const std::lock_guard lock(mutex_);
    links_.emplace_back(peer.value, up);
    changed_.notify_all();
  }

  std::vector<Deliver> await_delivers(size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kTestPatience, [&] { return delivers_.size() >= count; }))
        << delivers_.size() << " of " << count;
    return delivers_;
  }
  // Until that has happened, since the beginning, `times` times.
  bool await_link(NodeEpoch peer, bool up, size_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kTestPatience, [&] {
      return std::ranges::count(links_, std::pair(peer.value, up)) >= static_cast<ptrdiff_t>(times);
    });
  }
  size_t delivered() {
    const std::lock_guard lock(mutex_);
    return delivers_.size();
  }
  std::vector<std::pair<uint64_t, bool>> links() {
    const std::lock_guard lock(mutex_);
    return links_;
  }

 private:
  const OnRequest on_request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Deliver> delivers_;  // guarded by mutex_, as the rest
  std::vector<std::pair<uint64_t, bool>> links_;
};

// No pings by themselves, so that writes can be counted.
inline Limits quiet_limits() {
  return {.ping_ns = 3600 * kNsPerSecond,
          .silent_ns = 3600 * kNsPerSecond,
          .redial_first_ns = kNsPerMs,
          .redial_max_ns = 20 * kNsPerMs};
}

inline Options test_options(const std::string& id) {
  return {.node_id = id,
          .bind = *net::SocketAddress::parse("127.0.0.1:0"),
          .cluster = "test",
          .log_id = "log-1",
          .shards = 2,
          .limits = quiet_limits()};
}

struct TestNode {
  TestNode(uint64_t number, Options options, TestHandler::OnRequest on_request = nullptr)
      : epoch(number), id(options.node_id), handler(std::move(on_request)) {
    auto opened = Mesh::open(std::move(options), registry);
    EXPECT_TRUE(opened) << opened.error().message;
    mesh = *std::move(opened);
    mesh->start(epoch, handler);
  }
  explicit TestNode(uint64_t number, TestHandler::OnRequest on_request = nullptr)
      : TestNode(number, test_options("node-" + std::to_string(number)), std::move(on_request)) {}

  Member member() const { return {id, epoch, mesh->address()}; }
  double counted(std::string_view name, const Labels& labels = {}) const {
    return registry.value(name, labels).value_or(0);
  }
  double dropped(const std::string& reason) const {
    return counted("courier_mesh_dropped_total", {{"reason", reason}});
  }
  double refused(const std::string& reason) const {
    return counted("courier_mesh_refused_total", {{"reason", reason}});
  }

  const NodeEpoch epoch;
  const std::string id;
  Registry registry;
  TestHandler handler;
  std::unique_ptr<Mesh> mesh;
};

// Makes all of them members of one cluster and waits for the links.
inline void join(std::vector<TestNode*> nodes) {
  std::vector<Member> members;
  for (const TestNode* node : nodes) members.push_back(node->member());
  for (TestNode* node : nodes) node->mesh->set_members(members);
  for (TestNode* node : nodes) {
    for (TestNode* other : nodes) {
      EXPECT_TRUE(other == node || node->handler.await_link(other->epoch, true));
    }
  }
}

// A younger node that is no mesh.
class BarePeer {
 public:
  explicit BarePeer(const TestNode& node) {
    auto fd = net::connect_start(node.mesh->address());
    EXPECT_TRUE(fd);
    fd_ = *std::move(fd);
    EXPECT_TRUE(wait(POLLOUT));
  }

  static Hello hello(const TestNode& to, uint64_t epoch) {
    return {.cluster = "test",
            .log_id = "log-1",
            .node_id = "node-" + std::to_string(epoch),
            .epoch = NodeEpoch(epoch),
            .instance = epoch,
            .to = to.epoch};
  }
  // Bytes that the kernel takes at once; false if it takes none.
  bool say(std::string_view bytes) {
    while (!bytes.empty()) {
      const net::IoResult sent = net::write_some(fd_.get(), bytes);
      if (sent.status == net::IoStatus::failed) return false;
      bytes.remove_prefix(sent.bytes);
      if (!bytes.empty() && !wait(POLLOUT)) return false;
    }
    return true;
  }
  // The next frame, whole; nothing when the connection has ended.
  std::string hear() {
    for (;;) {
      if (in_.size() >= 4) {
        const size_t length =
            4 + static_cast<size_t>(static_cast<uint8_t>(in_[0]) | static_cast<uint8_t>(in_[1]) << 8 |
                                    static_cast<uint8_t>(in_[2]) << 16);
        if (in_.size() >= length) {
          std::string frame = in_.substr(0, length);
          in_.erase(0, length);
          return frame;
        }
      }
      char room[4096];
      if (!wait(POLLIN)) return {};
      const net::IoResult got = net::read_some(fd_.get(), room);
      if (got.status == net::IoStatus::would_block) continue;
      if (got.status != net::IoStatus::done) return {};
      in_.append(room, got.bytes);
    }
  }
  FrameType hear_type() {
    const std::string frame = hear();
    return frame.empty() ? FrameType{} : static_cast<FrameType>(frame[4]);
  }
  // Why it was refused; 0 if it was not.
  uint8_t hear_refusal() {
    const std::string frame = hear();
    if (frame.empty() || static_cast<FrameType>(frame[4]) != FrameType::refuse) return 0;
    return decode_refuse(std::string_view(frame).substr(kFrameHeadBytes))->why;
  }
  void introduce(const TestNode& to, uint64_t epoch) {
    EXPECT_TRUE(say(encode_hello(hello(to, epoch))));
    EXPECT_EQ(hear_type(), FrameType::hello);
  }
  int fd() const { return fd_.get(); }

 private:
  bool wait(short events) {
    pollfd wanted{fd_.get(), events, 0};
    return ::poll(&wanted, 1, static_cast<int>(kTestPatience.count()) * 1000) == 1;
  }

  net::Fd fd_;
  std::string in_;
};

}  // namespace courier::mesh
