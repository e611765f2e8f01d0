#include "mqtt/message.h"

#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "mqtt/limits.h"

namespace courier::mqtt {

namespace {

// Memory of messages that are gone, kept by each thread for its next ones: glibc keeps a handful of each size
// at hand, and messages that wait for their acknowledgements come and go by the thousand. What a thread of
// ours frees for another stays here, up to the bound.
constexpr size_t kStep = 64;
constexpr size_t kSizes = 16;  // larger ones are rare, and their copying costs more than malloc

struct Block {
  Block* next;
};
// Trivial, so that it is there until the thread's very end: messages may be freed by other objects of the
// thread.
struct Spare {
  std::array<Block*, kSizes> blocks;
  size_t bytes;
  bool watched;  // a Watch stands behind it
  bool closed;
};
constinit thread_local Spare spare{};

// Gives back what is left when the thread ends.
struct Watch {
  ~Watch() {
    spare.closed = true;
    for (Block*& first : spare.blocks) {
      while (first != nullptr) ::operator delete(std::exchange(first, first->next));
    }
  }
};

void* take(size_t size) {
  const size_t step = (size - 1) / kStep;
  if (step >= kSizes) return ::operator new(size);
  Block*& first = spare.blocks[step];
  if (first == nullptr) return ::operator new((step + 1) * kStep);
  spare.bytes -= (step + 1) * kStep;
  return std::exchange(first, first->next);
}

void give_back(void* memory, size_t size) {
  const size_t step = (size - 1) / kStep, bytes = (step + 1) * kStep;
  if (step >= kSizes || spare.bytes + bytes > kSpareMessageBytesMax || spare.closed)
    return ::operator delete(memory);
  if (!spare.watched) {
    spare.watched = true;
    static thread_local Watch watch;
    (void)watch;
  }
  spare.bytes += bytes;
  spare.blocks[step] = new (memory) Block{spare.blocks[step]};
}

}  // namespace

Message* Message::make(std::string_view topic, std::string_view payload, std::string_view properties) {
  void* memory = take(sizeof(Message) + topic.size() + payload.size() + properties.size());
  char* at = static_cast<char*>(memory) + sizeof(Message);
  const auto copied = [&at](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    const std::string_view copy(at, text.size());
    at += text.size();
    return copy;
  };
  // In this order: each stands behind the one before.
  const std::string_view own_topic = copied(topic), own_payload = copied(payload);
  return new (memory) Message(own_topic, own_payload, copied(properties));
}

size_t Message::spare_bytes() {
  return spare.bytes;
}

void Message::operator delete(Message* message, std::destroying_delete_t) {
  const size_t size =
      sizeof(Message) + message->topic.size() + message->payload.size() + message->properties.size();
  message->~Message();
  give_back(message, size);
}

}  // namespace courier::mqtt
