// For tests: a server that others wrote, started here on a port of its own.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "base/check.h"
#include "client/client.h"
#include "net/test_ports.h"

extern char** environ;

namespace courier::client {

// One mosquitto for the test program, or one more with settings of its own. Persistence off; what a session
// needs is in its memory.
class Mosquitto {
 public:
  static Mosquitto& instance() {
    static Mosquitto server;
    return server;
  }
  bool running() const { return pid_ > 0; }
  uint16_t port() const { return port_; }
  std::shared_ptr<const Endpoint> endpoint() const {
    return Endpoint::of(net::SocketAddress::ipv4({127, 0, 0, 1}, port_));
  }

  // `settings` are lines about its listener, `others` whole listeners that stand when that one does.
  explicit Mosquitto(const std::string& settings = {}, const std::string& others = {}) {
    const char* binary = nullptr;
    for (const char* each : {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"}) {
      if (::access(each, X_OK) == 0) binary = each;
    }
    if (binary == nullptr) return;
    std::string directory = std::filesystem::temp_directory_path() / "courier-client-XXXXXX";
    CHECK(::mkdtemp(directory.data()) != nullptr);
    directory_ = directory;
    // A port may be taken between asking for it and mosquitto's bind: then another one.
    for (int attempt = 0; attempt < 5 && pid_ <= 0; ++attempt) {
      port_ = net::test_port();
      const std::string config = directory + "/mosquitto.conf";
      std::ofstream(config) << fmt::format(
          "{}listener {} 127.0.0.1\n{}allow_anonymous true\nmax_inflight_messages 10\nlog_dest none\n",
          others, port_, settings);
      start(binary, config);
    }
  }
  ~Mosquitto() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      ::waitpid(pid_, nullptr, 0);
    }
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

 private:
  void start(const char* binary, const std::string& config) {
    const char* arguments[] = {binary, "-c", config.c_str(), nullptr};
    if (::posix_spawn(&pid_, binary, nullptr, nullptr, const_cast<char**>(arguments), environ) != 0) {
      pid_ = -1;
      return;
    }
    // It is up when it answers a connection, and it failed when the process has ended.
    for (;;) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        return;
      }
      const net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const auto address = net::SocketAddress::ipv4({127, 0, 0, 1}, port_).native();
      if (::connect(fd.get(), address.get(), address.size) == 0) return;
    }
  }

  std::string directory_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace courier::client
