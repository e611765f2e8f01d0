#include "net/websocket/frame.h"

#include <bit>
#include <cstring>

#include "net/websocket/limits.h"

namespace courier::net::websocket {

namespace {

constexpr uint8_t kFinal = 0x80, kReserved = 0x70, kMasked = 0x80;

std::optional<Opcode> opcode_of(uint8_t number) {
  switch (static_cast<Opcode>(number)) {
    case Opcode::continuation:
    case Opcode::text:
    case Opcode::binary:
    case Opcode::close:
    case Opcode::ping:
    case Opcode::pong:
      return static_cast<Opcode>(number);
  }
  return std::nullopt;
}

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace

FrameDecoded decode_frame_header(std::string_view bytes) {
  if (bytes.empty()) return FrameNeedMore{};
  const auto first = static_cast<uint8_t>(bytes[0]);
  if (first & kReserved) {
    return FrameViolation{errc::bad_frame, "reserved bits are set, and no extension was agreed on"};
  }
  const std::optional<Opcode> opcode = opcode_of(first & 0x0F);
  if (!opcode) return FrameViolation{errc::bad_frame, "the opcode is reserved"};
  FrameHeader header{.opcode = *opcode, .final = (first & kFinal) != 0};
  if (is_control(*opcode) && !header.final) {
    return FrameViolation{errc::bad_frame, "a control frame may not come in fragments"};
  }

  if (bytes.size() < 2) return FrameNeedMore{};
  const auto second = static_cast<uint8_t>(bytes[1]);
  const unsigned length = second & 0x7F;
  if (is_control(*opcode) && length > kControlBytesMax) {
    return FrameViolation{errc::bad_frame, "a control frame has more than 125 bytes"};
  }
  const size_t length_bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
  header.size = 2 + length_bytes;
  header.payload_bytes = length;
  if (length_bytes > 0) {
    if (bytes.size() < header.size) return FrameNeedMore{};
    header.payload_bytes = big_endian(bytes.substr(2, length_bytes));
    if (header.payload_bytes < (length_bytes == 2 ? 126u : 65'536u)) {
      return FrameViolation{errc::bad_frame, "the length is not in its shortest form"};
    }
    if (header.payload_bytes >> 63) return FrameViolation{errc::bad_frame, "the length is beyond 2^63"};
  }
  if (second & kMasked) {
    if (bytes.size() < header.size + sizeof(Mask)) return FrameNeedMore{};
    Mask mask;
    std::memcpy(&mask, bytes.data() + header.size, sizeof(mask));
    header.mask = mask;
    header.size += sizeof(Mask);
  }
  return header;
}

void append_frame_header(Opcode opcode, uint64_t payload_bytes, std::optional<Mask> mask, std::string& wire) {
  char header[kFrameHeaderBytesMax];
  size_t size = 2;
  header[0] = static_cast<char>(kFinal | static_cast<uint8_t>(opcode));
  const auto put = [&](unsigned marker, int bytes) {
    header[1] = static_cast<char>(marker | (mask ? kMasked : 0));
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
      header[size++] = static_cast<char>(payload_bytes >> shift);
  };
  if (payload_bytes < 126) {
    put(static_cast<unsigned>(payload_bytes), 0);
  } else if (payload_bytes < 65'536) {
    put(126, 2);
  } else {
    put(127, 8);
  }
  if (mask) {
    std::memcpy(header + size, &*mask, sizeof(Mask));
    size += sizeof(Mask);
  }
  wire.append(header, size);
}

Mask apply_mask(std::span<char> payload, Mask mask) {
  const uint64_t wide = uint64_t{mask} << 32 | mask;
  char* at = payload.data();
  size_t left = payload.size();
  for (; left >= sizeof(wide); at += sizeof(wide), left -= sizeof(wide)) {
    uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    word ^= wide;
    std::memcpy(at, &word, sizeof(word));
  }
  char keys[sizeof(mask)];
  std::memcpy(keys, &mask, sizeof(mask));
  for (size_t i = 0; i < left; ++i) at[i] = static_cast<char>(at[i] ^ keys[i % sizeof(keys)]);
  // The mask as bytes, turned so that its next one comes first.
  static_assert(std::endian::native == std::endian::little);
  return std::rotr(mask, static_cast<int>(left % sizeof(mask)) * 8);
}

bool is_close_status(uint16_t status) {
  if (status >= 3000) return status <= 4999;
  // 1004 to 1006 and 1015 are never sent.
  return (status >= 1000 && status <= 1003) || (status >= 1007 && status <= 1014);
}

}  // namespace courier::net::websocket
