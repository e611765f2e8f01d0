#include "base/base64.h"

#include <cstddef>
#include <cstdint>

namespace courier {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t three = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    for (const int shift : {18, 12, 6, 0}) out.push_back(kDigits[three >> shift & 63]);
  }
  const size_t left = bytes.size() - i;
  if (left == 0) return;
  const uint32_t last = at(i) << 16 | (left == 2 ? at(i + 1) << 8 : 0);
  out.push_back(kDigits[last >> 18 & 63]);
  out.push_back(kDigits[last >> 12 & 63]);
  out.push_back(left == 2 ? kDigits[last >> 6 & 63] : '=');
  out.push_back('=');
}

}  // namespace courier
