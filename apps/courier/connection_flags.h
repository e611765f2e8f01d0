// The flags that say where and how to connect, shared by all commands that speak MQTT; mosquitto's, with the
// same meaning.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"
#include "courier/command.h"
#include "courier/property_flags.h"
#include "courier/transport_flags.h"

namespace courier::cli {

class ConnectionFlags {
 public:
  // `command` is "pub" or "sub": in notes, and where their defaults differ.
  explicit ConnectionFlags(std::string command) : command_(std::move(command)) {}
  void add_to(CLI::App& app);

  // As -L with a URL, as -h and -p with "HOST", "HOST:PORT" or "[::1]:PORT". Before setup().
  void aim_at(const std::string& target) { target_ = target; }
  // What the flags come to. Resolves the host's name. An error's code says the exit code: see exit_of().
  Result<client::ClientSetup> setup() const;
  // After setup(): of -D.
  const PropertyFlags& properties() const { return properties_; }
  // The topic of -L, if it had one.
  const std::optional<std::string>& url_topic() const { return url_topic_; }
  // "mqtts://localhost:8883"; after setup().
  std::string url() const;
  // "localhost:1883"; after setup().
  std::string where() const;

  bool quiet() const { return quiet_; }
  bool debug() const { return debug_; }
  void say(std::string_view text) const {
    if (!quiet_) note(command_, text);
  }
  void say_debug(std::string_view text) const {
    if (debug_) note(command_, text);
  }
  // For a connection that failed: why, and what to do about it.
  std::string sentence(const client::Ending& ending) const;

 private:
  Result<void> take_target() const;
  Result<void> take_url() const;
  Result<client::ConnectOptions> connect_options() const;

  std::string command_;
  // Flags as given. A URL fills in what it names, hence mutable.
  mutable std::string host_ = "localhost";
  mutable std::optional<int> port_;
  mutable std::optional<std::string> username_, password_;
  mutable std::optional<std::string> url_topic_;
  mutable PropertyFlags properties_;
  mutable std::optional<Scheme> scheme_;
  mutable std::string websocket_path_ = "/mqtt";
  TransportFlags transport_;
  std::string target_;
  mutable std::string url_;
  std::string unix_path_, version_ = "5", client_id_, client_id_prefix_, bind_;
  std::string session_expiry_;
  int keep_alive_ = 60;
  uint16_t inflight_maximum_ = 20;
  bool keep_session_ = false, no_delay_ = true, quiet_ = false, debug_ = false;
  std::optional<std::string> will_topic_;
  std::string will_payload_;
  int will_qos_ = 0;
  bool will_retain_ = false;
  std::vector<std::string> property_words_;
  int proxy_version_ = 0;
  std::string proxy_source_;
};

// The exit code for a failure, by its error code; for a connection that ended, by whose word that was.
int exit_of(const std::error_code& code);
int exit_of(const client::Ending& ending);

}  // namespace courier::cli
