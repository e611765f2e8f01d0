// For tests: a server on a loopback port over a control that says what the test put into it, and a peer that
// speaks HTTP byte by byte, well or badly.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "admin/control.h"
#include "admin/errc.h"
#include "admin/server.h"

namespace courier::admin {

inline constexpr std::string_view kToken = "correct-horse-battery";

// Answers on the caller's thread, at once, unless told otherwise.
class FakeControl final : public Control {
 public:
  Health health() const override {
    const std::lock_guard lock(mutex_);
    return health_;
  }
  void list_clients(ClientQuery query, std::function<void(ClientPage)> done) override {
    ClientPage page;
    {
      const std::lock_guard lock(mutex_);
      last_query_ = query;
      for (const auto& [name, client] : clients_) {
        if (query.mountpoint && name.mountpoint != *query.mountpoint) continue;
        if (!name.client_id.starts_with(query.prefix)) continue;
        if (query.connected && client.summary.connection.has_value() != *query.connected) continue;
        if (query.after && name <= *query.after) continue;
        if (page.clients.size() == query.limit) {
          page.more = true;
          break;
        }
        page.clients.push_back(client.summary);
      }
    }
    done(std::move(page));
  }
  void show_client(ClientName name, std::function<void(Result<ClientDetail>)> done) override {
    std::unique_lock lock(mutex_);
    const auto client = clients_.find(name);
    if (client == clients_.end()) {
      lock.unlock();
      return done(fail(errc::not_found, "there is no client " + name.client_id));
    }
    const ClientDetail detail = client->second;
    lock.unlock();
    done(detail);
  }
  void explain_access(ClientName name, auth::acl::Action action, std::string topic,
                      std::function<void(Result<Why>)> done) override {
    {
      const std::lock_guard lock(mutex_);
      if (!clients_.contains(name))
        return done(fail(errc::not_found, "there is no client " + name.client_id));
    }
    Why why;
    why.explanation.outcome = auth::acl::Explanation::Outcome::no_rule;
    why.explanation.action = action;
    why.explanation.topic = topic;
    why.explanation.client_id = name.client_id;
    why.receivers = {{.name = {"", "somebody"}, .qos = 1, .connected = true}};
    why.receiver_count = 1;
    done(std::move(why));
  }
  void kick_client(ClientName name, std::function<void(Result<void>)> done) override {
    std::unique_lock lock(mutex_);
    const auto client = clients_.find(name);
    Result<void> result;
    if (client == clients_.end()) {
      result = fail(errc::not_found, "there is no client " + name.client_id);
    } else if (!client->second.summary.connection) {
      result = fail(errc::conflict, "the client is not connected");
    } else {
      client->second.summary.connection.reset();
    }
    lock.unlock();
    done(std::move(result));
  }
  void begin_trace(const ClientName& name, std::shared_ptr<TraceSink> sink) override {
    sink->on_started(true);
    const std::lock_guard lock(mutex_);
    traced_ = name;
    sinks_.push_back(std::move(sink));
    changed_.notify_all();
  }
  void end_trace(const ClientName&, const TraceSink& sink) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(sinks_, [&](const auto& each) { return each.get() == &sink; });
    changed_.notify_all();
  }
  BanPage list_bans(admission::BanId after, size_t limit) const override {
    const std::lock_guard lock(mutex_);
    BanPage page;
    for (const auto& ban : bans_) {
      if (ban.id <= after) continue;
      page.more = page.bans.size() == limit;
      if (page.more) break;
      page.bans.push_back(ban);
    }
    return page;
  }
  void add_ban(admission::BanTarget target, std::string reason, std::string made_by, WallMs until,
               std::function<void(Result<admission::Ban>)> done) override {
    auto good = admission::checked(std::move(target));
    if (!good) return done(fail(errc::bad_request, good.error().message));
    std::unique_lock lock(mutex_);
    const admission::Ban ban{
        bans_.size() + 1, *std::move(good), std::move(reason), std::move(made_by), 1000, until};
    bans_.push_back(ban);
    lock.unlock();
    done(ban);
  }
  void remove_ban(admission::BanId id, std::function<void(Result<admission::Ban>)> done) override {
    std::unique_lock lock(mutex_);
    const auto ban = std::ranges::find(bans_, id, &admission::Ban::id);
    if (ban == bans_.end()) {
      lock.unlock();
      return done(fail(errc::not_found, "there is no ban " + std::to_string(id)));
    }
    const admission::Ban gone = *ban;
    bans_.erase(ban);
    lock.unlock();
    done(gone);
  }
  void describe_node(std::function<void(NodeFacts)> done) override {
    {
      const std::lock_guard lock(mutex_);
      if (silent_) {
        late_ = std::move(done);
        changed_.notify_all();
        return;
      }
    }
    done({.version = "1.2.3", .connections = 7});
  }
  void describe_cluster(std::function<void(Result<ClusterFacts>)> done) override {
    if (alone) return done(fail(errc::not_found, "this is a node alone"));
    ClusterFacts facts;
    facts.name = "orders";
    facts.node = "orders-1";
    facts.epoch = 7;
    facts.members = {{"orders-1", 7, "10.0.0.1:7883", "10.0.0.1:9464", false, true, true, 1}};
    facts.partitions = {{"orders-1", "orders-1"}, {"", "orders-1"}};
    done(std::move(facts));
  }
  std::atomic<bool> alone{false};
  std::vector<ListenerFacts> listeners() const override {
    return {{.name = "mobile",
             .bind = "0.0.0.0:8883",
             .protocol = "mqtts",
             .proxy_protocol = "off",
             .connections = 3,
             .connections_max = 10,
             .certificates = {{"/tls/a.pem", "CN=a", {"a.example"}, 1'700'000'000'000}}}};
  }
  std::vector<SinkFacts> sinks() const override {
    SinkFacts file{
        .name = "audit", .kind = "file", .target = "-", .events = {"drop"}, .active = true, .told = 9};
    SinkFacts hook{.name = "backend", .kind = "webhook", .target = "https://b.example/", .trouble = "503"};
    hook.webhook = SinkFacts::Webhook{
        .profile = "vernemq", .dead_letters = 2, .failing_since = 1'700'000'000'000, .resting = true};
    return {file, hook};
  }
  void test_sink(const std::string& name, events::Kind kind,
                 std::function<void(Result<SinkTrial>)> done) override {
    if (name == "audit") return done(fail(errc::conflict, "audit is no webhook"));
    if (name != "backend") return done(fail(errc::not_found, "there is no sink " + name));
    if (kind == events::Kind::drop) return done(fail(errc::unreachable, "nobody is there"));
    done(SinkTrial{204, 12, std::string(events::info(kind).name)});
  }
  Result<uint64_t> replay_sink(const std::string& name) override {
    if (name != "backend") return fail(errc::not_found, "there is no sink " + name);
    return uint64_t{2};
  }
  uint64_t begin_events(events::Kinds kinds, std::function<void(const events::EventPtr&)> each) override {
    const std::lock_guard lock(mutex_);
    watched_kinds_ = kinds;
    watcher_ = std::move(each);
    changed_.notify_all();
    return 1;
  }
  void end_events(uint64_t) override {
    const std::lock_guard lock(mutex_);
    watcher_ = nullptr;
    changed_.notify_all();
  }
  void reload_config(std::function<void(Result<ReloadFacts>)> done) override {
    const std::lock_guard lock(mutex_);
    done(reload_result_);
  }
  void drain(std::optional<DrainOrder> order, std::function<void(DrainFacts)> done) override {
    const std::lock_guard lock(mutex_);
    drain_order_ = std::move(order);
    done(drain_order_ ? DrainFacts{true, 7, drain_order_->servers} : DrainFacts{false, 7, {}});
  }
  void backup(std::string path, std::function<void(Result<BackupFacts>)> done) override {
    std::unique_lock lock(mutex_);
    backup_path_ = std::move(path);
    if (hold_backup_) {
      held_backup_ = std::move(done);
      changed_.notify_all();
      return;
    }
    const auto result = backup_result_;
    lock.unlock();
    done(result);
  }

