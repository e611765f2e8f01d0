#include "net/websocket/upgrade.h"

#include <algorithm>
#include <span>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.h"
#include "net/websocket/errc.h"
#include "net/websocket/http_head.h"
#include "net/websocket/limits.h"

namespace courier::net::websocket {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kSubprotocols[] = {"mqtt", "mqttv3.1"};

std::string base64(std::span<const unsigned char> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  text.resize(static_cast<size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                                  static_cast<int>(bytes.size()))));
  return text;
}

// 16 bytes in base64.
bool is_key(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
                  c == '/';
         });
}

struct Refusal {
  errc code;
  std::string_view status;  // "404 Not Found"
  std::string why;          // for the log, and the body's first half
  std::string_view field = {};
};

Result<void> refuse(const Refusal& refusal, const std::string& port, std::string& reply) {
  const std::string body = refusal.why + ". " + port + "\n";
  reply.append("HTTP/1.1 ").append(refusal.status).append("\r\n");
  if (!refusal.field.empty()) reply.append(refusal.field).append("\r\n");
  reply
      .append(
          "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\nConnection: close\r\n\r\n")
      .append(body);
  return fail(refusal.code, "the WebSocket upgrade was refused: " + refusal.why);
}

constexpr std::string_view kPort = "This port speaks MQTT over WebSocket";

std::string this_port(const ServerOptions& options) {
  return std::string(kPort) + ", at " + options.path + " with the subprotocol mqtt or mqttv3.1";
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax))
    shown += c == '"' ? '\'' : c >= ' ' && c <= '~' ? c : '?';
  return shown + (text.size() > kQuotedBytesMax ? "…\"" : "\"");
}

std::string accept_value(std::string_view key) {
  std::string text(key);
  text.append(kGuid);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) == 1);
  return base64({digest, size});
}

std::string random_key() {
  unsigned char bytes[16];
  CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
  return base64(bytes);
}

// --- server ---

