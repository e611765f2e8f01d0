// What a message from one node's shard to another node costs in the mesh, beside a bare program that makes
// the same system calls in the same threads: an eventfd wakes the thread that writes, epoll the one that
// reads.
//
// CPU time of the whole process, both nodes' ends in it, less what the pace alone costs. Messages have 200
// bytes of payload. A Turn sends as many as the row says and flushes once. `paced`: 10,000 Turns a second, so
// that threads sleep between them; `full`: as fast as they go with 64 Turns on the way. The two take turns;
// each figure is the median of the rounds, each ratio the median of the rounds' ratios.
//
//   mesh_bench [ROUNDS [TURNS]]      default: 7 rounds of 20,000
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "mesh/mesh.h"
#include "net/listener.h"
#include "net/socket.h"

using namespace courier;

namespace {

constexpr size_t kPayloadBytes = 200;
constexpr std::string_view kTopic = "orders/4711/status";
constexpr uint64_t kTurnsOnTheWay = 64;
constexpr long kPaceNs = 100'000;

double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// A way to bring messages from one thread to another over a socket.
class Way {
 public:
  virtual ~Way() = default;
  virtual void turn(int messages) = 0;
  std::atomic<uint64_t> arrived{0};  // messages
};

class MeshWay final : public Way, mesh::Handler {
 public:
  MeshWay() {
    const auto address = *net::SocketAddress::parse("127.0.0.1:0");
    for (int i = 0; i < 2; ++i) {
      auto opened = mesh::Mesh::open(
          {.node_id = std::to_string(i), .bind = address, .cluster = "bench", .log_id = "1"}, registry_);
      CHECK(opened);
      nodes_.push_back(*std::move(opened));
      nodes_[i]->start(NodeEpoch(i + 1), *this);
    }
    for (auto& node : nodes_) {
      node->set_members(
          {{"0", NodeEpoch(1), nodes_[0]->address()}, {"1", NodeEpoch(2), nodes_[1]->address()}});
    }
    while (!nodes_[0]->reachable(NodeEpoch(2)) || !nodes_[1]->reachable(NodeEpoch(1)))
      std::this_thread::yield();
    message_.message = mqtt::MessagePtr(mqtt::Message::make(kTopic, std::string(kPayloadBytes, 'p')));
  }
  ~MeshWay() override {
    for (auto& node : nodes_) node->stop();
  }
  void turn(int messages) override {
    mesh::Sender& sender = nodes_[0]->sender(0);
    for (int i = 0; i < messages; ++i) CHECK(sender.deliver(NodeEpoch(2), message_));
    sender.flush();
  }

 private:
  void on_deliver(NodeEpoch, std::span<mesh::Deliver> messages) override {
    arrived.fetch_add(messages.size(), std::memory_order_release);
  }
  void on_request(NodeEpoch, uint16_t, std::string_view, mesh::Reply) override {}
  void on_link(NodeEpoch, bool) override {}

  Registry registry_;
  std::vector<std::unique_ptr<mesh::Mesh>> nodes_;
  mesh::Deliver message_;
};

class BareWay final : public Way {
 public:
  BareWay() {
    auto listener = net::Listener::open(*net::SocketAddress::parse("127.0.0.1:0"));
    CHECK(listener);
    out_ = *net::connect_start(listener->address());
    do {
      in_ = listener->accept().fd;
    } while (!in_);
    net::set_no_delay(out_.get());
    mesh::encode_deliver(
        message_,
        {.message = mqtt::MessagePtr(mqtt::Message::make(kTopic, std::string(kPayloadBytes, 'p')))});
    message_ += std::string(mesh::kFrameHeadBytes, 'h');
    wake_ = net::Fd(::eventfd(0, EFD_NONBLOCK));
    writer_ = std::thread([this] { write(); });
    reader_ = std::thread([this] { read(); });
  }
  ~BareWay() override {
    ends_ = true;
    wake();
    writer_.join();
    net::shut_sending(out_.get());
    reader_.join();
  }
  void turn(int messages) override {
    std::string bytes;
    bytes.reserve(message_.size() * static_cast<size_t>(messages));
    for (int i = 0; i < messages; ++i) bytes += message_;
    bool first;
    {
      const std::lock_guard lock(mutex_);
      first = waiting_.empty();
      waiting_ += bytes;
    }
    if (first && sleeps_.exchange(false)) wake();
  }

