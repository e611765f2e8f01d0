// CRC-32C (Castagnoli; RFC 3720 appendix B.4): the checksum of the PROXY protocol and of RocksDB's journals.
// Uses the processor's instruction where there is one.
#pragma once

#include <cstdint>
#include <string_view>

namespace courier {

// Of all the bytes of one text, or of several in a row when the last result is handed in.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

}  // namespace courier