Result<void> answer_upgrade(std::string_view bytes, const ServerOptions& options, std::string& reply) {
  const auto no = [&](errc code, std::string_view status, std::string why, std::string_view field = {}) {
    return refuse({code, status, std::move(why), field}, this_port(options), reply);
  };
  const Result<HttpHead> parsed = parse_request_head(bytes);
  if (!parsed) {
    return no(errc::bad_request, "400 Bad Request", "this is not an HTTP request: " + parsed.error().message);
  }
  const HttpHead& head = *parsed;
  if (head.method != "GET") {
    return no(errc::bad_method, "405 Method Not Allowed",
              "the method is " + quoted(head.method) + ", not GET", "Allow: GET");
  }
  if (const auto path = std::string_view(head.target).substr(0, head.target.find('?'));
      path != options.path) {
    return no(errc::not_found, "404 Not Found", "there is nothing at " + quoted(path));
  }
  if (!head.http_1_1 || !head.lists("Connection", "upgrade") || !head.lists("Upgrade", "websocket")) {
    return no(errc::not_an_upgrade, "426 Upgrade Required", "the request does not ask for WebSocket",
              "Upgrade: websocket");
  }
  if (head.count("Host") != 1 || head.has_body()) {
    return no(errc::bad_request, "400 Bad Request",
              head.has_body() ? "the request has a body" : "the request needs one Host header");
  }
  if (head.count("Sec-WebSocket-Version") != 1 || head.value("Sec-WebSocket-Version") != "13") {
    return no(errc::not_an_upgrade, "426 Upgrade Required", "the version of WebSocket is not 13",
              "Upgrade: websocket\r\nSec-WebSocket-Version: 13");
  }
  const std::string_view key = head.value("Sec-WebSocket-Key");
  if (head.count("Sec-WebSocket-Key") != 1 || !is_key(key)) {
    return no(errc::bad_request, "400 Bad Request", "Sec-WebSocket-Key is not 16 bytes in base64");
  }
  if (!options.origins.empty() && head.count("Origin") > 0) {
    const std::string_view origin = head.value("Origin");
    const bool known = head.count("Origin") == 1 &&
                       std::ranges::any_of(options.origins, [&](const auto& p) { return p.matches(origin); });
    if (!known) {
      return no(errc::origin_forbidden, "403 Forbidden",
                "pages of " + quoted(origin) +
                    " may not connect: their origin is not in the listener's list of origins");
    }
  }
  const std::vector<std::string_view> offered = head.list("Sec-WebSocket-Protocol");
  const auto chosen = std::ranges::find_first_of(offered, kSubprotocols);
  if (chosen == offered.end() && (options.require_subprotocol || !offered.empty())) {
    return no(errc::no_subprotocol, "400 Bad Request",
              offered.empty() ? "Sec-WebSocket-Protocol is missing"
                              : "no subprotocol that is offered carries MQTT: " + quoted(offered.front()));
  }
  reply.append("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
      .append("Sec-WebSocket-Accept: ")
      .append(accept_value(key));
  if (chosen != offered.end()) reply.append("\r\nSec-WebSocket-Protocol: ").append(*chosen);
  reply.append("\r\n\r\n");
  return {};
}

Result<void> refuse_large_head(std::string& reply) {
  return refuse({errc::head_too_large, "431 Request Header Fields Too Large",
                 "the header of the request has more than " + std::to_string(kHeadBytesMax) + " bytes"},
                std::string(kPort), reply);
}

Result<void> refuse_no_http(std::string_view bytes, std::string& reply) {
  constexpr char kTlsHandshake = 0x16, kMqttConnect = 0x10;
  if (bytes.starts_with(kTlsHandshake)) {
    return fail(errc::not_http,
                "the client speaks TLS on a port for plain WebSocket: use ws://, or set the "
                "listener's protocol to \"wss\"");
  }
  if (bytes.starts_with(kMqttConnect)) {
    return fail(errc::not_http,
                "the client speaks MQTT without WebSocket on a port for WebSocket: use ws://, or "
                "a listener with the protocol \"mqtt\"");
  }
  return refuse({errc::not_http, "400 Bad Request", "this is not an HTTP request"}, std::string(kPort),
                reply);
}

// --- client ---

std::string upgrade_request(const ClientOptions& options, std::string_view key) {
  std::string request = "GET " + options.path + " HTTP/1.1\r\nHost: " + options.host +
                        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                        "\r\nSec-WebSocket-Key: " +
                        std::string(key);
  if (!options.subprotocol.empty()) request += "\r\nSec-WebSocket-Protocol: " + options.subprotocol;
  for (const auto& [name, value] : options.headers) {
    // A line of ours must stay one.
    if ((name + value).find_first_of("\r\n") != std::string::npos) continue;
    request += "\r\n" + name + ": " + value;
  }
  return request + "\r\n\r\n";
}

Result<void> check_answer(std::string_view bytes, std::string_view behind, const ClientOptions& options,
                          std::string_view key) {
  const Result<HttpHead> parsed = parse_answer_head(bytes);
  if (!parsed) {
    return fail(errc::bad_answer, "the server's answer is not HTTP: " + parsed.error().message +
                                      "; is there a WebSocket listener at this address?");
  }
  const HttpHead& head = *parsed;
  if (head.status != 101) {
    const std::string_view line = behind.substr(0, behind.find('\n'));
    return fail(errc::upgrade_refused, "the server refused WebSocket at " + options.path + ": " +
                                           std::to_string(head.status) + " " + quoted(head.reason) +
                                           (line.empty() ? "" : ": " + quoted(line)));
  }
  const auto bad = [](const std::string& what) {
    return fail(errc::bad_answer, "the server's WebSocket handshake is wrong: " + what);
  };
  if (!head.lists("Upgrade", "websocket") || !head.lists("Connection", "upgrade"))
    return bad("it does not upgrade");
  if (head.count("Sec-WebSocket-Accept") != 1 || head.value("Sec-WebSocket-Accept") != accept_value(key)) {
    return bad("Sec-WebSocket-Accept does not belong to our key");
  }
  if (head.count("Sec-WebSocket-Extensions") > 0) return bad("it uses an extension that was not offered");
  const std::string_view chosen = head.value("Sec-WebSocket-Protocol");
  if (!chosen.empty() && chosen != options.subprotocol) {
    return bad("it chose the subprotocol " + quoted(chosen) + ", which was not offered");
  }
  return {};
}

}  // namespace courier::net::websocket
