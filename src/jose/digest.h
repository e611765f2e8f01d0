// SHA-256, for what is to be known by its digest, and HMAC with it. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace courier::jose {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::string_view bytes);
// `secret` may be anything but empty.
std::string hmac_sha256(std::string_view secret, std::string_view bytes);
// 32 bytes made of a password, as slowly as `iterations` say: RFC 8018, section 5.2.
std::string pbkdf2_sha256(std::string_view password, std::string_view salt, uint32_t iterations);

}  // namespace courier::jose