  // --- the test's side ---
  template <typename Change>
  auto with(Change&& change) {
    const std::lock_guard lock(mutex_);
    return change(*this);
  }
  template <typename Condition>
  ::testing::AssertionResult wait(Condition condition) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::seconds(10), [&] { return condition(*this); }))
      return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "not within ten seconds";
  }
  void add_client(std::string mountpoint, std::string id, bool connected) {
    ClientDetail client;
    client.summary.name = {mountpoint, id};
    client.summary.protocol = "5.0";
    if (connected)
      client.summary.connection =
          ConnectionFacts{.peer = "192.0.2.1:1000", .listener = "mobile", .in_flight = 2};
    const std::lock_guard lock(mutex_);
    clients_[{std::move(mountpoint), std::move(id)}] = std::move(client);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_, as everything here.
  Health health_{true, ""};
  std::map<ClientName, ClientDetail> clients_;
  std::vector<admission::Ban> bans_;
  ClientQuery last_query_;
  ClientName traced_;
  std::vector<std::shared_ptr<TraceSink>> sinks_;
  events::Kinds watched_kinds_;
  std::function<void(const events::EventPtr&)> watcher_;
  bool silent_ = false;
  std::function<void(NodeFacts)> late_;
  Result<ReloadFacts> reload_result_ = ReloadFacts{};
  std::optional<DrainOrder> drain_order_;
  std::string backup_path_;
  bool hold_backup_ = false;
  std::function<void(Result<BackupFacts>)> held_backup_;
  Result<BackupFacts> backup_result_ = BackupFacts{.bytes = 4096, .position = 17};
};

