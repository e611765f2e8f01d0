// In by WebSocket: pages from elsewhere, requests that are none, smuggled ones, and frames that must not be.
// RFC 6455, RFC 9112.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "net/websocket/frame.h"
#include "red_team/attempt.h"

namespace courier::scenario::red_team {
namespace {

using net::websocket::Opcode;

// One request, of which a row changes a part.
struct Request {
  std::string line = "GET /mqtt HTTP/1.1";
  std::string host = "Host: localhost";
  std::string upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
  std::string version = "Sec-WebSocket-Version: 13";
  std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
  std::string subprotocol = "Sec-WebSocket-Protocol: mqtt";
  std::string more = {};
  std::string behind = {};  // the head
  std::string text() const {
    std::string all = line + "\r\n";
    for (const std::string& field : {host, upgrade, version, key, subprotocol, more}) {
      if (!field.empty()) all += field + "\r\n";
    }
    return all + "\r\n" + behind;
  }
};

std::string masked(Opcode opcode, std::string payload, bool fin = true) {
  const net::websocket::Mask mask{0x01020304};
  std::string bytes;
  net::websocket::append_frame_header(opcode, payload.size(), mask, bytes);
  if (!fin) bytes[0] = static_cast<char>(bytes[0] & 0x7F);
  net::websocket::apply_mask(payload, mask);
  return bytes + payload;
}

std::string hello() {
  return connect_packet({.version = v3_1_1, .client_id = unique("red")});
}

class WebSockets : public testing::Test {
 protected:
  void SetUp() override { COURIER_ONLY(); }
  Broker broker{
      {.toml = "[[listener]]\nname = \"door\"\nprotocol = \"ws\"\nbind = \"127.0.0.1:{port}\"\n"
               "websocket_origins = [\"https://app.example.com\"]\nwebsocket_frame_bytes_max = \"1KB\"\n"}};

