#include "courier/demo/broker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>

#include "net/fd.h"

namespace courier::cli::demo {
namespace {

constexpr int kStopPatienceMs = 8'000;
constexpr size_t kLastWords = 8;

Failure system_failure(std::string message) {
  const int error = errno;
  return fail(Error(std::error_code(error, std::generic_category()),
                    fmt::format("{}: {}", message, std::strerror(error))));
}

bool can_bind(uint16_t port) {
  const net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// A free port below those that the kernel hands out for outgoing connections: phones that try to come back
// while courierd is down could otherwise be given its very port.
uint16_t free_port(uint16_t other_than) {
  int lowest_handed_out = 32'768;
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  if (!(range >> lowest_handed_out) || lowest_handed_out < 12'000) lowest_handed_out = 32'768;
  std::random_device random;
  std::uniform_int_distribution<int> any(10'000, lowest_handed_out - 1);
  for (int tries = 0; tries < 1'000; ++tries) {
    const auto port = static_cast<uint16_t>(any(random));
    if (port != other_than && can_bind(port)) return port;
  }
  return 0;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become_courierd(const char* program, const char* configuration, int log, pid_t parent) {
  ::setpgid(0, 0);  // Ctrl-C is for the demo, which then stops courierd
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execl(program, "courierd", "--config", configuration, static_cast<char*>(nullptr));
  const char* words = std::strerror(errno);
  (void)!::write(STDERR_FILENO, words, std::strlen(words));
  ::_exit(127);
}

}  // namespace

Result<BrokerProcess> BrokerProcess::prepare(const std::string& program) {
  if (::access(program.c_str(), X_OK) != 0) {
    return fail(Error(
        std::make_error_code(std::errc::no_such_file_or_directory),
        fmt::format("no courierd at {} ({}); --courierd says where it is", program, std::strerror(errno))));
  }
  BrokerProcess made;
  made.program_ = program;
  std::error_code ignored;
  std::filesystem::path place = std::filesystem::temp_directory_path(ignored);
  if (ignored) place = "/tmp";
  std::string name = (place / "courier-demo-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return system_failure("cannot make a temporary directory " + name);
  made.directory_ = name;
  const uint16_t phones = free_port(0), backend = free_port(phones);
  if (phones == 0 || backend == 0) {
    return fail(Error(std::make_error_code(std::errc::address_in_use), "found no free port on 127.0.0.1"));
  }
  const auto loopback = [](uint16_t port) { return net::SocketAddress::ipv4({127, 0, 0, 1}, port); };
  made.nodes_ = {{"courierd", loopback(phones), loopback(backend), true}};
  if (auto written = made.write_configuration(); !written) return fail(written.error());
  return made;
}

BrokerProcess::BrokerProcess(BrokerProcess&& other) noexcept
    : program_(std::move(other.program_)),
      directory_(std::exchange(other.directory_, {})),
      nodes_(std::move(other.nodes_)),
      pid_(std::exchange(other.pid_, -1)),
      status_(other.status_),
      keep_(other.keep_) {}

BrokerProcess::~BrokerProcess() {
  kill_and_wait();
  if (directory_.empty() || keep_) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Result<void> BrokerProcess::write_configuration() const {
  const std::string file = directory_ + "/courierd.toml";
  std::ofstream out(file);
  out << fmt::format(
      "# Written by `courier demo`.\n"
      "data_dir = \"{0}/data\"\n\n"
      "[[listener]]\nname = \"phones\"\nbind = \"{1}\"\n"
      "proxy_protocol = \"required\"\nproxy_trusted = [\"127.0.0.1/32\"]\n\n"
      "[[listener]]\nname = \"backend\"\nbind = \"{2}\"\n\n"
      "[auth]\nallow_anonymous = true\n\n"
      "[admin]\nbind = \"\"  # no HTTP here\n\n"
      "[limits]\nsubscriptions_per_client_max = 1000000\n",
      directory_, nodes_[0].phones.to_string(), nodes_[0].backend.to_string());
  out.close();
  if (!out) return system_failure("cannot write " + file);
  return {};
}

Result<void> BrokerProcess::start() {
  const net::Fd log(::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) return system_failure("cannot write " + log_file());
  const std::string configuration = directory_ + "/courierd.toml";
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return system_failure("cannot start a process");
  if (child == 0) become_courierd(program_.c_str(), configuration.c_str(), log.get(), parent);
  pid_ = child;
  return {};
}

Result<std::string> BrokerProcess::kill() {
  const pid_t victim = pid_;
  kill_and_wait();
  if (auto started = start(); !started) return fail(started.error());
  return fmt::format("kill -9 {}, started again as {}", victim, pid_);
}

void BrokerProcess::kill_and_wait() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
  pid_ = -1;
}

bool BrokerProcess::stop() {
  if (pid_ <= 0) return false;
  ::kill(pid_, SIGTERM);
  for (int waited = 0; waited < kStopPatienceMs; waited += 10) {
    if (ended()) return WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
    ::poll(nullptr, 0, 10);
  }
  kill_and_wait();
  return false;
}

bool BrokerProcess::ended() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ <= 0;
}

std::optional<std::string> BrokerProcess::end() {
  if (!ended()) return {};
  const std::string how = WIFSIGNALED(status_) ? fmt::format("was ended by signal {}", WTERMSIG(status_))
                                               : fmt::format("ended with exit code {}", WEXITSTATUS(status_));
  return fmt::format("courierd {}; it was not meant to", how);
}

std::string BrokerProcess::last_words() const {
  std::ifstream log(log_file());
  std::deque<std::string> lines;
  for (std::string line; std::getline(log, line);) {
    lines.push_back("  " + line + "\n");
    if (lines.size() > kLastWords) lines.pop_front();
  }
  std::string words;
  for (const std::string& line : lines) words += line;
  return words;
}

}  // namespace courier::cli::demo
