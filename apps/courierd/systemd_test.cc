#include "systemd.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "command_line.h"

namespace courier::courierd {
namespace {

// Stands in for systemd: the socket that NOTIFY_SOCKET names.
class Manager {
 public:
  Manager() : path_("/tmp/courierd-systemd-test-" + std::to_string(::getpid())) {
    fd_ = net::Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  ~Manager() { ::unlink(path_.c_str()); }
  std::string heard() {
    char room[1000];
    const ssize_t size = ::recv(fd_.get(), room, sizeof room, MSG_DONTWAIT);
    return size < 0 ? std::string("nothing") : std::string(room, static_cast<size_t>(size));
  }

 private:
  std::string path_;
  net::Fd fd_;
};

TEST(Systemd, HearsEachStateInItsWords) {
  Manager manager;
  Systemd systemd = Systemd::from_environment();
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  systemd.ready("listening");
  EXPECT_EQ(manager.heard(), "READY=1\nSTATUS=listening");
  systemd.extend_start(std::chrono::seconds(3));
  EXPECT_EQ(manager.heard(), "EXTEND_TIMEOUT_USEC=3000000");
  systemd.alive();
  EXPECT_EQ(manager.heard(), "WATCHDOG=1");
  systemd.stopping();
  EXPECT_EQ(manager.heard(), "STOPPING=1\nSTATUS=draining");
}

TEST(Systemd, TheWatchdogIsOursOnlyWhenItNamesUs) {
  const auto watchdog = [](const char* interval, const std::string& process) {
    Manager manager;
    ::setenv("WATCHDOG_USEC", interval, 1);
    ::setenv("WATCHDOG_PID", process.c_str(), 1);
    return Systemd::from_environment().watchdog();
  };
  EXPECT_EQ(watchdog("30000000", std::to_string(::getpid())), std::chrono::seconds(30));
  EXPECT_EQ(watchdog("30000000", "1"), std::nullopt);
  EXPECT_EQ(watchdog("0", std::to_string(::getpid())), std::nullopt);
  EXPECT_EQ(watchdog("soon", std::to_string(::getpid())), std::nullopt);
}

TEST(Systemd, WithoutOneNothingIsSent) {
  Systemd systemd = Systemd::from_environment();
  systemd.ready("nobody listens");
  EXPECT_EQ(systemd.watchdog(), std::nullopt);
}

TEST(CommandLine, OverridesAreKeptInTheirOrder) {
  const char* arguments[] = {"courierd",  "--config", "a.toml",        "--set",
                             "threads=1", "--set",    "data_dir=/x y", "--check-config"};
  const Parsed parsed = parse_command_line(static_cast<int>(std::size(arguments)), arguments);
  EXPECT_FALSE(parsed.exit_code);
  EXPECT_EQ(parsed.command_line.config_file, "a.toml");
  EXPECT_EQ(parsed.command_line.overrides, (std::vector<std::string>{"threads=1", "data_dir=/x y"}));
  EXPECT_TRUE(parsed.command_line.check_config);
}

}  // namespace
}  // namespace courier::courierd
