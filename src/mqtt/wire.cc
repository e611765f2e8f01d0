#include "mqtt/wire.h"

namespace courier::mqtt {

bool Writer::close_length(size_t opened) {
  const size_t counted = size() - opened;
  if (counted > kVariableByteIntegerMax) return false;
  uint32_t value = static_cast<uint32_t>(counted);
  char digits[4];
  size_t digit_count = 0;
  for (; value >= 0x80; value >>= 7) digits[digit_count++] = static_cast<char>(value | 0x80);
  digits[digit_count++] = static_cast<char>(value);
  out_[opened - 1] = digits[0];
  if (digit_count > 1) out_.insert(opened, digits + 1, digit_count - 1);
  return true;
}

}  // namespace courier::mqtt
