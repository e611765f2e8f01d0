// For tests: the program `courier` as a child, with its three streams in our hands.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "net/fd.h"

extern char** environ;

namespace courier::cli {

class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    int in[2], out[2], err[2];
    CHECK(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0 && ::pipe2(err, O_CLOEXEC) == 0);
    arguments.insert(arguments.begin(), COURIER_BINARY);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    ::posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    CHECK(::posix_spawn(&pid_, COURIER_BINARY, &actions, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    for (int fd : {in[0], out[1], err[1]}) ::close(fd);
    in_ = net::Fd(in[1]);
    out_ = net::Fd(out[0]);
    err_ = net::Fd(err[0]);
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void write(std::string_view text) {
    CHECK(::write(in_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void end_input() { in_.reset(); }
  void signal(int number) { ::kill(pid_, number); }
  // Until its notes contain `text`; false when it ended before.
  bool wait_for_note(std::string_view text) {
    while (err.find(text) == std::string::npos) {
      if (!pump()) return false;
    }
    return true;
  }
  bool wait_for_output(std::string_view text) {
    while (out.find(text) == std::string::npos) {
      if (!pump()) return false;
    }
    return true;
  }
  // The exit code.
  int wait() {
    in_.reset();
    while (pump()) {
    }
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string out, err;

 private:
  bool pump() {
    pollfd fds[] = {{out_ ? out_.get() : -1, POLLIN, 0}, {err_ ? err_.get() : -1, POLLIN, 0}};
    if (!out_ && !err_) return false;
    if (::poll(fds, 2, 30'000) <= 0) {
      ADD_FAILURE() << "nothing happened for 30 s; notes so far: " << err;
      return false;
    }
    take(fds[0], out_, out);
    take(fds[1], err_, err);
    return true;
  }
  static void take(const pollfd& poll, net::Fd& fd, std::string& into) {
    if (poll.fd < 0 || poll.revents == 0) return;
    char room[65'536];
    const ssize_t count = ::read(fd.get(), room, sizeof room);
    if (count <= 0)
      fd.reset();
    else
      into.append(room, static_cast<size_t>(count));
  }

  pid_t pid_ = -1;
  net::Fd in_, out_, err_;
};

struct Outcome {
  int code;
  std::string out, err;
};

inline Outcome courier(std::vector<std::string> arguments, std::string_view input = "") {
  Process process(std::move(arguments));
  if (!input.empty()) process.write(input);
  const int code = process.wait();
  return {code, process.out, process.err};
}

}  // namespace courier::cli
