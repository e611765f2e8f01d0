// What Courier tells the world: every kind of event, and every field that one may have. Declared here once;
// the protobuf schema (schema.h), the JSON (json.h), docs/operations/events.md and the names of metrics
// follow from it.
//
// An event is a protobuf message `courier.events.v1.Event`: its fields in any order, each at most once but
// the lists. The numbers of kinds stand in the log's records, those of fields in the messages: never changed,
// never used again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace courier::events {

enum class Kind : uint8_t {
  connect = 1,
  connect_failed = 2,
  disconnect = 3,
  subscribe = 4,
  unsubscribe = 5,
  publish = 6,
  deliver = 7,
  delivery_complete = 8,
  drop = 9,
  offline_message = 10,
  client_wakeup = 11,
  client_offline = 12,
  client_gone = 13,
  session_expired = 14,
};
inline constexpr size_t kKindCount = 14;

enum class Field : uint8_t {
  id = 1,
  kind = 2,
  time_ns = 3,
  node = 4,
  best_effort = 5,
  session_id = 6,
  client_id = 7,
  username = 8,
  mountpoint = 9,
  peer = 10,
  listener = 11,
  protocol = 12,
  clean_start = 13,
  session_present = 14,
  expiry_seconds = 15,
  message_id = 16,
  topic = 17,
  qos = 18,
  retain = 19,
  payload = 20,
  content_type = 21,
  response_topic = 22,
  correlation_data = 23,
  user_properties = 24,
  publisher_session_id = 25,
  label = 26,
  filters = 27,
  granted_qos = 28,
  reason = 29,
  latency_ns = 30,
  messages = 31,
  traceparent = 32,
};
inline constexpr size_t kFieldCount = 32;

enum class Shape : uint8_t {
  text,     // string; in JSON replaced where it is not UTF-8, which MQTT does not let in
  bytes,    // bytes; in JSON standard base64
  flag,     // optional bool
  number,   // optional uint32
  big,      // optional uint64; in JSON a string, as the protobuf mapping says
  texts,    // repeated string
  numbers,  // repeated uint32, packed
  pairs,    // repeated Property: a message of two strings, 1 name and 2 value
};

struct FieldInfo {
  Field field;
  std::string_view name;
  Shape shape;
  std::string_view says;  // for docs and schema: one line
};

struct KindInfo {
  Kind kind;
  std::string_view name;
  bool durable;  // in the log, and so sure to be told; else best effort: lost in a crash or a crowd
  std::string_view says;
  std::span<const Field> fields;  // that it may have beside id, kind, time_ns, node, best_effort
};

std::span<const KindInfo> kinds();
const KindInfo& info(Kind kind);
std::string type_of(Kind kind);  // of CloudEvents: "courier.publish"
std::span<const FieldInfo> fields();
const FieldInfo& info(Field field);

// Nothing: no kind is called that, or has that number.
std::optional<Kind> kind_of(std::string_view name);
std::optional<Kind> kind_of(uint8_t number);
// Null: of a newer version.
const FieldInfo* find_field(uint32_t number);

// A set of kinds.
class Kinds {
 public:
  constexpr Kinds() = default;
  static constexpr Kinds of(Kind kind) {
    Kinds set;
    set.bits_ = uint32_t{1} << static_cast<uint8_t>(kind);
    return set;
  }
  static Kinds all();
  constexpr bool has(Kind kind) const { return (bits_ & of(kind).bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr Kinds& operator|=(Kinds other) {
    bits_ |= other.bits_;
    return *this;
  }
  constexpr bool operator==(const Kinds&) const = default;
  constexpr uint32_t bits() const { return bits_; }

 private:
  uint32_t bits_ = 0;
};
static_assert(kKindCount < 32);

}  // namespace courier::events
