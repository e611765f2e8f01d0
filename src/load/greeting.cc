#include "load/greeting.h"

#include <poll.h>

#include <array>
#include <variant>

#include <fmt/format.h>

#include "base/shown_text.h"
#include "load/limits.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "net/socket.h"

namespace courier::load {

namespace {

bool is_ready(int fd, short events, int64_t within_ms) {
  pollfd waited{.fd = fd, .events = events, .revents = 0};
  return within_ms > 0 && ::poll(&waited, 1, static_cast<int>(within_ms)) > 0;
}

// What the first bytes of an answer are; nothing while that cannot be said.
std::optional<std::string> describe_answer(std::string_view bytes, mqtt::Version version) {
  const auto answer = [&](const std::string& why) {
    return fmt::format("it answers CONNECT with \"{}\", which is not MQTT: {}", shown(bytes, kShownAnswerMax),
                       why);
  };
  const auto first = mqtt::decode_one(bytes, version, mqtt::Side::client, false, {});
  if (const auto* violation = std::get_if<mqtt::Violation>(&first)) {
    return answer(mqtt::describe(*violation));
  }
  if (const auto* decoded = std::get_if<mqtt::Decoded>(&first)) {
    const bool opening = std::holds_alternative<mqtt::Connack>(decoded->packet) ||
                         std::holds_alternative<mqtt::Auth>(decoded->packet);
    return opening ? std::string() : answer("another packet before CONNACK");
  }
  if (bytes.size() >= kGreetingBytesMax) return answer("a packet before CONNACK, and a long one");
  return std::nullopt;
}

}  // namespace

std::string describe_greeting(const client::Endpoint& endpoint, mqtt::Version version,
                              std::string_view preamble) {
  const net::SocketAddress& address = endpoint.addresses.front();
  auto socket = net::connect_start(address);
  if (!socket) return socket.error().message;
  if (!is_ready(socket->get(), POLLOUT, kKnockMs)) {
    return fmt::format("{} does not answer", address.to_string());
  }
  if (auto up = net::connect_outcome(socket->get(), address); !up) return up.error().message;
  std::string hello(preamble);
  mqtt::Connect connect;
  connect.version = version;
  connect.clean_start = true;
  connect.client_id = "courier-load";
  mqtt::encode(hello, connect, version);
  const std::string closes = "it closes the connection when a client sends CONNECT";
  if (::send(socket->get(), hello.data(), hello.size(), MSG_NOSIGNAL) < 0) return closes;
  std::string answer;
  const MonoNs until = system_clock().mono_ns() + kGreetingMs * kNsPerMs;
  for (;;) {
    if (!is_ready(socket->get(), POLLIN, (until - system_clock().mono_ns()) / kNsPerMs)) break;
    std::array<char, kGreetingBytesMax> bytes;
    const ssize_t read = ::recv(socket->get(), bytes.data(), bytes.size(), 0);
    if (read <= 0) {
      if (answer.empty()) return closes;
      break;
    }
    answer.append(bytes.data(), static_cast<size_t>(read));
    if (auto what = describe_answer(answer, version)) return *what;
  }
  if (answer.empty()) return "it takes connections, and answers nothing to CONNECT";
  return fmt::format("it answers CONNECT with \"{}\", and nothing more", shown(answer, kShownAnswerMax));
}

}  // namespace courier::load
