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

}  // namespace courier::jose
