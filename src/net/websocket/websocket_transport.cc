#include "net/websocket/websocket_transport.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/rand.h>

#include "base/check.h"
#include "base/utf8.h"
#include "net/kept_bytes.h"
#include "net/websocket/errc.h"
#include "net/websocket/upgrade.h"

namespace courier::net::websocket {

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";

// Masks must be unpredictable (RFC 6455, section 10.3), and asking for each costs more than the frame.
Mask random_mask() {
  constexpr size_t kMasks = 64;
  thread_local Mask masks[kMasks];
  thread_local size_t left = 0;
  if (left == 0) {
    CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(masks), sizeof(masks)) == 1);
    left = kMasks;
  }
  return masks[--left];
}

uint16_t status_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::normal:
      return 1000;
    case CloseReason::going_away:
      return 1001;
    case CloseReason::protocol:
      return 1002;
    case CloseReason::policy:
      return 1008;
    case CloseReason::too_big:
      return 1009;
    case CloseReason::failure:
      return 1011;
  }
  return 1011;
}

}  // namespace

struct WebSocketTransport::Opening {
  std::shared_ptr<const ServerOptions> server;  // shared: outlives a reload
  std::shared_ptr<const ClientOptions> client;
  std::string key;   // the client's
  std::string head;  // as far as it has come
};

WebSocketTransport::WebSocketTransport(std::unique_ptr<Opening> opening, FrameLimits limits)
    : opening_(std::move(opening)), limits_(limits), is_client_(opening_->client != nullptr) {}

WebSocketTransport::~WebSocketTransport() = default;

std::unique_ptr<WebSocketTransport> WebSocketTransport::server(std::shared_ptr<const ServerOptions> options) {
  const FrameLimits limits = options->frames;
  auto opening = std::make_unique<Opening>();
  opening->server = std::move(options);
  return std::unique_ptr<WebSocketTransport>(new WebSocketTransport(std::move(opening), limits));
}

std::unique_ptr<WebSocketTransport> WebSocketTransport::client(std::shared_ptr<const ClientOptions> options) {
  const FrameLimits limits = options->frames;
  auto opening = std::make_unique<Opening>();
  opening->client = std::move(options);
  opening->key = random_key();
  return std::unique_ptr<WebSocketTransport>(new WebSocketTransport(std::move(opening), limits));
}

// --- the upgrade ---

void WebSocketTransport::start(std::string& wire) {
  if (is_client_) wire.append(upgrade_request(*opening_->client, opening_->key));
}

// Until the empty line has come; then the rest of `wire` is frames.
Result<void> WebSocketTransport::take_head(std::string_view& wire, std::string& reply) {
  std::string& head = opening_->head;
  const size_t before = head.size();
  if (before == 0 && !is_client_ && !wire.empty() && (wire[0] < 'A' || wire[0] > 'Z')) {
    return refuse_no_http(wire, reply);
  }
  append_kept(head, wire.substr(0, kHeadBytesMax - before), kHeadBytesMax);
  const size_t end = head.find(kHeadEnd, before < kHeadEnd.size() ? 0 : before - kHeadEnd.size() + 1);
  if (end == std::string::npos) {
    if (head.size() < kHeadBytesMax) {
      wire = {};
      return {};
    }
    if (is_client_) return fail(errc::bad_answer, "the server's answer to the WebSocket upgrade never ends");
    return refuse_large_head(reply);
  }
  head.resize(end + kHeadEnd.size());
  wire.remove_prefix(head.size() - before);
  const std::unique_ptr<Opening> opening = std::move(opening_);
  return is_client_ ? check_answer(head, wire, *opening->client, opening->key)
                    : answer_upgrade(head, *opening->server, reply);
}

// --- receiving ---

Result<TransportState> WebSocketTransport::receive(std::string_view wire, std::string& plain,
                                                   std::string& reply) {
  if (opening_) {
    if (auto taken = take_head(wire, reply); !taken) return fail(taken.error());
    if (opening_) return TransportState::opening;
  }
  while (!wire.empty() && !ended_) {
    if (in_control_) {
      if (auto taken = take_control(wire, reply); !taken) return fail(taken.error());
    } else if (remaining_ > 0) {
      take_data(wire, plain);
    } else if (auto taken = take_header(wire, reply); !taken) {
      return fail(taken.error());
    }
  }
  return ended_ ? TransportState::ended : TransportState::open;
}

void WebSocketTransport::take_data(std::string_view& wire, std::string& plain) {
  const std::string_view payload = wire.substr(0, remaining_);
  wire.remove_prefix(payload.size());
  remaining_ -= payload.size();
  if (closed_) return;
  const size_t from = plain.size();
  plain.append(payload);
  if (!is_client_) mask_ = apply_mask(std::span(plain).subspan(from), mask_);
}

Result<void> WebSocketTransport::take_header(std::string_view& wire, std::string& reply) {
  std::string_view bytes = wire;
  const size_t before = held_ ? held_->size() : 0;
  if (held_) {
    held_->append(wire.substr(0, kFrameHeaderBytesMax - before));
    bytes = *held_;
  }
  const FrameDecoded decoded = decode_frame_header(bytes);
  if (const auto* violated = std::get_if<FrameViolation>(&decoded)) {
    return violation(violated->code, violated->what, reply);
  }
  const auto* header = std::get_if<FrameHeader>(&decoded);
  if (!header) {
    if (!held_) held_ = std::make_unique<std::string>(wire);
    wire = {};
    return {};
  }
  wire.remove_prefix(header->size - before);
  held_.reset();
  return begin_frame(*header, reply);
}