struct Answer {
  int status = 0;  // 0: none came
  std::string head, body;
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

class Peer {
 public:
  explicit Peer(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // False: the server does not listen any more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  Answer get(std::string_view target, std::string_view token = kToken) { return ask("GET", target, token); }
  Answer ask(std::string_view method, std::string_view target, std::string_view token = kToken,
             std::string_view body = {}) {
    std::string request = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n";
    if (!token.empty()) request += "Authorization: Bearer " + std::string(token) + "\r\n";
    if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    EXPECT_TRUE(send(request + "\r\n" + std::string(body)));
    return receive(method == "HEAD");
  }
  // The next answer that has a length.
  Answer receive(bool without_body = false) {
    Answer answer;
    while (input_.find("\r\n\r\n") == std::string::npos) {
      if (!more()) return answer;
    }
    const size_t end = input_.find("\r\n\r\n") + 4;
    answer.head = input_.substr(0, end);
    input_.erase(0, end);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const size_t length = answer.head.find("Content-Length: ");
    if (without_body || length == std::string::npos) return answer;
    const size_t bytes = std::stoul(answer.head.substr(length + 16));
    while (input_.size() < bytes) {
      if (!more()) return {};
    }
    answer.body = input_.substr(0, bytes);
    input_.erase(0, bytes);
    return answer;
  }
  // Reads until this text has come, and takes everything up to its end.
  std::string read_up_to(std::string_view text) {
    size_t found = 0, looked = 0;
    while ((found = input_.find(text, looked)) == std::string::npos) {
      looked = input_.size() - std::min(input_.size(), text.size());
      if (!more()) return {};
    }
    const std::string taken = input_.substr(0, found + text.size());
    input_.erase(0, found + text.size());
    return taken;
  }
  // All that has come and was not taken; waits for something to come.
  std::string read() {
    if (input_.empty()) more();
    return std::exchange(input_, {});
  }
  // Whether the server hangs up, within ten seconds, without another word.
  ::testing::AssertionResult hung_up_on() {
    while (more()) {
    }
    if (!input_.empty()) return ::testing::AssertionFailure() << "it said: " << input_;
    return ended_ ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << "still open";
  }
  int fd() const { return fd_; }

 private:
  bool more() {
    pollfd wanted{fd_, POLLIN, 0};
    if (ended_ || ::poll(&wanted, 1, 10'000) != 1) return false;
    char room[64 * 1024];
    const ssize_t count = ::recv(fd_, room, sizeof room, 0);
    if (count <= 0) {
      ended_ = true;
      return false;
    }
    input_.append(room, static_cast<size_t>(count));
    return true;
  }
  int fd_;
  std::string input_;
  bool ended_ = false;
};

class ServerTest : public ::testing::Test {
 protected:
  // `change` may set other options before the server starts.
  void start(const std::function<void(ServerOptions&)>& change = {}) {
    ServerOptions options;
    options.bind = "127.0.0.1:0";
    options.tokens = {"another-token-of-this-node", std::string(kToken)};
    if (change) change(options);
    auto started = Server::start(options, control, registry);
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
  }
  Answer get(std::string_view target, std::string_view token = kToken) {
    return Peer(server->port()).get(target, token);
  }

  // Waits until it is so, for what the server does without a word to us.
  static ::testing::AssertionResult soon(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until)
        return ::testing::AssertionFailure() << "not within ten seconds";
      std::this_thread::yield();
    }
    return ::testing::AssertionSuccess();
  }
  uint64_t closed_for(const char* reason) const {
    return static_cast<uint64_t>(
        registry.value("courier_admin_connections_closed_total", {{"reason", reason}}).value_or(0));
  }

  Registry registry;
  FakeControl control;
  std::unique_ptr<Server> server;
};

}  // namespace courier::admin
