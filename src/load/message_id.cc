#include "load/message_id.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"

namespace courier::load {

namespace {

constexpr std::string_view kMagic = "CLm1";
constexpr std::string_view kTextMagic = "CL434c6d31";  // "CL" and the magic's digits
constexpr size_t kCrcAt = 28;

void put32(char* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(value >> (24 - 8 * i));
}

uint32_t get32(const char* at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(at[i]);
  return value;
}

void write(char* at, const MessageId& id) {
  std::memcpy(at, kMagic.data(), kMagic.size());
  put32(at + 4, id.run);
  put32(at + 8, id.publisher);
  put32(at + 12, id.stream);
  put32(at + 16, id.sequence);
  put32(at + 20, static_cast<uint32_t>(static_cast<uint64_t>(id.due_us) >> 32));
  put32(at + 24, static_cast<uint32_t>(id.due_us));
}

MessageId read(const char* at) {
  return {get32(at + 4), get32(at + 8), get32(at + 12), get32(at + 16),
          static_cast<int64_t>(uint64_t{get32(at + 20)} << 32 | get32(at + 24))};
}

uint32_t checksum(std::string_view all) {
  return crc32c(all.substr(kIdBytes), crc32c(all.substr(0, kCrcAt)));
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

uint32_t stream_of(std::string_view topic) {
  return crc32c(topic);
}

void stamp(std::string& payload, const MessageId& id) {
  CHECK(payload.size() >= kIdBytes);
  write(payload.data(), id);
  put32(payload.data() + kCrcAt, checksum(payload));
}

std::string id_text(const MessageId& id) {
  std::string bytes(kIdBytes, '\0');
  stamp(bytes, id);
  std::string text = "CL";
  text.reserve(kIdTextBytes);
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

std::optional<Stamp> find_stamp(std::string_view payload) {
  if (payload.size() >= kIdBytes && payload.starts_with(kMagic)) {
    return Stamp{read(payload.data()), get32(payload.data() + kCrcAt) != checksum(payload), {}};
  }
  const size_t at = payload.find(kTextMagic);
  if (at == std::string_view::npos || payload.size() - at < kIdTextBytes) return std::nullopt;
  const std::string_view text = payload.substr(at, kIdTextBytes);
  std::array<char, kIdBytes> bytes;
  bool legal = true;
  for (size_t i = 0; i < kIdBytes; ++i) {
    const int high = digit(text[2 + 2 * i]), low = digit(text[3 + 2 * i]);
    legal = legal && high >= 0 && low >= 0;
    bytes[i] = static_cast<char>(high << 4 | (low & 15));
  }
  const std::string_view all(bytes.data(), bytes.size());
  return Stamp{read(bytes.data()), !legal || get32(bytes.data() + kCrcAt) != checksum(all), text};
}

}  // namespace courier::load
