// Packet ids in use by this client, and what each stands for.
//
// A slot is one PUBLISH (QoS 1, 2), SUBSCRIBE or UNSUBSCRIBE that the server has not finished. Slots form a
// window over a sequence, and the packet id follows from the place in it (1 + sequence mod 65,535), so that
// an acknowledgement finds its slot by arithmetic. A slot that is done inside the window keeps its place
// until all older ones are done.
//
//               send                 PUBACK, PUBREC with an error
//   to_send ──────────► sent ───────────────────────────────────────► done
//      ▲                 │ │ PUBREC                                     ▲
//      └── connection ───┘ ▼                         PUBCOMP            │
//             ends       released ──────────────────────────────────────┤
//                          │ ▲                                          │
//          connection ends ▼ │ PUBREL again                             │
//                       to_release                                      │
//   asked (SUBSCRIBE, UNSUBSCRIBE) ── SUBACK, UNSUBACK, connection ends ┘
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ring.h"
#include "client/limits.h"
#include "client/options.h"

namespace courier::client {

// A message that must be kept until the server has it.
struct HeldPublish {
  std::string topic, payload, forwarded_properties;
  std::optional<uint32_t> message_expiry_seconds;
  Qos qos{};
  bool retain = false;
  std::optional<uint16_t> topic_alias;
  size_t cost() const {
    return sizeof(HeldPublish) + topic.size() + payload.size() + forwarded_properties.size();
  }
};

// A SUBSCRIBE or UNSUBSCRIBE, kept so that it can be asked again on the next connection.
struct HeldRequest {
  RequestId request;
  bool subscribe = true;
  std::vector<Subscription> entries;  // an UNSUBSCRIBE uses the filters alone
  std::optional<uint32_t> subscription_identifier;
  UserPropertyList user_properties;
  bool restored = false;  // asked again by the engine; completed already once
};

struct Slot {
  enum class State : uint8_t { done, to_send, sent, to_release, released, asked };
  State state = State::done;
  bool sent_before = false;  // the next PUBLISH carries DUP
  RequestId request;
  std::unique_ptr<HeldPublish> publish;  // to_send, sent
  std::unique_ptr<HeldRequest> asked;    // asked
};

class Slots {
 public:
  bool full() const { return ring_.size() >= kSlotsMax; }
  size_t size() const { return ring_.size(); }
  Slot& operator[](size_t index) { return ring_[index]; }
  PacketId id_of(size_t index) const {
    return PacketId(static_cast<uint16_t>(1 + (front_sequence_ + index) % kIds));
  }

  // The caller has seen that it is not full().
  PacketId add(Slot slot) {
    ring_.push_back(std::move(slot));
    return id_of(ring_.size() - 1);
  }
  // Null when no unfinished slot has this id.
  Slot* find(PacketId id) {
    if (!id) return nullptr;
    const size_t index = (id.value - 1u + kIds - front_sequence_) % kIds;
    if (index >= ring_.size() || ring_[index].state == Slot::State::done) return nullptr;
    return &ring_[index];
  }
  void finish(Slot& slot) {
    slot = Slot{};
    while (!ring_.empty() && ring_.front().state == Slot::State::done) {
      ring_.pop_front();
      front_sequence_ = static_cast<uint16_t>((front_sequence_ + 1) % kIds);
    }
  }
  // An empty ring gives its memory back.
  void shrink() {
    if (ring_.empty()) ring_.clear();
  }

 private:
  static constexpr uint32_t kIds = 65'535;
  Ring<Slot> ring_;
  uint16_t front_sequence_ = 0;
};

}  // namespace courier::client
