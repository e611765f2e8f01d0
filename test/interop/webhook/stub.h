// stub.py as a process of its own, for tests: a webhook service on a port of its choice, until this object
// ends. STUB_PYTHON and STUB_SCRIPT say where they are.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/check.h"
#include "http/client.h"
#include "jose/json_object.h"

extern char** environ;

namespace courier::interop {

class Stub {
 public:
  Stub() {
    int in[2], out[2];
    CHECK(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::string python = STUB_PYTHON, script = STUB_SCRIPT;
    char* arguments[] = {python.data(), script.data(), nullptr};
    CHECK(::posix_spawn(&process_, python.c_str(), &actions, nullptr, arguments, environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    std::FILE* output = ::fdopen(out[0], "r");
    CHECK(std::fscanf(output, "PORT %d", &port_) == 1);
    std::fclose(output);
  }
  ~Stub() {
    ::close(input_);
    ::waitpid(process_, nullptr, 0);
  }
  Stub(const Stub&) = delete;
  Stub& operator=(const Stub&) = delete;

  std::string url(std::string_view path) const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }
  jose::Json get(std::string_view path) const {
    const auto response = http::Client::open().value()->fetch({.url = url(path)});
    CHECK(response.has_value());
    return jose::parse_object(response->body).value();
  }
  // How often this hook was asked.
  int requests(std::string_view hook) const { return get("/seen")["requests"].value(std::string(hook), 0); }

 private:
  pid_t process_ = 0;
  int input_ = -1, port_ = 0;
};

}  // namespace courier::interop
