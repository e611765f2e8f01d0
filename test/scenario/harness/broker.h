// A broker that a test owns: started on free ports with a temporary data directory, stopped, killed and
// started again on the same data. `courierd` from this build: one, or the nodes of a cluster (nodes.h), which
// share the directory, the log file and all settings but their names and addresses, and are started and
// stopped together. Or, to validate the tests themselves, mosquitto:
//   COURIER_BROKER=/usr/sbin/mosquitto COURIER_BROKER_KIND=mosquitto ctest -L scenario
//
// Owned by one thread. One broker is shared by all tests of a program: see shared_broker().
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace courier::scenario {

// How long anything that must happen may take before a test calls it broken. Long, because it costs nothing
// when all is well and sanitizer builds on a busy machine are slow.
constexpr std::chrono::milliseconds kPatience{20'000};

struct BrokerOptions {
  // Stands before the tables of the generated configuration: top-level keys.
  std::string toml_top = {};
  // Stands after them: tables and arrays of tables. {port} becomes extra_port(), {dir} directory().
  std::string toml = {};
  std::string auth_toml = "[auth]\nallow_anonymous = true\n";
  // Written to {dir}/passwd unless empty.
  std::string passwords = {};
  // Written to {dir}/NAME.
  std::map<std::string, std::string> files = {};
  std::string sys_toml = "[sys]\ninterval = \"1s\"\n";
};

class Broker {
 public:
  // Starts it and waits until it accepts a connection.
  explicit Broker(BrokerOptions options = {});
  Broker(const Broker&) = delete;
  ~Broker();

  uint16_t port() const { return port_; }
  // courierd only: listeners with proxy_protocol = "required" and "optional".
  uint16_t proxy_required_port() const { return proxy_required_port_; }
  uint16_t proxy_optional_port() const { return proxy_optional_port_; }
  uint16_t extra_port() const { return extra_port_; }
  uint16_t admin_port() const { return admin_port_; }
  const std::filesystem::path& directory() const { return directory_; }
  pid_t pid(uint32_t node = 0) const { return pids_.at(node); }

  // To every node.
  void signal(int number) const;
  // SIGTERM and wait; the exit status, of nodes the largest. Throws Broken when it does not end.
  int terminate();
  void kill();   // SIGKILL and wait
  void start();  // again, on the same data and ports
  void restart_after_kill() {
    kill();
    start();
  }

  // Writes {dir}/NAME anew, in one step. broker.conf is the first node's, and the others' follow it.
  void write(const std::string& name, const std::string& text) const;

  std::string log() const;
  // Waits until the log holds this text.
  void expect_in_log(std::string_view text) const;
  // The same, from every node.
  void expect_in_every_log(std::string_view text) const;
  // One of the figures in /metrics, by its line without the value: the sum over all nodes.
  double metric(std::string_view line) const;

  static bool is_courier();

 private:
  void launch(uint32_t node);
  void wait_until_it_serves(uint32_t node);
  int wait_for_end();
  void write_configuration();
  void remove_files() const;
  void expect_in_log(std::string_view text, size_t times) const;

  BrokerOptions options_;
  std::filesystem::path directory_;
  uint16_t port_ = 0, proxy_required_port_ = 0, proxy_optional_port_ = 0, extra_port_ = 0, admin_port_ = 0,
           mesh_port_ = 0;
  std::vector<pid_t> pids_;  // by node; 0: does not run
};

// The body of GET `path`.
std::string http_get(uint32_t node, uint16_t port, std::string_view path);
// Of what /metrics has, one line's value; 0 when it is not there.
double figure(const std::string& metrics, std::string_view line);

// The broker that the tests of this program share. Tests keep out of each other's way by unique().
Broker& shared_broker();
// A name that no other test of this run uses: "phone" -> "phone7".
std::string unique(std::string_view stem);

}  // namespace courier::scenario

// For what mosquitto does not do, or does otherwise.
#define COURIER_ONLY() \
  if (!::courier::scenario::Broker::is_courier()) GTEST_SKIP() << "about Courier, not about any broker"
