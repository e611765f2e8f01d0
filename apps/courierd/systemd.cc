#include "systemd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace courier::courierd {

namespace {

std::string take(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value ? value : "";
  ::unsetenv(name);
  return text;
}

template <typename Number>
std::optional<Number> number(const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Systemd Systemd::from_environment() {
  Systemd manager;
  const std::string path = take("NOTIFY_SOCKET");
  const std::string interval = take("WATCHDOG_USEC");
  const std::string process = take("WATCHDOG_PID");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
    return manager;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';  // in the abstract namespace
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  net::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return manager;
  manager.socket_ = std::move(fd);
  const auto wanted = number<int64_t>(interval);
  if (wanted && *wanted > 0 && (process.empty() || number<pid_t>(process) == ::getpid())) {
    manager.watchdog_ = std::chrono::microseconds(*wanted);
  }
  return manager;
}

void Systemd::extend_start(std::chrono::seconds more) {
  send("EXTEND_TIMEOUT_USEC=" + std::to_string(std::chrono::microseconds(more).count()));
}

void Systemd::send(const std::string& message) {
  if (!socket_) return;
  // A manager that does not listen is no reason to stop serving.
  [[maybe_unused]] const ssize_t sent =
      ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace courier::courierd
