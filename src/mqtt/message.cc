#include "mqtt/message.h"

#include <cstring>
#include <new>

namespace courier::mqtt {

Message* Message::make(std::string_view topic, std::string_view payload, std::string_view properties) {
  void* memory = ::operator new(sizeof(Message) + topic.size() + payload.size() + properties.size());
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

}  // namespace courier::mqtt
