// restart [--sessions=N] [--messages=N] [--limit-ms=N] [--data=DIR] [--courierd=PATH]
// How long courierd takes from its exec to the first correctly routed PUBLISH, on a data directory full of
// sleeping sessions and waiting messages: after a stop in order, and again after kill -9.
//
// "Correctly routed": one of the sleeping phones, any, connects and finds its session; it gets what waited
// for it, in order; then a publisher's new message (QoS 1), which no other client gets. The time ends when
// the phone has that. Exit code 0: everything was right and no start took longer than the limit.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string_view>

#include <fmt/format.h>

#include "backlog.h"
#include "base/check.h"
#include "broker_process.h"
#include "client/client.h"
#include "net/socket_address.h"
#include "net/test_ports.h"

namespace courier::fault {
namespace {

using bench::Backlog;

struct Options {
  Backlog backlog;
  std::string program, data_dir;
  int64_t limit_ms = 3000;
};

constexpr int64_t kPatienceMs = 300'000;
constexpr client::Backoff kBackoff{.first_ms = 1, .max_ms = 4, .stable_ms = 0};

double now_ms() {
  return static_cast<double>(system_clock().mono_ns()) / 1e6;
}

// One start: what a phone and a publisher see of it.
class Start {
 public:
  Start(const Backlog& backlog, uint64_t phone, uint16_t port) : backlog_(backlog), phone_number_(phone) {
    auto loop = client::ClientLoop::open();
    CHECK(loop);
    loop_ = std::move(*loop);
    const auto server = client::Endpoint::of(*net::SocketAddress::parse(fmt::format("127.0.0.1:{}", port)));
    client::ConnectOptions stored;
    stored.clean_start = false;
    stored.session_expiry_seconds = client::kSessionNeverExpires;
    stored.restore_subscriptions = false;
    phone_ = std::make_unique<client::Client>(
        *loop_,
        client::ClientSetup{.server = server,
                            .connect = std::make_shared<const client::ConnectOptions>(stored),
                            .client_id = Backlog::client_id(phone),
                            .backoff = kBackoff},
        phone_hooks_);
    publisher_ = std::make_unique<client::Client>(
        *loop_, client::ClientSetup{.server = server, .client_id = "backend", .backoff = kBackoff},
        publisher_hooks_);
    phone_hooks_.connected = [this](client::Client&, const mqtt::Connack&, bool present) {
      if (!present) wrong_ = "the phone's session is gone";
    };
    phone_hooks_.message = [this](client::Client&, const mqtt::Publish& message) { got(message); };
    publisher_hooks_.connected = [this](client::Client& client, const mqtt::Connack&, bool) {
      auto published = client.publish(
          {.topic = Backlog::topic(phone_number_), .payload = kNew, .qos = mqtt::Qos::at_least_once});
      if (!published) wrong_ = published.error().message;
    };
    publisher_hooks_.published = [this](client::Client&, const client::Completion& completion) {
      if (!completion.ok()) wrong_ = "the new message was refused";
    };
  }

  // What was wrong; nothing if all is well. `ended` says when the broker is no more.
  std::string run(const std::function<bool()>& ended) {
    if (!phone_->open() || !publisher_->open()) return "cannot open the clients";
    const double until = now_ms() + kPatienceMs;
    while (wrong_.empty() && !done_) {
      if (now_ms() > until) return fmt::format("nothing came; the phone got {} messages", received_);
      if (ended()) return "courierd ended";
      loop_->run_once(1'000'000);
    }
    publisher_->cut();
    phone_->cut();
    return wrong_;
  }

 private:
  static constexpr const char* kNew = "new";

