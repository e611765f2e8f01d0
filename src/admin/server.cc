#include "admin/server.h"

#include <pthread.h>

#include <charconv>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include "admin/errc.h"
#include "admin/http_connection.h"
#include "base/log.h"

namespace courier::admin {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

std::optional<tcp::endpoint> parse_endpoint(std::string_view bind) {
  const size_t colon = bind.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = bind.substr(0, colon);
  const std::string_view port_text = bind.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, bad] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (bad != std::errc() || end != port_text.data() + port_text.size()) return std::nullopt;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = asio::ip::make_address(std::string(host), error);
  if (error) return std::nullopt;
  return tcp::endpoint(address, port);
}

std::string to_text(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

}  // namespace

struct Server::Running {
  Running(ServerOptions options, Tokens tokens, const Surroundings& around, Registry& registry)
      : floor(std::make_shared<HttpFloor>(std::move(options), std::move(tokens), around, registry)),
        acceptor(floor->io),
        pause(floor->io) {}

  Result<void> listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return fail(errc::listen,
                  "cannot listen on " + to_text(endpoint) + " ([admin] bind): " + error.message());
    return {};
  }

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        floor->admit(std::move(socket));
        return accept();
      }
      // No descriptors left, mostly; others close some day.
      static log::Limit limit{{.per_second = 1}};
      log::warn(limit, "an HTTP connection cannot be accepted", {{"error", error.message()}});
      pause.expires_after(kAcceptPause);
      pause.async_wait([this](error_code aborted) {
        if (!aborted) accept();
      });
    });
  }

  void run() {
    pthread_setname_np(pthread_self(), "courier-admin");
    for (;;) {
      try {
        floor->io.run();
        return;
      } catch (const std::exception& thrown) {  // a library's: out of memory, mostly
        log::error("a request of the HTTP side failed", {{"error", thrown.what()}});
      }
    }
  }

  std::shared_ptr<HttpFloor> floor;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  std::thread thread;
};

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Control& control, Registry& registry) {
  auto tokens = Tokens::load(options.tokens, options.token_file);
  if (!tokens) return fail(tokens.error());
  return start(std::move(options), *std::move(tokens), {control, &control, registry}, registry);
}

Result<std::unique_ptr<Server>> Server::start(std::string bind, const Vitals& vitals, Registry& registry) {
  return start({.bind = std::move(bind)}, Tokens(), {vitals, nullptr, registry}, registry);
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Tokens tokens,
                                              const Surroundings& around, Registry& registry) {
  const auto endpoint = parse_endpoint(options.bind);
  if (!endpoint) return fail(errc::listen, "[admin] bind is not ADDRESS:PORT: " + options.bind);
  auto running = std::make_shared<Running>(std::move(options), std::move(tokens), around, registry);
  if (auto listening = running->listen(*endpoint); !listening) return fail(listening.error());
  running->accept();
  running->thread = std::thread([raw = running.get()] { raw->run(); });
  return std::unique_ptr<Server>(new Server(std::move(running)));
}

Server::Server(std::shared_ptr<Running> running) : running_(std::move(running)) {
  error_code ignored;
  const tcp::endpoint endpoint = running_->acceptor.local_endpoint(ignored);
  address_ = to_text(endpoint);
  port_ = endpoint.port();
}

Server::~Server() {
  stop();
}

void Server::stop() {
  if (!running_) return;
  running_->floor->io.stop();
  running_->thread.join();
  running_->floor->close_all();
  running_ = nullptr;
}

Result<std::function<void()>> Server::prepare_tokens(const std::vector<std::string>& tokens,
                                                     const std::string& token_file) {
  auto loaded = Tokens::load(tokens, token_file);
  if (!loaded) return fail(loaded.error());
  return [floor = running_->floor.get(), loaded = *std::move(loaded)] {
    asio::post(floor->io, [floor, loaded] { floor->tokens = loaded; });
  };
}

}  // namespace courier::admin
