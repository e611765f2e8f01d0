#include "harness/broker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>

#include "harness/client.h"
#include "harness/etcd.h"
#include "harness/nodes.h"
#include "harness/transports.h"
#include "harness/wire.h"
#include "net/test_ports.h"

namespace courier::scenario {
namespace {

using namespace std::chrono_literals;

std::string environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

std::string listener(std::string_view name, uint16_t port, std::string_view proxy) {
  return "[[listener]]\nname = \"" + std::string(name) + "\"\nbind = \"127.0.0.1:" + std::to_string(port) +
         "\"\nproxy_protocol = \"" + std::string(proxy) + "\"\n";
}

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

bool Broker::is_courier() {
  return environment("COURIER_BROKER_KIND", "courierd") == "courierd";
}

Broker::Broker(BrokerOptions options) : options_(std::move(options)) {
  const auto parent = node_count() == 1 ? std::filesystem::temp_directory_path() : folder_in_memory();
  std::string pattern = (parent / "courier-scenario-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw Broken("no temporary directory");
  directory_ = pattern;
  port_ = net::test_port();
  proxy_required_port_ = net::test_port();
  proxy_optional_port_ = net::test_port();
  extra_port_ = net::test_port();
  admin_port_ = net::test_port();
  mesh_port_ = net::test_port();
  pids_.resize(node_count());
  speaks_transport(port_);
  write_configuration();
  try {
    start();
  } catch (const Broken&) {
    remove_files();
    throw;
  }
}

Broker::~Broker() {
  kill();
  // An exception is on its way through here before GoogleTest counts it as a failure.
  const testing::UnitTest& unit_test = *testing::UnitTest::GetInstance();
  const testing::TestInfo* test = unit_test.current_test_info();
  if (std::uncaught_exceptions() > 0 || (test == nullptr ? unit_test.Failed() : test->result()->Failed())) {
    const std::string text = log();
    std::cerr << "the broker's log ends:\n"
              << text.substr(text.size() > 4000 ? text.size() - 4000 : 0) << '\n';
  }
  remove_files();
}

void Broker::remove_files() const {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Broker::write_configuration() {
  const std::string data = (directory_ / "data").string();
  if (is_courier()) {
    std::string text =
        "data_dir = \"" + data + "\"\nthreads = 2\n" + options_.toml_top + listener("plain", port_, "off") +
        transport_toml() + listener("behind", proxy_required_port_, "required") +
        listener("either", proxy_optional_port_, "optional") + options_.auth_toml + options_.sys_toml;
    if (node_count() > 1) {
      text += "[cluster]\nname = \"" + directory_.filename().string() +
              "\"\nnode = \"n1\"\nlease = \"3s\"\netcd = [\"127.0.0.1:" + std::to_string(etcd_port()) +
              "\"]\nmesh_bind = \"127.0.0.1:" + std::to_string(mesh_port_) + "\"\n";
    }
    text += "[admin]\nbind = \"127.0.0.1:" + std::to_string(admin_port_) + "\"\n" + options_.toml;
    if (!options_.passwords.empty()) std::ofstream(directory_ / "passwd") << options_.passwords;
    for (const auto& [name, contents] : options_.files) write(name, contents);
    replace_all(text, "{port}", std::to_string(extra_port_));
    replace_all(text, "{dir}", directory_.string());
    write("broker.conf", text);
  } else {
    std::filesystem::create_directory(data);
    std::ofstream(directory_ / "broker.conf")
        << "listener " << port_ << " 127.0.0.1\nallow_anonymous true\npersistence true\nautosave_interval 1\n"
        << "persistence_location " << data << "/\nsys_interval 1\nuser root\nmax_topic_alias 10\n";
  }
}

void Broker::write(const std::string& name, const std::string& text) const {
  const auto replace = [&](const std::string& file, const std::string& contents) {
    const std::filesystem::path fresh = directory_ / (file + ".new");
    std::ofstream(fresh, std::ios::trunc) << contents;
    std::filesystem::rename(fresh, directory_ / file);
  };
  replace(name, text);
  for (uint32_t node = 1; node < node_count() && name == "broker.conf"; ++node) {
    const std::string number = std::to_string(node + 1);
    std::string theirs = text;
    replace_all(theirs, "bind = \"127.0.0.1:", "bind = \"" + node_address(node) + ":");
    replace_all(theirs, "node = \"n1\"", "node = \"n" + number + "\"");
    replace_all(theirs, (directory_ / "data").string(), (directory_ / ("data" + number)).string());
    replace("broker" + number + ".conf", theirs);
  }
}

void Broker::launch(uint32_t node) {
  const std::string binary = environment("COURIER_BROKER", COURIERD_PATH);
  const std::string number = node == 0 ? "" : std::to_string(node + 1);
  const std::string configuration = (directory_ / ("broker" + number + ".conf")).string();
  const std::string log_file = (directory_ / "log").string();
  const char* const flag = is_courier() ? "--config" : "-c";
  const pid_t child = ::fork();
  if (child < 0) throw Broken("cannot fork");
  if (child == 0) {
    const int out = ::open(log_file.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execl(binary.c_str(), binary.c_str(), flag, configuration.c_str(), nullptr);
    ::_exit(127);
  }
  pids_[node] = child;
}

void Broker::wait_until_it_serves(uint32_t node) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const auto others = static_cast<double>(node_count() - 1);
  while (true) {
    int status = 0;
    if (::waitpid(pids_[node], &status, WNOHANG) == pids_[node]) {
      pids_[node] = 0;
      throw Broken("the broker ended while starting:\n" + log());
    }
    try {
      Client probe = Client::open_at(node, port_);
      probe.begin(transport_to(port_));
      probe.handshake({.version = v3_1_1, .client_id = "probe"});
      probe.disconnect();
      if (others == 0) return;
      const std::string figures = http_get(node, admin_port_, "/metrics");
      if (figure(figures, "courier_mesh_links{state=\"up\"}") == others) return;
    } catch (const Broken&) {
    }
    if (std::chrono::steady_clock::now() > deadline) throw Broken("the broker does not start:\n" + log());
    std::this_thread::sleep_for(10ms);
  }
}

void Broker::start() {
  for (uint32_t node = 0; node < node_count(); ++node) launch(node);
  try {
    for (uint32_t node = 0; node < node_count(); ++node) wait_until_it_serves(node);
  } catch (const Broken&) {
    kill();
    throw;
  }
  open_doors({port_, proxy_required_port_, proxy_optional_port_, extra_port_}, admin_port_);
}

void Broker::signal(int number) const {
  for (const pid_t pid : pids_) {
    if (pid > 0) ::kill(pid, number);
  }
}

int Broker::wait_for_end() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  int worst = 0;
  for (pid_t& pid : pids_) {
    int status = 0;
    while (pid > 0 && ::waitpid(pid, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > deadline) throw Broken("the broker does not end");
      std::this_thread::sleep_for(2ms);
    }
    pid = 0;
    worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
  return worst;
}

int Broker::terminate() {
  close_doors(admin_port_);
  signal(SIGTERM);
  return wait_for_end();
}

void Broker::kill() {
  close_doors(admin_port_);
  signal(SIGKILL);
  wait_for_end();
}

std::string Broker::log() const {
  std::ifstream file(directory_ / "log");
  return {std::istreambuf_iterator<char>(file), {}};
}

void Broker::expect_in_log(std::string_view text) const {
  expect_in_log(text, 1);
}

void Broker::expect_in_every_log(std::string_view text) const {
  expect_in_log(text, node_count());
}

void Broker::expect_in_log(std::string_view text, size_t times) const {
  const auto found = [&] {
    const std::string all = log();
    size_t count = 0;
    for (size_t at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++count;
    return count >= times;
  };
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!found()) {
    if (std::chrono::steady_clock::now() > deadline) throw Broken("not in the log: " + std::string(text));
    std::this_thread::sleep_for(5ms);
  }
}

double Broker::metric(std::string_view line) const {
  double sum = 0;
  for (uint32_t node = 0; node < node_count(); ++node)
    sum += figure(http_get(node, admin_port_, "/metrics"), line);
  return sum;
}

std::string http_get(uint32_t node, uint16_t port, std::string_view path) {
  Client http = Client::open_at(node, port);
  http.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string answer = http.read_to_end();
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? answer : answer.substr(body + 4);
}

double figure(const std::string& metrics, std::string_view line) {
  const std::string wanted = "\n" + std::string(line) + " ";
  const size_t at = metrics.find(wanted);
  return at == std::string::npos ? 0 : std::stod(metrics.substr(at + wanted.size()));
}

namespace {
std::unique_ptr<Broker> shared;

// Ends the shared broker the orderly way: a sanitizer's report or a failed drain shows in its exit status.
class OrderlyEnd : public testing::Environment {
  void TearDown() override {
    if (shared && Broker::is_courier()) {
      EXPECT_EQ(shared->terminate(), 0) << shared->log();
    }
    shared.reset();
  }
};
const auto* const kOrderlyEnd = testing::AddGlobalTestEnvironment(new OrderlyEnd);
}  // namespace

Broker& shared_broker() {
  static_cast<void>(kOrderlyEnd);
  if (!shared) shared = std::make_unique<Broker>();
  return *shared;
}

std::string unique(std::string_view stem) {
  static int count = 0;
  return std::string(stem) + std::to_string(++count);
}

}  // namespace courier::scenario
