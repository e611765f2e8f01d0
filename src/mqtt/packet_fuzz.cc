// Any bytes, as every version and side would read them. What decodes must encode, decode to an equal packet,
// and encode to the same bytes again; what is one byte short must be waited for.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "mqtt/limits.h"
#include "mqtt/properties.h"

namespace courier::mqtt {
namespace {

struct Reading {
  Version version;
  Side side;
  bool first;
};

Version version_of(const Packet& packet, Version in_force) {
  const auto* connect = std::get_if<Connect>(&packet);
  return connect ? connect->version : in_force;
}

void check_round_trip(const Packet& packet, const Reading& reading) {
  const Version version = version_of(packet, reading.version);
  std::string bytes;
  CHECK(encode(bytes, packet, version));
  const DecodeResult result = decode_one(bytes, reading.version, reading.side, reading.first, DecodeLimits{});
  const auto* again = std::get_if<Decoded>(&result);
  CHECK(again != nullptr && again->size == bytes.size());
  CHECK(again->packet == packet);
  std::string same;
  CHECK(encode(same, again->packet, version));
  CHECK(same == bytes);
}

// However small the receiver's maximum, what is written keeps to it and is legal.
void check_maximum(const Packet& packet, const Reading& reading, uint32_t maximum) {
  std::string bytes;
  if (!encode(bytes, packet, version_of(packet, reading.version), maximum)) {
    CHECK(bytes.empty());
    return;
  }
  CHECK(bytes.size() <= maximum);
  const DecodeResult result = decode_one(bytes, reading.version, reading.side, reading.first, DecodeLimits{});
  CHECK(std::holds_alternative<Decoded>(result));
}

// A PUBLISH delivered by the hot path is the PUBLISH that the general path writes.
void check_delivery(const Publish& publish, Version version) {
  const MessagePtr message(Message::make(publish.topic, publish.payload, publish.forwarded_properties));
  CHECK(is_forwarded_block(publish.forwarded_properties));
  const Delivery delivery{.qos = publish.qos,
                          .dup = publish.dup,
                          .retain = publish.retain,
                          .packet_id = publish.packet_id,
                          .message_expiry_seconds = publish.message_expiry_seconds.value_or(0),
                          .topic_alias = publish.topic_alias.value_or(0),
                          .subscription_identifiers = publish.subscription_identifiers.data(),
                          .subscription_identifier_count = publish.subscription_identifiers.size()};
  std::string delivered;
  CHECK(encode_delivery(delivered, *message, delivery, version));
  CHECK(delivered.size() == encoded_size(*message, delivery, version));
  if (publish.message_expiry_seconds == 0u) return;  // which a delivery cannot say: it would not be delivered
  std::string encoded;
  CHECK(encode(encoded, publish, version));
  CHECK(delivered == encoded);
}

void read(std::string_view bytes, const Reading& reading) {
  const DecodeResult result = decode_one(bytes, reading.version, reading.side, reading.first, DecodeLimits{});
  if (const auto* violation = std::get_if<Violation>(&result)) {
    CHECK(is_error(violation->reason) && !describe(*violation).empty());
    return;
  }
  if (const auto* more = std::get_if<NeedMore>(&result)) {
    CHECK(more->total == 0 || (more->total > bytes.size() && more->total <= kPacketSizeMax));
    return;
  }
  const Decoded& decoded = std::get<Decoded>(result);
  CHECK(decoded.size >= 2 && decoded.size <= bytes.size());
  const std::string_view short_by_one = bytes.substr(0, decoded.size - 1);
  CHECK(std::holds_alternative<NeedMore>(
      decode_one(short_by_one, reading.version, reading.side, reading.first, DecodeLimits{})));
  check_round_trip(decoded.packet, reading);
  check_maximum(decoded.packet, reading, static_cast<uint32_t>(decoded.size / 2));
  check_maximum(decoded.packet, reading, static_cast<uint32_t>(decoded.size - 1));
  if (const auto* publish = std::get_if<Publish>(&decoded.packet)) check_delivery(*publish, reading.version);
}

}  // namespace
}  // namespace courier::mqtt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace courier::mqtt;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const Version version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
    read(bytes, {version, Side::server, false});
    read(bytes, {version, Side::client, false});
  }
  read(bytes, {Version::v5, Side::server, true});
  // Extensions are not encoded, so they are only read.
  for (const bool first : {false, true}) {
    const DecodeResult result =
        decode_one(bytes, Version::v3_1_1, Side::server, first, {.v3_1_1_extensions = true});
    CHECK(result.index() < 3);
  }
  return 0;
}
