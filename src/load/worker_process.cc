#include "load/worker_process.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "load/errc.h"

extern char** environ;

namespace courier::load {

Result<WorkerProcess> WorkerProcess::start(const std::string& program, net::Fd socket) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, socket.get(), STDIN_FILENO);
  // Ctrl-C at the terminal is for the leader: it ends the run in order.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::array<std::string, 3> words = {program, "load", "worker"};
  std::array<char*, 4> arguments = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return fail(errc::unreachable,
                fmt::format("a worker process cannot be started: {}: {}", program, std::strerror(error)));
  }
  return WorkerProcess(pid);
}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

WorkerProcess::~WorkerProcess() {
  if (ended()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool WorkerProcess::ended() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ <= 0;
}

void WorkerProcess::wait(int64_t milliseconds) {
  if (ended()) return;
  const net::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!process) return;
  pollfd waited{.fd = process.get(), .events = POLLIN, .revents = 0};
  ::poll(&waited, 1, static_cast<int>(milliseconds));
  ended();
}

}  // namespace courier::load
