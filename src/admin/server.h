// The HTTP side of a node: /metrics, /livez, /readyz for everybody who reaches the address, the REST API
// under /v1 for whoever has a token. What there is stands in routes.cc and openapi.yaml.
//
// HTTP/1.1 by Boost.Beast on one thread of its own, so that nothing an operator's tool does holds up a
// connection of the broker. Everything is bounded: limits.h, and the times in ServerOptions. Without a token
// configured /v1 refuses everybody, also on loopback: on a shared machine whoever runs a process could
// otherwise disconnect clients.
//
// start(), stop() and prepare_tokens() are for one owner.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "admin/control.h"
#include "base/metrics.h"
#include "base/result.h"

namespace courier::admin {

class Tokens;
struct Surroundings;

struct ServerOptions {
  std::string bind = "127.0.0.1:9464";  // or "[::1]:9464"
  std::vector<std::string> tokens;
  std::string token_file;

  std::chrono::milliseconds request_timeout{10'000};  // from its first byte (the first: from the connection)
  std::chrono::milliseconds idle_timeout{60'000};     // between two requests
  std::chrono::milliseconds write_timeout{
      30'000};  // until the peer has taken an answer, or a piece of a trace
  std::chrono::milliseconds answer_timeout{10'000};  // until the node has answered; backups may take longer
  std::chrono::milliseconds heartbeat{15'000};       // an empty line in a trace that has nothing to say
};

class Server {
 public:
  // `control` and `registry` outlive it. errc::listen, errc::tokens.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Control& control, Registry& registry);
  // Of a program that is no node: without /v1, and so without tokens. errc::listen.
  static Result<std::unique_ptr<Server>> start(std::string bind, const Vitals& vitals, Registry& registry);
  // stop()s.
  ~Server();
  // Closes everything at once.
  void stop();

  // "127.0.0.1:9464", with the port that the kernel chose if it was 0.
  const std::string& address() const { return address_; }
  uint16_t port() const { return port_; }
  // Reads token_file; these tokens are the ones that count once the commit that comes back is called.
  // errc::tokens.
  Result<std::function<void()>> prepare_tokens(const std::vector<std::string>& tokens,
                                               const std::string& token_file);

 private:
  struct Running;
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Tokens tokens,
                                               const Surroundings& around, Registry& registry);
  explicit Server(std::shared_ptr<Running> running);
  std::shared_ptr<Running> running_;
  std::string address_;
  uint16_t port_ = 0;
};

}  // namespace courier::admin
