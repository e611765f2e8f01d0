// For tests of the engine: a server whose bytes are written down, and a handler that notes what it hears.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "client/engine.h"
#include "client/properties.h"

namespace courier::client {

inline constexpr MonoNs kSecond = 1'000'000'000;

inline std::string hex(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : bytes) text += fmt::format("{}{:02x}", text.empty() ? "" : " ", byte);
  return text;
}

// "30 05 'a/b' ff": bytes in hex and characters in quotes.
inline std::string bytes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
    } else if (text[i] == '\'') {
      const size_t end = text.find('\'', i + 1);
      out += text.substr(i + 1, end - i - 1);
      i = end + 1;
    } else {
      out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
      i += 2;
    }
  }
  return out;
}

// An engine with everything it said, as text.
class Peer : public EngineHandler {
 public:
  explicit Peer(ConnectOptions options, std::string client_id = "c")
      : engine(std::move(client_id), std::make_shared<const ConnectOptions>(std::move(options)), *this) {}

  void on_connected(const mqtt::Connack&, bool present) override {
    said.push_back(present ? "connected present" : "connected");
  }
  void on_message(const mqtt::Publish& publish) override {
    said.push_back(fmt::format("message {} {} qos{}", publish.topic, publish.payload, int(publish.qos)));
    last_properties = properties_of(publish);
  }
  void on_published(const Completion& c) override { completed("published", c); }
  void on_subscribed(const Completion& c) override { completed("subscribed", c); }
  void on_unsubscribed(const Completion& c) override { completed("unsubscribed", c); }
  void on_authentication(const mqtt::Auth& auth) override {
    said.push_back(fmt::format("auth {}", auth.authentication_data.value_or("")));
  }
  void on_ended(const Ending& e) override {
    ending = e;
    said.push_back(fmt::format("ended {}", e.code.message()));
  }

  // What the engine has written since the last call, in hex.
  std::string wrote() { return hex(std::exchange(engine.output(), {})); }
  size_t hears(std::string_view text) { return engine.receive(bytes(text), now); }
  // Through CONNECT and CONNACK.
  void connect(std::string_view connack) {
    engine.start(now);
    wrote();
    hears(connack);
  }
  void reconnect(std::string_view connack) {
    engine.transport_closed();
    connect(connack);
  }
  std::vector<std::string> hear_said() { return std::exchange(said, {}); }
  RequestId publish(std::string topic, std::string payload, Qos qos) {
    auto id = engine.publish({.topic = std::move(topic), .payload = std::move(payload), .qos = qos}, now);
    EXPECT_TRUE(id) << id.error().message;
    return id.value_or(RequestId{});
  }

  MonoNs now = 1'000 * kSecond;
  std::vector<std::string> said;
  std::optional<Ending> ending;
  MessageProperties last_properties;
  Engine engine;

 private:
  void completed(std::string_view what, const Completion& c) {
    std::string text = fmt::format("{} {}", what, c.request.value);
    if (c.error) text += " " + c.error.message();
    if (c.reason != ReasonCode::success) text += fmt::format(" {}", mqtt::name(c.reason));
    for (ReasonCode reason : c.reasons) text += fmt::format(" {:02x}", int(reason));
    said.push_back(text);
  }
};

constexpr const char* kConnack = "20 03 00 00 00";
constexpr const char* kConnackPresent = "20 03 01 00 00";

inline ConnectOptions resuming() {
  return {.clean_start = false, .session_expiry_seconds = 3600};
}

}  // namespace courier::client