  void got(const mqtt::Publish& message) {
    if (message.topic != Backlog::topic(phone_number_)) {
      wrong_ = fmt::format("the phone got a message of {}", message.topic);
    } else if (received_ < backlog_.messages_of_each()) {
      if (message.payload != backlog_.payload(received_)) {
        wrong_ = fmt::format("message {} is not the one that waited", received_);
      }
    } else if (message.payload == kNew) {
      done_ = true;
    } else {
      wrong_ = "more messages waited than were made";
    }
    ++received_;
  }

  const Backlog& backlog_;
  const uint64_t phone_number_;
  std::unique_ptr<client::ClientLoop> loop_;
  client::Callbacks phone_hooks_, publisher_hooks_;
  std::unique_ptr<client::Client> phone_, publisher_;
  uint64_t received_ = 0;
  bool done_ = false;
  std::string wrong_;
};

uint64_t peak_memory_kb(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

// False when it was too slow or something was wrong.
bool measure(const Options& options, BrokerProcess& broker, uint16_t port, const char* after) {
  // Another phone each time: nobody is warm.
  std::random_device random;
  Start start(options.backlog, random() % options.backlog.sessions, port);
  const double began = now_ms();
  if (auto started = broker.start({{"sys", {"interval = 0"}}}); !started) {
    fmt::print("{}\n", started.error().message);
    return false;
  }
  const std::string wrong = start.run([&] { return broker.ended().has_value(); });
  const double took = now_ms() - began;
  fmt::print("after {}: {:.0f} ms to the first routed PUBLISH, {} MB resident at most{}{}\n", after, took,
             peak_memory_kb(broker.pid()) / 1024, wrong.empty() ? "" : "; WRONG: ", wrong);
  if (!wrong.empty()) fmt::print("{}\n", broker.log_since(0));
  return wrong.empty() && took <= static_cast<double>(options.limit_ms);
}

int run(Options options) {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  if (options.program.empty()) options.program = here / "courierd";
  const bool temporary = options.data_dir.empty();
  const std::filesystem::path folder =
      temporary ? std::filesystem::temp_directory_path() / fmt::format("courier-restart-{}", ::getpid())
                : std::filesystem::path(options.data_dir);
  if (!std::filesystem::exists(folder / "data")) {
    std::filesystem::create_directories(folder);
    const double began = now_ms();
    if (auto made = options.backlog.make(folder / "data", [](uint64_t) {}); !made) {
      fmt::print("{}\n", made.error().message);
      return 1;
    }
    fmt::print("{} sessions, {} messages, made in {:.1f} s\n", options.backlog.sessions,
               options.backlog.messages, (now_ms() - began) / 1e3);
  }
  const uint16_t port = net::test_port();
  bool right = true;
  {
    BrokerProcess broker({options.program, folder, port, {}});
    right = measure(options, broker, port, "a stop in order");
    broker.kill();
    right = measure(options, broker, port, "kill -9") && right;
  }
  if (temporary) std::filesystem::remove_all(folder);
  if (!right) fmt::print("wrong, or longer than {} ms\n", options.limit_ms);
  return right ? 0 : 1;
}

}  // namespace
}  // namespace courier::fault

int main(int argc, char** argv) {
  courier::fault::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--sessions=")) {
      options.backlog.sessions = std::strtoull(argv[i] + 11, nullptr, 10);
    } else if (arg.starts_with("--messages=")) {
      options.backlog.messages = std::strtoull(argv[i] + 11, nullptr, 10);
    } else if (arg.starts_with("--limit-ms=")) {
      options.limit_ms = std::atoll(argv[i] + 11);
    } else if (arg.starts_with("--data=")) {
      options.data_dir = argv[i] + 7;
    } else if (arg.starts_with("--courierd=")) {
      options.program = argv[i] + 11;
    } else {
      std::fputs(
          "usage: restart [--sessions=N] [--messages=N] [--limit-ms=N] [--data=DIR] [--courierd=PATH]\n"
          "--data   keeps and reuses DIR/data; default: a temporary folder\n",
          stderr);
      return 2;
    }
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  return courier::fault::run(std::move(options));
}
