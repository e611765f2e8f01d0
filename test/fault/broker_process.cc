#include "broker_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "net/fd.h"

namespace courier::fault {

namespace {

Failure failure(const std::string& what) {
  return fail(Error(std::error_code(errno, std::generic_category()), what + ": " + std::strerror(errno)));
}

}  // namespace

Result<void> BrokerProcess::write_settings(const Settings& settings) const {
  const std::string path = options_.folder + "/courierd.toml";
  std::ofstream file(path, std::ios::trunc);
  file << "data_dir = \"" << data_dir() << "\"\n";
  if (const auto top = settings.find(""); top != settings.end()) {
    for (const std::string& line : top->second) file << line << '\n';
  }
  file << fmt::format("[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:{}\"\n", options_.port);
  file << "[auth]\nallow_anonymous = true\n[admin]\nbind = \"\"\n";
  for (const auto& [section, lines] : settings) {
    if (section.empty()) continue;
    file << '[' << section << "]\n";
    for (const std::string& line : lines) file << line << '\n';
  }
  file.close();
  return file ? Result<void>() : Result<void>(failure(path));
}

Result<void> BrokerProcess::start(const Settings& settings) {
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  if (auto written = write_settings(settings); !written) return written;
  const net::Fd log(::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log) return failure(log_file());
  const std::string config = options_.folder + "/courierd.toml";
  const char* arguments[] = {options_.program.c_str(), "--config", config.c_str(), nullptr};
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return failure("fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(log.get(), STDOUT_FILENO);
    ::dup2(log.get(), STDERR_FILENO);
    for (const auto& [name, value] : options_.environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(arguments[0], const_cast<char* const*>(arguments));
    ::_exit(127);
  }
  pid_ = child;
  return {};
}

void BrokerProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

void BrokerProcess::tell_to_stop() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

std::optional<int> BrokerProcess::ended() {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

size_t BrokerProcess::log_size() const {
  std::error_code error;
  const auto size = std::filesystem::file_size(log_file(), error);
  return error ? 0 : size;
}

std::string BrokerProcess::log_since(size_t offset) const {
  std::ifstream file(log_file());
  file.seekg(static_cast<std::streamoff>(offset));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace courier::fault
