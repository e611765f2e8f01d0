// Real etcd servers for tests: one, or a cluster of three, on test ports, their data in a folder that goes
// away. Each can be killed, stopped (SIGSTOP), let go on and started again.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/etcd/open_cluster.h"
#include "net/test_ports.h"

namespace courier::cluster::etcd {

// Until it is so, or `seconds` have passed.
inline bool eventually(const std::function<bool()>& so, double seconds = 15) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!so()) {
    if (std::chrono::steady_clock::now() >= until) return so();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class TestEtcd {
 public:
  // `flags` are added to every server's. `scheme` of what clients talk to.
  explicit TestEtcd(size_t servers = 1, std::vector<std::string> flags = {}, std::string scheme = "http")
      : flags_(std::move(flags)), scheme_(std::move(scheme)), servers_(servers) {
    static std::atomic<int> count{0};
    folder_ =
        ::testing::TempDir() + "courier_etcd_" + std::to_string(getpid()) + "_" + std::to_string(count++);
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    for (size_t i = 0; i < servers; ++i) {
      servers_[i].client = net::test_port();
      servers_[i].peer = net::test_port();
    }
    for (size_t i = 0; i < servers; ++i) start(i);
  }
  ~TestEtcd() {
    for (size_t i = 0; i < servers_.size(); ++i) kill(i);
    std::filesystem::remove_all(folder_);
  }
  TestEtcd(const TestEtcd&) = delete;
  TestEtcd& operator=(const TestEtcd&) = delete;

  // One server for all tests of a program, ready.
  static TestEtcd& shared() {
    static TestEtcd one;
    static const bool ready = one.ready_client() != nullptr;
    EXPECT_TRUE(ready);
    return one;
  }

  size_t size() const { return servers_.size(); }
  const std::string& folder() const { return folder_; }
  uint16_t port(size_t i = 0) const { return servers_[i].client; }
  std::string endpoint(size_t i = 0) const { return "127.0.0.1:" + std::to_string(servers_[i].client); }
  std::vector<std::string> endpoints() const {
    std::vector<std::string> all;
    for (size_t i = 0; i < servers_.size(); ++i) all.push_back(endpoint(i));
    return all;
  }

  void start(size_t i) {
    Server& server = servers_[i];
    std::string cluster;
    for (size_t k = 0; k < servers_.size(); ++k) {
      cluster += (k == 0 ? "" : ",") + name(k) + "=http://127.0.0.1:" + std::to_string(servers_[k].peer);
    }
    const std::string peer = "http://127.0.0.1:" + std::to_string(server.peer);
    const std::string client = scheme_ + "://" + endpoint(i);
    std::vector<std::string> arguments = {"etcd",
                                          "--name",
                                          name(i),
                                          "--data-dir",
                                          folder_ + "/" + name(i),
                                          "--listen-peer-urls",
                                          peer,
                                          "--initial-advertise-peer-urls",
                                          peer,
                                          "--listen-client-urls",
                                          client,
                                          "--advertise-client-urls",
                                          client,
                                          "--initial-cluster",
                                          cluster,
                                          "--initial-cluster-state",
                                          "new",
                                          "--heartbeat-interval",
                                          "50",
                                          "--election-timeout",
                                          "500",
                                          "--logger",
                                          "zap",
                                          "--log-level",
                                          "error"};
    arguments.insert(arguments.end(), flags_.begin(), flags_.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const std::string log = folder_ + "/" + name(i) + ".log";
    const pid_t parent = getpid();
    server.pid = ::fork();
    if (server.pid != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int fd = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::execvp("etcd", pointers.data());
    ::_exit(127);
  }
  void kill(size_t i) {
    if (servers_[i].pid <= 0) return;
    ::kill(servers_[i].pid, SIGKILL);
    ::waitpid(servers_[i].pid, nullptr, 0);
    servers_[i].pid = 0;
  }
  void pause(size_t i) { ::kill(servers_[i].pid, SIGSTOP); }
  void go_on(size_t i) { ::kill(servers_[i].pid, SIGCONT); }
  void kill_all() {
    for (size_t i = 0; i < servers_.size(); ++i) kill(i);
  }
  void start_all() {
    for (size_t i = 0; i < servers_.size(); ++i) start(i);
  }

  static std::unique_ptr<Client> client_of(std::vector<std::string> endpoints, std::string user = {},
                                           std::string password = {}) {
    Result<std::unique_ptr<Client>> client =
        Client::open({std::move(endpoints), std::move(user), std::move(password), {}});
    EXPECT_TRUE(client) << client.error().message;
    return std::move(*client);
  }
  std::unique_ptr<Client> client(std::string user = {}, std::string password = {}) const {
    return client_of(endpoints(), std::move(user), std::move(password));
  }
  // A client of servers that answer.
  std::unique_ptr<Client> ready_client() const {
    std::unique_ptr<Client> one = client();
    const Result<EngineReport> report = check_engine(*one, 20'000);
    EXPECT_TRUE(report) << report.error().message;
    return one;
  }
  // Which server leads now; size() if none does.
  size_t leader() const {
    std::unique_ptr<Client> one = client();
    const auto statuses = one->statuses();
    for (const auto& [address, status] : statuses) {
      if (status.leader() == 0 || status.leader() != status.header().member_id()) continue;
      for (size_t i = 0; i < size(); ++i) {
        if (endpoint(i) == address) return i;
      }
    }
    return size();
  }
  // etcdctl with these arguments; its exit code.
  int control(const std::string& arguments) const {
    const std::string command = "ETCDCTL_API=3 etcdctl --endpoints=" + endpoint() + " " + arguments + " >>" +
                                folder_ + "/etcdctl.log 2>&1";
    return std::system(command.c_str());
  }

 private:
  struct Server {
    uint16_t client = 0, peer = 0;
    pid_t pid = 0;
  };
  static std::string name(size_t i) { return "server" + std::to_string(i); }

  const std::vector<std::string> flags_;
  const std::string scheme_;
  std::string folder_;
  std::vector<Server> servers_;
};

// A cluster's name that no other test of this process has.
inline Keys test_keys() {
  static std::atomic<int> count{0};
  return *Keys::of("test-" + std::to_string(getpid()) + "-" + std::to_string(count++));
}

}  // namespace courier::cluster::etcd
