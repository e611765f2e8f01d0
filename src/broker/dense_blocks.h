// Memory for very many small blocks of many sizes: no header each, no holes, and what goes is given back.
//
// The blocks of one size stand one after another. Where one goes, the last of its size takes its place: the
// owner is told, and must know where the moved one is named. A block's first byte is not the owner's: it says
// its size. Blocks are aligned to four bytes. Not for several threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace courier::broker {

class DenseBlocks {
 public:
  static constexpr size_t kBytesMax = 1024;

  // Its other bytes are as they happen to be.
  std::byte* add(size_t bytes);
  // Where the block stood that stands there now; null if there is none.
  std::byte* remove(std::byte* block);

  // The one that would move if another of this one's size went; null if there is none.
  const std::byte* last_of(const std::byte* block) const;

  // At least as many as were asked for.
  static size_t size(const std::byte* block) { return size_of(static_cast<size_t>(block[0])); }
  size_t bytes() const;

 private:
  static constexpr size_t kChunkBytes = 16 * 1024;
  // In steps of 4 bytes up to 128, then of 64.
  static constexpr size_t kFineMax = 128, kFine = 4, kCoarse = 64;
  static constexpr size_t kClasses = kFineMax / kFine + (kBytesMax - kFineMax) / kCoarse + 1;
  static size_t class_of(size_t bytes) {
    return bytes <= kFineMax ? (bytes + kFine - 1) / kFine
                             : kFineMax / kFine + (bytes - kFineMax + kCoarse - 1) / kCoarse;
  }
  static size_t size_of(size_t index) {
    return index <= kFineMax / kFine ? index * kFine : kFineMax + (index - kFineMax / kFine) * kCoarse;
  }

  struct Stack {
    std::vector<std::unique_ptr<std::byte[]>> chunks;  // all full but the last, which has at least one
    size_t used = 0;                                   // bytes of the last
  };
  std::array<Stack, kClasses> stacks_;
};

}  // namespace courier::broker
