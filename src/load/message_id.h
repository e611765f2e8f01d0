// What every message of a load test carries, so that its receiver knows whose it is, which it is, when it was
// due and whether it arrived undamaged.
//
// 32 bytes at the front of a payload of given size, big-endian:
//
//   0  magic "CLm1"     4  run           8  publisher     12  stream
//  16  sequence        20  due, microseconds of the wall clock (8)      28  CRC-32C of all other bytes
//
// In text payloads (JSON) the same bytes stand wherever the template has {id} or, for an answer, {msg.id}: as
// 66 characters, "CL" and 64 hexadecimal digits.
//
// `publisher` is the client's number over all groups; `stream` a hash of the topic; `sequence` counts the
// publisher's messages on that topic, from 1. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace courier::load {

struct MessageId {
  uint32_t run = 0, publisher = 0, stream = 0, sequence = 0;
  int64_t due_us = 0;
  bool operator==(const MessageId&) const = default;
};

inline constexpr size_t kIdBytes = 32;
inline constexpr size_t kIdTextBytes = 2 + 2 * kIdBytes;

uint32_t stream_of(std::string_view topic);

// Writes the id over the first kIdBytes of `payload`, with the checksum of the whole.
void stamp(std::string& payload, const MessageId& id);
// The id as text; the checksum is of the id alone, since what stands around it is filled in later.
std::string id_text(const MessageId& id);

struct Stamp {
  MessageId id;
  bool damaged = false;      // the checksum is another
  std::string_view as_text;  // where it stood as text; else empty
};
// Reads either kind, anywhere in a text; nullopt when there is none.
std::optional<Stamp> find_stamp(std::string_view payload);

}  // namespace courier::load
