#include "broker/dense_blocks.h"

#include <cstring>

#include "base/check.h"

namespace courier::broker {

std::byte* DenseBlocks::add(size_t bytes) {
  CHECK(bytes > 0 && bytes <= kBytesMax);
  const size_t index = class_of(bytes), size = size_of(index);
  Stack& stack = stacks_[index];
  if (stack.chunks.empty() || stack.used + size > kChunkBytes) {
    stack.chunks.push_back(std::make_unique_for_overwrite<std::byte[]>(kChunkBytes));
    stack.used = 0;
  }
  std::byte* block = stack.chunks.back().get() + stack.used;
  stack.used += size;
  block[0] = static_cast<std::byte>(index);
  return block;
}

std::byte* DenseBlocks::remove(std::byte* block) {
  const auto index = static_cast<size_t>(block[0]);
  const size_t size = size_of(index);
  Stack& stack = stacks_[index];
  CHECK(stack.used >= size);
  stack.used -= size;
  std::byte* last = stack.chunks.back().get() + stack.used;
  if (last != block) std::memcpy(block, last, size);
  if (stack.used == 0) {
    stack.chunks.pop_back();
    if (stack.chunks.empty()) {
      stack.chunks.shrink_to_fit();
    } else {
      stack.used = kChunkBytes / size * size;
    }
  }
  return last != block ? last : nullptr;
}

const std::byte* DenseBlocks::last_of(const std::byte* block) const {
  const auto index = static_cast<size_t>(block[0]);
  const Stack& stack = stacks_[index];
  return stack.chunks.empty() ? nullptr : stack.chunks.back().get() + stack.used - size_of(index);
}

size_t DenseBlocks::bytes() const {
  size_t bytes = 0;
  for (const Stack& stack : stacks_) bytes += stack.chunks.size() * kChunkBytes;
  return bytes;
}

}  // namespace courier::broker
