#include "routing/block_arena.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace courier::routing {

// Up to 16 units one class each; then eight classes per power of two.
BlockArena::SizeClass BlockArena::size_class(size_t bytes) {
  const auto units = static_cast<uint32_t>((std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment);
  if (units <= 16) return {units, units};
  const auto log = static_cast<uint32_t>(std::bit_width(units - 1) - 1);  // 2^log < units <= 2^(log + 1)
  const uint32_t base = 1u << log;
  const uint32_t step = base / 8;
  const uint32_t steps = (units - base + step - 1) / step;
  return {16 + (log - 4) * 8 + steps, base + steps * step};
}

BlockArena::Handle BlockArena::allocate(size_t bytes) {
  CHECK(bytes <= kBlockBytesMax);
  const SizeClass wanted = size_class(bytes);
  CHECK(wanted.index < kClasses);
  if (const Handle reused = free_[wanted.index]) {
    std::memcpy(&free_[wanted.index], at(reused), sizeof(Handle));
    std::memset(at(reused), 0, wanted.units * kAlignment);
    return reused;
  }
  if (used_ + wanted.units > kUnitsPerChunk) {
    CHECK(chunks_.size() < UINT32_MAX / kUnitsPerChunk);  // 16 GiB of filters
    chunks_.push_back(std::make_unique<std::byte[]>(kChunkBytes));
    used_ = chunks_.size() == 1 ? 1 : 0;  // handle 0 means "none"
  }
  const auto handle = static_cast<Handle>((chunks_.size() - 1) * kUnitsPerChunk + used_);
  used_ += wanted.units;
  return handle;
}

void BlockArena::release(Handle handle, size_t bytes) {
  const SizeClass of = size_class(bytes);
  std::memcpy(at(handle), &free_[of.index], sizeof(Handle));
  free_[of.index] = handle;
}

}  // namespace courier::routing
