#include "net/tls/hello_guard.h"

#include <algorithm>

namespace courier::net::tls {

namespace {

constexpr uint8_t kChangeCipherSpec = 20, kHandshake = 22, kApplicationData = 23;
constexpr uint8_t kClientHello = 1, kServerHello = 2;

// The random of a ServerHello that is a HelloRetryRequest: SHA-256 of that name.
constexpr std::string_view kRetryRandom(
    "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E"
    "\x09\xE2\xC8\xA8\x33\x9C",
    32);

}  // namespace

bool HelloGuard::admits(std::string_view bytes, size_t hello_bytes_max) {
  while (!bytes.empty() && !in_cipher_) {
    if (header_size_ < sizeof(header_)) {
      header_[header_size_++] = static_cast<uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      if (header_size_ == sizeof(header_)) {
        record_left_ = static_cast<uint16_t>(header_[3] << 8 | header_[4]);
        if (record_left_ == 0) header_size_ = 0;
        // Between two hellos a change of cipher means nothing. After the last one it is the end of plain
        // sight.
        const bool ciphers = header_[0] == kChangeCipherSpec || header_[0] == kApplicationData;
        in_cipher_ = ciphers && hellos_left_ == 0;
      }
      continue;
    }
    const std::string_view content = bytes.substr(0, record_left_);
    bytes.remove_prefix(content.size());
    record_left_ = static_cast<uint16_t>(record_left_ - content.size());
    if (header_[0] == kHandshake && !message_bytes(content, hello_bytes_max)) return false;
    if (record_left_ == 0) header_size_ = 0;
  }
  return true;
}

bool HelloGuard::message_bytes(std::string_view bytes, size_t hello_bytes_max) {
  while (!bytes.empty()) {
    if (message_left_ > 0) {
      const size_t taken = std::min<size_t>(message_left_, bytes.size());
      message_left_ -= static_cast<uint32_t>(taken);
      bytes.remove_prefix(taken);
      continue;
    }
    message_[message_size_++] = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    if (message_size_ < sizeof(message_)) continue;
    message_size_ = 0;
    message_left_ = uint32_t{message_[1]} << 16 | uint32_t{message_[2]} << 8 | message_[3];
    if (message_[0] != kClientHello) continue;
    if (message_left_ > hello_bytes_max) return false;
    hellos_left_ = 0;
  }
  return true;
}

bool is_hello_retry(std::string_view record) {
  // Record header 5, message header 4, version 2.
  return record.size() >= 11 + kRetryRandom.size() && static_cast<uint8_t>(record[0]) == kHandshake &&
         static_cast<uint8_t>(record[5]) == kServerHello &&
         record.substr(11, kRetryRandom.size()) == kRetryRandom;
}

}  // namespace courier::net::tls
