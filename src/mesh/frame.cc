#include "mesh/frame.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "base/varint.h"
#include "mesh/errc.h"
#include "net/kept_bytes.h"
#include "record/codec.h"

namespace courier::mesh {

namespace {

constexpr std::string_view kMagic = "CMSH";
constexpr uint8_t kRetain = 1, kIdentifiers = 2;  // of a receiver

void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

// Takes fields from the front; after the first that does not fit, everything reads as nothing and ok() is
// false.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }
  std::string_view& rest() { return rest_; }

  uint8_t byte() {
    if (!ok_ || rest_.empty()) return static_cast<uint8_t>(spoilt());
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  uint64_t number(uint64_t most = UINT64_MAX) {
    if (!ok_) return 0;
    const auto value = take_varint(rest_);
    return value && *value <= most ? *value : spoilt();
  }
  std::string_view text(size_t bytes_max) {
    const uint64_t size = number(bytes_max);
    if (!ok_ || size > rest_.size()) {
      spoilt();
      return {};
    }
    const std::string_view value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }

 private:
  uint64_t spoilt() {
    ok_ = false;
    return 0;
  }

  std::string_view rest_;
  bool ok_ = true;
};

Failure broken(std::string_view what) {
  return fail(errc::bad_frame, fmt::format("{} that cannot be read", what));
}

uint32_t length_of(std::string_view bytes) {
  uint32_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
  return length;
}

}  // namespace

std::string_view name(Refusal why) {
  switch (why) {
    case Refusal::version:
      return "version";
    case Refusal::cluster:
      return "cluster";
    case Refusal::log:
      return "log";
    case Refusal::wrong_node:
      return "wrong_node";
    case Refusal::old_epoch:
      return "old_epoch";
    case Refusal::not_a_member:
      return "not_a_member";
    case Refusal::other_run:
      return "other_run";
    case Refusal::certificate:
      return "certificate";
    case Refusal::busy:
      return "busy";
  }
  return "unknown";  // of a later version
}

size_t open_frame(std::string& out, FrameType type) {
  const size_t at = out.size();
  const char head[kFrameHeadBytes] = {0, 0, 0, 0, static_cast<char>(type)};
  out.append(head, sizeof(head));
  return at;
}

void close_frame(std::string& out, size_t opened_at) {
  size_t length = out.size() - opened_at - 4;
  CHECK(length <= kFrameBytesMax);
  for (size_t i = 0; i < 4; ++i, length >>= 8) out[opened_at + i] = static_cast<char>(length);
}

std::string encode_hello(const Hello& hello) {
  std::string out;
  const size_t at = open_frame(out, FrameType::hello);
  out.append(kMagic);
  out.push_back(static_cast<char>(hello.version));
  out.push_back(static_cast<char>(hello.oldest));
  put_text(out, hello.cluster);
  put_text(out, hello.log_id);
  put_text(out, hello.node_id);
  put_varint(out, hello.epoch.value);
  put_varint(out, hello.instance);
  put_varint(out, hello.to.value);
  close_frame(out, at);
  return out;
}

std::string encode_refuse(Refusal why, std::string_view sentence) {
  std::string out;
  const size_t at = open_frame(out, FrameType::refuse);
  out.push_back(static_cast<char>(why));
  put_text(out, sentence.substr(0, kSentenceBytesMax));
  close_frame(out, at);
  return out;
}

std::string encode_number(FrameType type, uint64_t number) {
  std::string out;
  const size_t at = open_frame(out, type);
  put_varint(out, number);
  close_frame(out, at);
  return out;
}

std::string encode_numbers(FrameType type, uint64_t first, uint64_t second) {
  std::string out;
  const size_t at = open_frame(out, type);
  put_varint(out, first);
  put_varint(out, second);
  close_frame(out, at);
  return out;
}

std::string encode_text(FrameType type, uint64_t id, std::string_view text) {
  std::string out;
  out.reserve(kFrameHeadBytes + varint_size(id) + text.size());
  const size_t at = open_frame(out, type);
  put_varint(out, id);
  out.append(text);
  close_frame(out, at);
  return out;
}

std::string encode_request(uint64_t id, uint16_t kind, std::string_view body) {
  std::string out;
  out.reserve(kFrameHeadBytes + 2 * kVarintBytesMax + body.size());
  const size_t at = open_frame(out, FrameType::request);
  put_varint(out, id);
  put_varint(out, kind);
  out.append(body);
  close_frame(out, at);
  return out;
}

void encode_deliver(std::string& out, const Deliver& deliver) {
  put_varint(out, deliver.after.value);
  put_varint(out, deliver.to.size());
  for (const Receiver& receiver : deliver.to) {
    const bool identifiers = !receiver.subscription_identifiers.empty();
    put_varint(out, receiver.session.value);
    out.push_back(static_cast<char>((receiver.retain ? kRetain : 0) | (identifiers ? kIdentifiers : 0)));
    if (!identifiers) continue;
    put_varint(out, receiver.subscription_identifiers.size());
    for (const uint32_t identifier : receiver.subscription_identifiers) put_varint(out, identifier);
  }
  record::encode_message(out, *deliver.message);
}

size_t deliver_bytes_at_most(const Deliver& deliver) {
  const mqtt::Message& message = *deliver.message;
  size_t receivers = 0;
  for (const Receiver& receiver : deliver.to)
    receivers += 2 * kVarintBytesMax + 1 + receiver.subscription_identifiers.size() * kVarintBytesMax;
  // Position, five lengths, publisher, two times, flags.
  return receivers + message.topic.size() + message.payload.size() + message.properties.size() +
         9 * kVarintBytesMax + 1;
}

Result<Hello> decode_hello(std::string_view body) {
  if (!body.starts_with(kMagic)) return fail(errc::bad_frame, "no hello of a Courier node");
  Fields in(body.substr(kMagic.size()));
  Hello hello;
  hello.version = in.byte();
  hello.oldest = in.byte();
  if (!in.ok() || hello.version == 0 || hello.oldest > hello.version) return broken("a hello");
  // What follows may look otherwise there.
  if (hello.oldest > kVersion) return hello;
  hello.cluster = in.text(kNameBytesMax);
  hello.log_id = in.text(kNameBytesMax);
  hello.node_id = in.text(kNameBytesMax);
  hello.epoch = NodeEpoch(in.number());
  hello.instance = in.number();
  hello.to = NodeEpoch(in.number());
  if (!in.ok() || !hello.epoch) return broken("a hello");
  return hello;
}

Result<Refused> decode_refuse(std::string_view body) {
  Fields in(body);
  Refused refused;
  refused.why = in.byte();
  refused.sentence = in.text(kSentenceBytesMax);
  if (!in.ok()) return broken("a refusal");
  return refused;
}

Result<uint64_t> decode_number(std::string_view body) {
  Fields in(body);
  const uint64_t number = in.number();
  if (!in.at_end()) return broken("a number");
  return number;
}

Result<Numbers> decode_numbers(std::string_view body) {
  Fields in(body);
  Numbers numbers;
  numbers.id = in.number();
  numbers.second = in.number();
  if (!in.at_end()) return broken("a pair of numbers");
  return numbers;
}

Result<Text> decode_text(std::string_view body) {
  Fields in(body);
  Text text;
  text.id = in.number();
  if (!in.ok()) return broken("a part of a reply");
  text.text = in.rest();
  if (text.text.size() > kPieceBytesMax) return fail(errc::bad_frame, "a piece of a reply that is too large");
  return text;
}

Result<Request> decode_request(std::string_view body) {
  Fields in(body);
  Request request;
  request.id = in.number();
  request.kind = static_cast<uint16_t>(in.number(UINT16_MAX));
  if (!in.ok()) return broken("a request");
  request.body = in.rest();
  if (request.body.size() > kRequestBytesMax) return fail(errc::bad_frame, "a request that is too large");
  return request;
}

Result<void> decode_delivers(std::string_view& body, NodeEpoch from, size_t count_max,
                             std::vector<Deliver>& into) {
  Fields in(body);
  while (count_max-- > 0 && !in.at_end()) {
    Deliver deliver;
    deliver.after = Position(in.number());
    deliver.from = from;
    for (uint64_t left = in.number(kReceiversMax); in.ok() && left > 0; --left) {
      Receiver& receiver = deliver.to.emplace_back();
      receiver.session = SessionId(in.number());
      const uint8_t flags = in.byte();
      if (flags > (kRetain | kIdentifiers)) return broken("a message's receiver");
      receiver.retain = (flags & kRetain) != 0;
      uint64_t identifiers = flags & kIdentifiers ? in.number(kReceiversMax) : 0;
      for (; in.ok() && identifiers > 0; --identifiers)
        receiver.subscription_identifiers.push_back(static_cast<uint32_t>(in.number(UINT32_MAX)));
    }
    if (!in.ok()) return broken("a message");
    auto message = record::decode_message(in.rest());
    if (!message) return fail(errc::bad_frame, std::move(message).error().message);
    deliver.message = *std::move(message);
    into.push_back(std::move(deliver));
  }
  body = in.rest();
  return {};
}

Result<void> FrameReader::next(std::string_view bytes, std::string_view& frame) const {
  frame = {};
  if (bytes.size() < 4) return {};
  const size_t length = length_of(bytes);
  if (length == 0) return fail(errc::bad_frame, "a frame without a type");
  if (length > frame_bytes_max_) {
    return fail(errc::bad_frame,
                fmt::format("a frame of {} bytes: {} is the most", length, frame_bytes_max_));
  }
  if (bytes.size() - 4 >= length) frame = bytes.substr(0, 4 + length);
  return {};
}

void FrameReader::take_missing(std::string_view& bytes) {
  const size_t wanted = held_.size() < 4 ? 4 : 4 + length_of(held_);
  const std::string_view taken = bytes.substr(0, wanted - held_.size());
  net::append_kept(held_, taken, wanted);
  bytes.remove_prefix(taken.size());
}

void FrameReader::hold(std::string_view bytes) {
  net::append_kept(held_, bytes, bytes.size());
}

}  // namespace courier::mesh
