// Memory for very many small blocks, named by 32-bit handles: no header per block and half a pointer to name
// it. Blocks are rounded up to a size class (by at most an eighth above 64 bytes) and reused within it.
//
// Belongs to one SubscriptionIndex; changed only under its write lock. Never gives memory back before it
// dies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace courier::routing {

class BlockArena {
 public:
  using Handle = uint32_t;  // 0 = none
  static constexpr size_t kAlignment = 4;
  static constexpr size_t kBlockBytesMax = 128 * 1024;

  // Zeroed.
  Handle allocate(size_t bytes);
  // `bytes` as it was asked for.
  void release(Handle handle, size_t bytes);

  std::byte* at(Handle handle) const {
    return chunks_[handle / kUnitsPerChunk].get() + (handle % kUnitsPerChunk) * kAlignment;
  }

  size_t bytes() const { return chunks_.size() * kChunkBytes + chunks_.capacity() * sizeof(chunks_[0]); }

 private:
  static constexpr size_t kChunkBytes = 256 * 1024;
  static constexpr uint32_t kUnitsPerChunk = kChunkBytes / kAlignment;
  static constexpr size_t kClasses = 128;

  struct SizeClass {
    uint32_t index, units;
  };
  static SizeClass size_class(size_t bytes);

  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  uint32_t used_ = kUnitsPerChunk;  // units of the last chunk
  std::array<Handle, kClasses> free_{};
};

}  // namespace courier::routing
