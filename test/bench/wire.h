// The little MQTT 3.1.1 that the forwarder and the load generator speak: packets laid down whole, no decoder.
//
// Both sides of a measurement know what the other one sends, so topics have one shape, "d/" and a destination
// in seven digits, and what a packet says is found at fixed places. Nothing here copes with a hostile peer: a
// packet that is not one of these ends the measurement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace courier::bench {

inline constexpr size_t kDigits = 7;
inline constexpr size_t kTopicBytes = 2 + kDigits;

enum class Packet : uint8_t {
  connect = 1,
  connack,
  publish,
  puback,
  pubrec,
  pubrel,
  pubcomp,
  subscribe,
  suback,
  unsubscribe,
  unsuback,
  pingreq,
  pingresp,
  disconnect
};

// One packet as it lies in a read buffer.
struct Frame {
  const uint8_t* begin = nullptr;
  const uint8_t* body = nullptr;  // behind the fixed header
  const uint8_t* end = nullptr;

  Packet packet() const { return static_cast<Packet>(*begin >> 4); }
  unsigned qos() const { return (*begin >> 1) & 3; }
  size_t bytes() const { return static_cast<size_t>(end - begin); }
  uint16_t u16(size_t at) const { return static_cast<uint16_t>(body[at] << 8 | body[at + 1]); }
};

// The packet at `begin`; nothing if it is not whole yet.
inline bool next_frame(const uint8_t* begin, const uint8_t* end, Frame& frame) {
  size_t length = 0;
  const uint8_t* at = begin + 1;
  for (int shift = 0; shift < 28; shift += 7) {
    if (at >= end) return false;
    const uint8_t byte = *at++;
    length |= static_cast<size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (static_cast<size_t>(end - at) < length) return false;
  frame = {begin, at, at + length};
  return true;
}

inline uint32_t number_of(const uint8_t* digits) {
  uint32_t number = 0;
  for (size_t i = 0; i < kDigits; ++i) number = number * 10 + (digits[i] - '0');
  return number;
}

// Bytes on their way out of or into a socket. Grows and is never zeroed.
class Buffer {
 public:
  const uint8_t* begin() const { return bytes_.get() + begun_; }
  const uint8_t* end() const { return bytes_.get() + used_; }
  size_t size() const { return used_ - begun_; }
  bool empty() const { return begun_ == used_; }

  // Room for `size` bytes at the end, counted as used.
  uint8_t* grow(size_t size) {
    if (used_ + size > capacity_) reserve(used_ + size);
    used_ += size;
    return bytes_.get() + used_ - size;
  }
  void append(const void* bytes, size_t size) { std::memcpy(grow(size), bytes, size); }
  void append(std::string_view bytes) { append(bytes.data(), bytes.size()); }
  void consume(size_t size) {
    begun_ += size;
    if (begun_ == used_) begun_ = used_ = 0;
  }
  // Empties it and gives its memory back.
  void release() { *this = Buffer(); }

 private:
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };

  void reserve(size_t size) {
    capacity_ = size < 256 ? 256 : size * 2;
    bytes_.reset(static_cast<uint8_t*>(std::realloc(bytes_.release(), capacity_)));
    if (bytes_ == nullptr) std::abort();
  }

  std::unique_ptr<uint8_t, Free> bytes_;
  size_t begun_ = 0;
  size_t used_ = 0;
  size_t capacity_ = 0;
};

std::string connect_packet(std::string_view client_id, bool clean, uint16_t keep_alive_s);
std::string subscribe_packet(std::string_view filter, unsigned qos);
// "d/" and the number; the topic of a destination.
std::string topic_of(uint32_t destination);
// A PUBLISH whose packet id (QoS 1 and 2 only) and payload are still to be written, from publish_id_at() on.
std::string publish_packet(uint32_t destination, unsigned qos, size_t payload_bytes);
size_t publish_id_at(std::string_view packet);

// The four acknowledgements are alike: a type, a length of 2, the packet id.
inline void append_ack(Buffer& out, Packet packet, const uint8_t* packet_id) {
  const uint8_t flags = packet == Packet::pubrel ? 2 : 0;
  const uint8_t bytes[4] = {static_cast<uint8_t>(static_cast<uint8_t>(packet) << 4 | flags), 2, packet_id[0],
                            packet_id[1]};
  out.append(bytes, sizeof bytes);
}

}  // namespace courier::bench