Result<void> WebSocketTransport::begin_frame(const FrameHeader& header, std::string& reply) {
  if (header.mask.has_value() == is_client_) {
    return violation(
        errc::bad_frame,
        is_client_ ? "a frame of the server's is masked" : "a frame of the client's is not masked", reply);
  }
  mask_ = header.mask.value_or(0);
  remaining_ = header.payload_bytes;
  opcode_ = header.opcode;
  switch (header.opcode) {
    case Opcode::text:
      return violation(errc::text_frame,
                       "a text frame: MQTT comes in binary frames [MQTT-6.0.0-1]; have the client send bytes",
                       reply);
    case Opcode::binary:
      if (in_message_) return violation(errc::bad_frame, "a message begins inside another", reply);
      message_bytes_ = 0;
      break;
    case Opcode::continuation:
      if (!in_message_) return violation(errc::bad_frame, "a continuation of no message", reply);
      break;
    case Opcode::close:
    case Opcode::ping:
    case Opcode::pong:
      in_control_ = true;
      return remaining_ == 0 ? end_control(reply) : Result<void>();
  }
  in_message_ = !header.final;
  if (header.payload_bytes > limits_.frame_bytes_max) {
    return violation(errc::too_big,
                     "a frame of more than " + std::to_string(limits_.frame_bytes_max) + " bytes", reply);
  }
  if (header.payload_bytes > limits_.message_bytes_max - message_bytes_) {
    return violation(errc::too_big,
                     "a message of more than " + std::to_string(limits_.message_bytes_max) + " bytes", reply);
  }
  message_bytes_ += static_cast<uint32_t>(header.payload_bytes);
  return {};
}

Result<void> WebSocketTransport::take_control(std::string_view& wire, std::string& reply) {
  const std::string_view payload = wire.substr(0, remaining_);
  wire.remove_prefix(payload.size());
  remaining_ -= payload.size();
  if (!held_) held_ = std::make_unique<std::string>();
  const size_t from = held_->size();
  held_->append(payload);
  if (!is_client_) mask_ = apply_mask(std::span(*held_).subspan(from), mask_);
  return remaining_ == 0 ? end_control(reply) : Result<void>();
}

Result<void> WebSocketTransport::end_control(std::string& reply) {
  in_control_ = false;
  const std::unique_ptr<std::string> whole = std::move(held_);
  const std::string_view payload = whole ? std::string_view(*whole) : std::string_view();
  switch (opcode_) {
    case Opcode::close:
      return on_close(payload, reply);
    case Opcode::ping:
      if (!closed_) append_frame(Opcode::pong, {&payload, 1}, reply);
      return {};
    case Opcode::pong:
    case Opcode::continuation:
    case Opcode::text:
    case Opcode::binary:
      return {};
  }
  return {};
}

Result<void> WebSocketTransport::on_close(std::string_view payload, std::string& reply) {
  if (payload.size() == 1) return violation(errc::bad_close, "a close frame with half a status", reply);
  if (!payload.empty()) {
    const auto status =
        static_cast<uint16_t>(static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]));
    if (!is_close_status(status)) {
      return violation(errc::bad_close, "a close frame with the status " + std::to_string(status), reply);
    }
    if (!is_well_formed_utf8(payload.substr(2))) {
      return violation(errc::bad_utf8, "the reason in a close frame is not UTF-8", reply);
    }
  }
  const std::string_view status = payload.substr(0, 2);
  if (!std::exchange(closed_, true)) append_frame(Opcode::close, {&status, 1}, reply);
  ended_ = true;
  return {};
}

Failure WebSocketTransport::violation(errc code, std::string_view what, std::string& reply) {
  if (!std::exchange(closed_, true)) append_close(close_status(code), what, reply);
  return fail(code, std::string("the peer broke the WebSocket protocol: ").append(what));
}

// --- sending ---

void WebSocketTransport::append_close(uint16_t status, std::string_view reason, std::string& wire) {
  const char number[2] = {static_cast<char>(status >> 8), static_cast<char>(status)};
  const std::string_view pieces[] = {{number, 2}, reason.substr(0, kControlBytesMax - 2)};
  append_frame(Opcode::close, pieces, wire);
}

void WebSocketTransport::append_frame(Opcode opcode, std::span<const std::string_view> pieces,
                                      std::string& wire) {
  size_t bytes = 0;
  for (const std::string_view piece : pieces) bytes += piece.size();
  const std::optional<Mask> mask = is_client_ ? std::optional(random_mask()) : std::nullopt;
  append_frame_header(opcode, bytes, mask, wire);
  const size_t from = wire.size();
  for (const std::string_view piece : pieces) wire.append(piece);
  if (mask) apply_mask(std::span(wire).subspan(from), *mask);
}

Result<void> WebSocketTransport::send(std::span<const std::string_view> pieces, std::string& wire) {
  CHECK(!opening_);
  if (closed_) return {};
  for (const std::string_view& piece : pieces) {
    if (!piece.empty()) append_frame(Opcode::binary, {&piece, 1}, wire);
  }
  return {};
}

void WebSocketTransport::close(CloseReason reason, std::string& wire) {
  if (opening_ || std::exchange(closed_, true)) return;
  append_close(status_of(reason), {}, wire);
}

}  // namespace courier::net::websocket
