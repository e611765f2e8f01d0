#include "harness/broker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <thread>

#include "harness/client.h"
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
  std::string pattern = (std::filesystem::temp_directory_path() / "courier-scenario-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw Broken("no temporary directory");
  directory_ = pattern;
  port_ = net::test_port();
  proxy_required_port_ = net::test_port();
  proxy_optional_port_ = net::test_port();
  extra_port_ = net::test_port();
  admin_port_ = net::test_port();
  speaks_transport(port_);
  write_configuration();
  start();
}

Broker::~Broker() {
  if (pid_ > 0) kill();
  if (testing::UnitTest::GetInstance()->Failed()) {
    const std::string text = log();
    std::cerr << "the broker's log ends:\n"
              << text.substr(text.size() > 4000 ? text.size() - 4000 : 0) << '\n';
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Broker::write_configuration() {
  std::ofstream file(directory_ / "broker.conf");
  const std::string data = (directory_ / "data").string();
  if (is_courier()) {
    std::string text =
        "data_dir = \"" + data + "\"\nthreads = 2\n" + options_.toml_top + listener("plain", port_, "off") +
        transport_toml() + listener("behind", proxy_required_port_, "required") +
        listener("either", proxy_optional_port_, "optional") + options_.auth_toml + options_.sys_toml +
        "[admin]\nbind = \"127.0.0.1:" + std::to_string(admin_port_) + "\"\n" + options_.toml;
    if (!options_.passwords.empty()) std::ofstream(directory_ / "passwd") << options_.passwords;
    for (const auto& [name, contents] : options_.files) write(name, contents);
    replace_all(text, "{port}", std::to_string(extra_port_));
    replace_all(text, "{dir}", directory_.string());
    file << text;
  } else {
    std::filesystem::create_directory(data);
    file << "listener " << port_
         << " 127.0.0.1\nallow_anonymous true\npersistence true\nautosave_interval 1\n"
         << "persistence_location " << data << "/\nsys_interval 1\nuser root\nmax_topic_alias 10\n";
  }
}

void Broker::write(const std::string& name, const std::string& text) const {
  const std::filesystem::path fresh = directory_ / (name + ".new");
  std::ofstream(fresh, std::ios::trunc) << text;
  std::filesystem::rename(fresh, directory_ / name);
}

void Broker::start() {
  const std::string binary = environment("COURIER_BROKER", COURIERD_PATH);
  const std::string configuration = (directory_ / "broker.conf").string();
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
  pid_ = child;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = 0;
      throw Broken(binary + " ended while starting:\n" + log());
    }
    try {
      Client probe = Client::open(port_);
      probe.handshake({.version = v3_1_1, .client_id = "probe"});
      probe.disconnect();
      return;
    } catch (const Broken&) {
      if (std::chrono::steady_clock::now() > deadline) throw Broken(binary + " does not start:\n" + log());
      std::this_thread::sleep_for(10ms);
    }
  }
}

int Broker::wait_for_end(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) throw Broken("the broker does not end");
    std::this_thread::sleep_for(2ms);
  }
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int Broker::terminate() {
  ::kill(pid_, SIGTERM);
  return wait_for_end(kPatience);
}

void Broker::kill() {
  ::kill(pid_, SIGKILL);
  wait_for_end(kPatience);
}

std::string Broker::log() const {
  std::ifstream file(directory_ / "log");
  return {std::istreambuf_iterator<char>(file), {}};
}

void Broker::expect_in_log(std::string_view text) const {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (log().find(text) == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline) throw Broken("not in the log: " + std::string(text));
    std::this_thread::sleep_for(5ms);
  }
}

std::string Broker::http_get(std::string_view path) const {
  Client http = Client::open(admin_port_);
  http.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string answer = http.read_to_end();
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? answer : answer.substr(body + 4);
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
