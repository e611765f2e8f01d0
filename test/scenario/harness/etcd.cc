#include "harness/etcd.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "harness/wire.h"
#include "net/test_ports.h"

namespace courier::scenario {
namespace {

struct Etcd {
  std::filesystem::path directory;
  uint16_t port = net::test_port();
  pid_t pid = 0;

  Etcd() {
    std::string pattern = (folder_in_memory() / "courier-scenario-etcd-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw Broken("no temporary directory");
    directory = pattern;
    const std::string data = directory / "data", log = directory / "log";
    const std::string client = "http://127.0.0.1:" + std::to_string(port);
    const std::string peer = "http://127.0.0.1:" + std::to_string(net::test_port());
    const std::string members = "default=" + peer;
    const pid_t parent = ::getpid();
    pid = ::fork();
    if (pid != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int out = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execlp("etcd", "etcd", "--data-dir", data.c_str(), "--listen-client-urls", client.c_str(),
             "--advertise-client-urls", client.c_str(), "--listen-peer-urls", peer.c_str(),
             "--initial-advertise-peer-urls", peer.c_str(), "--initial-cluster", members.c_str(), "--logger",
             "zap", "--log-level", "error", nullptr);
    ::_exit(127);
  }
  ~Etcd() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
};

}  // namespace

std::filesystem::path folder_in_memory() {
  std::error_code error;
  const std::filesystem::path memory = "/dev/shm";
  const auto room = std::filesystem::space(memory, error);
  return !error && room.available > (uint64_t{1} << 30) ? memory : std::filesystem::temp_directory_path();
}

uint16_t etcd_port() {
  static const Etcd etcd;
  return etcd.port;
}

}  // namespace courier::scenario