  // "HTTP 403", "HTTP 101, and MQTT", "HTTP 101, close 1003", "closed".
  std::string answer_to_bytes(const std::string& bytes) {
    Client client = Client::open(broker.extra_port());
    client.send(bytes);
    client.finish_sending();
    const std::string answer = client.read_to_end();
    if (!answer.starts_with("HTTP/1.1 ")) return answer.empty() ? "closed" : "not HTTP: " + answer;
    std::string words = "HTTP " + answer.substr(9, 3);
    const size_t head = answer.find("\r\n\r\n") + 4;
    if (answer.find("HTTP/1.1", head) != std::string::npos) return words + " AND A SECOND ANSWER";
    if (!words.ends_with("101")) return words;
    for (size_t at = head; at + 2 <= answer.size();) {
      const size_t size = static_cast<uint8_t>(answer[at + 1]);  // short ones only come back
      if (answer[at] == '\x82') words += answer[at + 2] == '\x20' ? ", CONNACK" : ", MQTT";
      if (answer[at] == '\x88')
        words += fmt::format(
            ", close {}", static_cast<uint8_t>(answer[at + 2]) << 8 | static_cast<uint8_t>(answer[at + 3]));
      at += 2 + size;
    }
    return words;
  }
  std::function<std::string(Version)> asks(Request request) {
    return [this, text = request.text()](Version) { return answer_to_bytes(text); };
  }
  std::function<std::string(Version)> sends(std::function<std::string()> frames) {
    return [this, frames](Version) { return answer_to_bytes(Request{.behind = frames()}.text()); };
  }
};

}  // namespace

TEST_F(WebSockets, AreNotOpenedByOddRequests) {
  ASSERT_EQ(answer_to_bytes(Request{.behind = masked(Opcode::binary, hello())}.text()), "HTTP 101, CONNACK")
      << "the honest get in";
  std::vector<Attempt> attempts;
  const auto row = [&](const std::string& what, Request request, const std::string& answer,
                       const std::string& why) {
    attempts.push_back({what, asks(std::move(request)), answer, "", {"bad transport", why}});
  };
  const auto origin = [](const std::string& text) { return Request{.more = text}; };
  row("a page from elsewhere", origin("Origin: https://evil.example"), "HTTP 403", "reason=origin_forbidden");
  row("a page from a host whose name goes on", origin("Origin: https://app.example.com.evil.example"),
      "HTTP 403", "reason=origin_forbidden");
  row("a page over plain HTTP", origin("Origin: http://app.example.com"), "HTTP 403",
      "reason=origin_forbidden");
  row("a page from another port", origin("Origin: https://app.example.com:8443"), "HTTP 403",
      "reason=origin_forbidden");
  row("a page from nowhere", origin("Origin: null"), "HTTP 403", "reason=origin_forbidden");
  row("a page from two places", origin("Origin: https://app.example.com\r\nOrigin: https://evil.example"),
      "HTTP 403", "reason=origin_forbidden");
  row("another path", {.line = "GET /admin HTTP/1.1"}, "HTTP 404", "reason=not_found");
  row("a path that climbs", {.line = "GET /x/../mqtt HTTP/1.1"}, "HTTP 404", "reason=not_found");
  row("a path that is encoded", {.line = "GET /%6dqtt HTTP/1.1"}, "HTTP 404", "reason=not_found");
  row("another method", {.line = "POST /mqtt HTTP/1.1"}, "HTTP 405", "reason=bad_method");
  row("a tunnel", {.line = "CONNECT localhost:1883 HTTP/1.1"}, "HTTP 405", "reason=bad_method");
  row("HTTP 1.0", {.line = "GET /mqtt HTTP/1.0"}, "HTTP 426", "reason=not_an_upgrade");
  row("no upgrade", {.upgrade = "Connection: close"}, "HTTP 426", "reason=not_an_upgrade");
  row("an upgrade to HTTP/2", {.upgrade = "Connection: Upgrade\r\nUpgrade: h2c"}, "HTTP 426",
      "reason=not_an_upgrade");
  row("another version of WebSocket", {.version = "Sec-WebSocket-Version: 8"}, "HTTP 426",
      "reason=not_an_upgrade");
  row("no key", {.key = ""}, "HTTP 400", "reason=bad_request");
  row("a key that is none", {.key = "Sec-WebSocket-Key: AAAA"}, "HTTP 400", "reason=bad_request");
  row("no subprotocol", {.subprotocol = ""}, "HTTP 400", "reason=no_subprotocol");
  row("another subprotocol", {.subprotocol = "Sec-WebSocket-Protocol: chat"}, "HTTP 400",
      "reason=no_subprotocol");
  row("no host", {.host = ""}, "HTTP 400", "reason=bad_request");
  row("two hosts", {.host = "Host: localhost\r\nHost: evil.example"}, "HTTP 400", "reason=bad_request");
  row("a head without an end of 100 KB", {.more = "X: " + std::string(100'000, 'x')}, "HTTP 431",
      "reason=head_too_large");
  // --- smuggling: one request to a proxy in front, two to us, or the other way round ---
  const std::string second = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n";
  row("a body with a second request in it",
      {.more = "Content-Length: " + std::to_string(second.size()), .behind = second}, "HTTP 400",
      "reason=bad_request");
  row("a chunked body", {.more = "Transfer-Encoding: chunked", .behind = "0\r\n\r\n" + second}, "HTTP 400",
      "reason=bad_request");
  row("two lengths", {.more = "Content-Length: 0\r\nContent-Length: 5", .behind = "GET /"}, "HTTP 400",
      "reason=bad_request");
  row("a length and chunks",
      {.more = "Content-Length: 5\r\nTransfer-Encoding: chunked", .behind = "0\r\n\r\n"}, "HTTP 400",
      "reason=bad_request");
  row("a header with a space before its colon", {.more = "Content-Length : 5", .behind = "GET /"}, "HTTP 400",
      "reason=bad_request");
  row("a header that goes on in the next line", {.more = "X: a\r\n Content-Length: 5"}, "HTTP 400",
      "reason=bad_request");
  row("a NUL in a header", {.more = std::string("X: a\0b", 6)}, "HTTP 400", "reason=bad_request");
  row("a second request behind the upgrade", {.behind = second}, "HTTP 101, close 1002", "reason=bad_frame");
  attempts.push_back({"MQTT without WebSocket",
                      [&](Version) { return answer_to_bytes(hello()); },
                      "closed",
                      "",
                      {"bad transport", "without WebSocket"}});
  attempts.push_back(
      {"TLS on a port without",
       [&](Version) { return answer_to_bytes(std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10)); },
       "closed",
       "",
       {"bad transport", "TLS on a port for plain WebSocket"}});
  refuse(broker, attempts);
}

TEST_F(WebSockets, CarryNoOddFrames) {
  std::vector<Attempt> attempts;
  const auto row = [&](const std::string& what, std::function<std::string()> frames,
                       const std::string& answer, const std::string& why) {
    attempts.push_back({what, sends(std::move(frames)), answer, "", {"bad transport", why}});
  };
  const auto first_byte = [](uint8_t first) {
    return [first] {
      std::string bytes = masked(Opcode::binary, hello());
      bytes[0] = static_cast<char>(first);
      return bytes;
    };
  };
  row(
      "MQTT in a text frame", [] { return masked(Opcode::text, hello()); }, "HTTP 101, close 1003",
      "reason=text_frame");
  row(
      "MQTT in a frame without a mask",
      [] {
        const std::string packet = hello();
        return u8(0x82) + u8(static_cast<unsigned>(packet.size())) + packet;
      },
      "HTTP 101, close 1002", "reason=bad_frame");
  row("a frame with a reserved bit (compression that was not agreed on)", first_byte(0xC2),
      "HTTP 101, close 1002", "reason=bad_frame");
  row("a frame of an unknown kind", first_byte(0x83), "HTTP 101, close 1002", "reason=bad_frame");
  row("the rest of a message that never began", first_byte(0x80), "HTTP 101, close 1002", "reason=bad_frame");
  row(
      "a message within a message",
      [] { return masked(Opcode::binary, "\x10", false) + masked(Opcode::binary, hello()); },
      "HTTP 101, close 1002", "reason=bad_frame");
  row(
      "a ping in pieces", [] { return masked(Opcode::ping, "x", false); }, "HTTP 101, close 1002",
      "reason=bad_frame");
  row(
      "a ping of 126 bytes", [] { return masked(Opcode::ping, std::string(126, 'x')); },
      "HTTP 101, close 1002", "reason=bad_frame");
  row(
      "a frame larger than any may be", [] { return masked(Opcode::binary, std::string(2'000, 'x')); },
      "HTTP 101, close 1009", "reason=too_big");
  row(
      "a frame of 2^63 bytes", [] { return std::string("\x82\xFF\x80\0\0\0\0\0\0\0\1\2\3\4", 14); },
      "HTTP 101, close 1002", "reason=bad_frame");
  row(
      "a goodbye with half a status", [] { return masked(Opcode::close, "x"); }, "HTTP 101, close 1002",
      "reason=bad_close");
  row(
      "a goodbye with a status that nobody may send", [] { return masked(Opcode::close, "\x03\xED"); },
      "HTTP 101, close 1002", "reason=bad_close");
  refuse(broker, attempts);
}

}  // namespace courier::scenario::red_team