 private:
  void wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
  }
  static void wait(int epoll) {
    epoll_event event{};
    ::epoll_wait(epoll, &event, 1, -1);
  }
  static net::Fd watch(int fd, uint32_t events) {
    net::Fd epoll(::epoll_create1(0));
    epoll_event wanted{};
    wanted.events = events;
    CHECK(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &wanted) == 0);
    return epoll;
  }
  void write() {
    const net::Fd epoll = watch(wake_.get(), EPOLLIN | EPOLLET);
    const net::Fd room = watch(out_.get(), EPOLLOUT);
    std::string bytes;
    while (!ends_) {
      bytes.clear();
      {
        const std::lock_guard lock(mutex_);
        bytes.swap(waiting_);
        if (bytes.empty()) sleeps_ = true;
      }
      if (bytes.empty()) {
        wait(epoll.get());
        continue;
      }
      for (std::string_view rest = bytes; !rest.empty();) {
        rest.remove_prefix(net::write_some(out_.get(), rest).bytes);
        if (!rest.empty()) wait(room.get());
      }
    }
  }
  void read() {
    const net::Fd epoll = watch(in_.get(), EPOLLIN);
    std::string room(mesh::kReadBytes, '\0');
    size_t bytes = 0;
    for (;;) {
      wait(epoll.get());
      const net::IoResult got = net::read_some(in_.get(), {room.data(), room.size()});
      if (got.status != net::IoStatus::done) return;
      bytes += got.bytes;
      arrived.store(bytes / message_.size(), std::memory_order_release);
    }
  }

  net::Fd out_, in_, wake_;
  std::string message_;
  std::atomic<bool> ends_{false}, sleeps_{false};
  std::mutex mutex_;
  std::string waiting_;  // guarded by mutex_
  std::thread writer_, reader_;
};

// Encoding and decoding alone, on one thread: what of the mesh's cost is not threads and sockets.
double encode_and_decode(int messages) {
  mesh::Deliver message;
  message.message = mqtt::MessagePtr(mqtt::Message::make(kTopic, std::string(kPayloadBytes, 'p')));
  constexpr int kRepeats = 20'000;
  std::string bytes;
  std::vector<mesh::Deliver> got;
  const double begin = cpu_us();
  for (int i = 0; i < kRepeats; ++i) {
    bytes.clear();
    got.clear();
    for (int k = 0; k < messages; ++k) mesh::encode_deliver(bytes, message);
    std::string_view body = bytes;
    CHECK(mesh::decode_delivers(body, NodeEpoch(1), static_cast<size_t>(messages), got));
  }
  return (cpu_us() - begin) / kRepeats / messages;
}

class NoWay final : public Way {
 public:
  void turn(int messages) override { arrived += static_cast<uint64_t>(messages); }
};

// CPU microseconds a message.
double run(Way& way, int turns, int messages, bool paced) {
  const uint64_t before = way.arrived;
  const double begin = cpu_us();
  timespec next{};
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (int i = 0; i < turns; ++i) {
    if (paced) {
      next.tv_nsec += kPaceNs;
      if (next.tv_nsec >= 1'000'000'000) next = {next.tv_sec + 1, next.tv_nsec - 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
    } else {
      const auto sent = static_cast<uint64_t>(i) * static_cast<uint64_t>(messages);
      // Gives way instead of spinning: what is measured is CPU time.
      while (sent - (way.arrived - before) > kTurnsOnTheWay * static_cast<uint64_t>(messages)) usleep(50);
    }
    way.turn(messages);
  }
  const uint64_t all = static_cast<uint64_t>(turns) * static_cast<uint64_t>(messages);
  while (way.arrived - before < all) usleep(100);
  return (cpu_us() - begin) / static_cast<double>(all);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const int turns = argc > 2 ? std::atoi(argv[2]) : 20'000;
  log::set_level(log::Level::warn);
  MeshWay ours;
  BareWay bare;
  NoWay nothing;
  std::printf(
      "| Turns | messages a Turn | mesh, us a message | bare, us a message | mesh / bare "
      "|\n|---|---|---|---|---|\n");
  for (const bool paced : {true, false}) {
    for (const int messages : {1, 16}) {
      std::vector<double> mine, theirs, ratios;
      for (int i = 0; i < rounds; ++i) {
        const double pace = paced ? run(nothing, turns, messages, true) : 0;
        const bool first = i % 2 == 0;
        double a = first ? run(ours, turns, messages, paced) : 0;
        const double b = run(bare, turns, messages, paced) - pace;
        if (!first) a = run(ours, turns, messages, paced);
        mine.push_back(a - pace);
        theirs.push_back(b);
        ratios.push_back(mine.back() / b);
      }
      std::printf("| %s | %d | %.2f | %.2f | %.2f |\n", paced ? "paced" : "full", messages, median(mine),
                  median(theirs), median(ratios));
      std::fflush(stdout);
    }
  }
  std::printf("| no sockets | 16 | %.2f | | |\n", encode_and_decode(16));
  return 0;
}
