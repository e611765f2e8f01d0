// Any bytes as what a peer sends: cut into frames in one piece and in many, which must come to the same; each
// body through its decoder; what was understood must be understood again when it is encoded.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "mesh/frame.h"

using namespace courier;
using namespace courier::mesh;

namespace {

using Frames = std::vector<std::pair<FrameType, std::string>>;

bool read(FrameReader& reader, std::string_view bytes, Frames& frames) {
  return reader
      .feed(bytes,
            [&](FrameType type, std::string_view body) -> Result<void> {
              frames.emplace_back(type, body);
              return {};
            })
      .has_value();
}

std::string_view body_of(std::string_view frame) {
  return frame.substr(kFrameHeadBytes);
}

void delivers(std::string_view body) {
  std::vector<Deliver> got;
  while (!body.empty()) {
    const size_t before = body.size();
    if (!decode_delivers(body, NodeEpoch(1), 3, got)) return;
    CHECK(body.size() < before);
  }
  std::string again;
  for (const Deliver& one : got) {
    const size_t at = again.size();
    encode_deliver(again, one);
    CHECK(again.size() - at <= deliver_bytes_at_most(one));
  }
  std::string_view rest = again;
  std::vector<Deliver> same;
  CHECK(decode_delivers(rest, NodeEpoch(1), got.size() + 1, same) && rest.empty());
  CHECK(same.size() == got.size());
  for (size_t i = 0; i < same.size(); ++i) {
    CHECK(same[i].to == got[i].to && same[i].after == got[i].after);
    CHECK(same[i].message->topic == got[i].message->topic);
    CHECK(same[i].message->payload == got[i].message->payload);
  }
}

void take(FrameType type, std::string_view body) {
  switch (type) {
    case FrameType::hello:
      if (const auto hello = decode_hello(body); hello && hello->oldest <= kVersion) {
        const std::string again = encode_hello(*hello);
        CHECK(*decode_hello(body_of(again)) == *hello);
      }
      return;
    case FrameType::refuse:
      if (const auto refused = decode_refuse(body)) CHECK(refused->sentence.size() <= kSentenceBytesMax);
      return;
    case FrameType::ping:
    case FrameType::pong:
    case FrameType::ended:
    case FrameType::cancel:
      if (const auto number = decode_number(body)) CHECK(body_of(encode_number(type, *number)) == body);
      return;
    case FrameType::deliver:
      return delivers(body);
    case FrameType::request:
      if (const auto request = decode_request(body)) {
        CHECK(body_of(encode_request(request->id, request->kind, request->body)) == body);
      }
      return;
    case FrameType::piece:
    case FrameType::failed:
      if (const auto text = decode_text(body))
        CHECK(body_of(encode_text(type, text->id, text->text)) == body);
      return;
    case FrameType::credit:
      if (const auto credit = decode_numbers(body)) {
        CHECK(body_of(encode_numbers(type, credit->id, credit->second)) == body);
      }
      return;
  }
}

}  // namespace

// The first byte says how long the pieces are.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = 1 + data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  for (const size_t frame_bytes_max : {kHelloBytesMax, kFrameBytesMax}) {
    FrameReader whole(frame_bytes_max), pieces(frame_bytes_max);
    Frames at_once, bit_by_bit;
    const bool fine = read(whole, bytes, at_once);
    bool still_fine = true;
    for (size_t at = 0; at < bytes.size() && still_fine; at += step) {
      still_fine = read(pieces, bytes.substr(at, step), bit_by_bit);
      CHECK(pieces.held_room() <= 2 * (at + step) + 64);
    }
    CHECK(fine == still_fine);
    CHECK(at_once == bit_by_bit);
    for (const auto& [type, body] : at_once) take(type, body);
  }
  return 0;
}
