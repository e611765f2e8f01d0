#include "record/codec.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/varint.h"
#include "record/errc.h"

namespace courier::record {
namespace {

// The type byte of each record. These numbers are on disk: never changed, never reused.
enum class Type : uint8_t {
  publish = 1,
  subscribe = 2,
  unsubscribe = 3,
  attach = 4,
  detach = 5,
  acked = 6,
  sent = 7,
  received = 8,
  completed = 9,
  qos2_in = 10,
  released = 11,
  dropped = 12,
  expired = 13,
  retained_expired = 14,
  node_down = 15,
  feature = 16,
  // Kept free: 17 and 19.
  own = 18,
  retained_next = 20,
  // Of a cluster: the same, and what its appender saw.
  retained_next_under = 21,
  node_down_of = 22,
  dropped_since = 23,
  expired_since = 24,
  publish_under = 25,
  attach_seeing = 26,
  // What events are made of.
  event = 27,
  event_alone = 28,
  told = 29,
};

constexpr Type type_of(const Publish& r) {
  return r.attach ? Type::publish_under : Type::publish;
}
constexpr Type type_of(const Subscribe&) {
  return Type::subscribe;
}
constexpr Type type_of(const Unsubscribe&) {
  return Type::unsubscribe;
}
constexpr Type type_of(const Attach& r) {
  return r.seen == kAlone ? Type::attach : Type::attach_seeing;
}
constexpr Type type_of(const Detach&) {
  return Type::detach;
}
constexpr Type type_of(const Acked&) {
  return Type::acked;
}
constexpr Type type_of(const Sent&) {
  return Type::sent;
}
constexpr Type type_of(const Received&) {
  return Type::received;
}
constexpr Type type_of(const Completed&) {
  return Type::completed;
}
constexpr Type type_of(const Qos2In&) {
  return Type::qos2_in;
}
constexpr Type type_of(const Released&) {
  return Type::released;
}
constexpr Type type_of(const Dropped& r) {
  return r.since == kAlone ? Type::dropped : Type::dropped_since;
}
constexpr Type type_of(const Expired& r) {
  return r.since == kAlone ? Type::expired : Type::expired_since;
}
constexpr Type type_of(const RetainedExpired&) {
  return Type::retained_expired;
}
constexpr Type type_of(const RetainedNext& r) {
  return r.attach ? Type::retained_next_under : Type::retained_next;
}
constexpr Type type_of(const NodeDown& r) {
  return r.node ? Type::node_down_of : Type::node_down;
}
constexpr Type type_of(const Feature&) {
  return Type::feature;
}
constexpr Type type_of(const Own&) {
  return Type::own;
}
constexpr Type type_of(const Event& r) {
  return r.alone ? Type::event_alone : Type::event;
}
constexpr Type type_of(const Told&) {
  return Type::told;
}

// Flag bits of a message; bits 0 and 1 are its QoS.
constexpr uint8_t kQosMask = 0x03;
constexpr uint8_t kRetain = 0x04;
constexpr uint8_t kHasProperties = 0x08;
constexpr uint8_t kHasPublisher = 0x10;
constexpr uint8_t kHasExpiry = 0x20;

// Below the sequence, position and size of an inbox reference, in one number with its size.
constexpr uint64_t kSole = 0x01;
constexpr uint64_t kThroughGroup = 0x02;
constexpr int kReferenceFlagBits = 2;

constexpr uint8_t kAttachHasWill = 0x01, kAttachBoundsInbox = 0x02, kAttachEnds = 0x04;
constexpr uint8_t kDetachEnds = 0x01;
constexpr uint8_t kDetachDropsWill = 0x02;

// --- Writing ---

void put(std::string& out, uint8_t value) {
  out.push_back(static_cast<char>(value));
}
void put(std::string& out, std::string_view value) {
  put_varint(out, value.size());
  out.append(value);
}
void put(std::string& out, Position value) {
  put_varint(out, value.value);
}
void put(std::string& out, GroupId value) {
  put_varint(out, value.value);
}
void put(std::string& out, PacketId value) {
  put_varint(out, value.value);
}
// Rotated, so that the top bit of ephemeral ids does not make them ten bytes long.
void put(std::string& out, SessionId value) {
  put_varint(out, std::rotl(value.value, 1));
}
void put(std::string& out, const SessionRef& value) {
  put(out, value.session);
  put(out, value.attach);
}

// Differences wrap, so that they are defined for any two values.
uint64_t difference(uint64_t value, uint64_t from) {
  return zigzag(static_cast<int64_t>(value - from));
}

// An inbox hands out sequences one after the other, and a session's messages came at rising positions, so
// most references of a list are four or five bytes.
void put(std::string& out, const std::vector<InboxRef>& references) {
  put_varint(out, references.size());
  uint64_t seq = 0;
  uint64_t position = 0;
  for (const InboxRef& reference : references) {
    put_varint(out, difference(reference.seq, seq + 1));
    put_varint(out, difference(reference.position.value, position));
    const bool through_group = reference.group || reference.group_seq != 0;
    put_varint(out, (uint64_t{reference.bytes} << kReferenceFlagBits) | (reference.sole ? kSole : 0) |
                        (through_group ? kThroughGroup : 0));
    if (through_group) {
      put(out, reference.group);
      put_varint(out, reference.group_seq);
    }
    seq = reference.seq;
    position = reference.position.value;
  }
}

uint8_t options_byte(const mqtt::SubscriptionOptions& options) {
  // As on the wire of MQTT 5.0 (section 3.8.3.1).
  return static_cast<uint8_t>(static_cast<uint8_t>(options.qos) | (options.no_local ? 0x04 : 0) |
                              (options.retain_as_published ? 0x08 : 0) |
                              (static_cast<uint8_t>(options.retain_handling) << 4));
}

void put_body(std::string& out, const Publish& record) {
  CHECK(record.message);
  put(out, record.mountpoint);
  put(out, record.will_of);
  if (record.attach) put(out, record.attach);
  encode_message(out, *record.message);
}
void put_body(std::string& out, const Subscribe& record) {
  put(out, record.by);
  put(out, record.mountpoint);
  put_varint(out, record.subscription_identifier);
  put_varint(out, record.window);
  put_varint(out, record.entries.size());
  for (const Subscribe::Entry& entry : record.entries) {
    put(out, options_byte(entry.options));
    put(out, entry.filter);
  }
}
void put_body(std::string& out, const Unsubscribe& record) {
  put(out, record.by);
  put(out, record.mountpoint);
  put_varint(out, record.filters.size());
  for (const std::string& filter : record.filters) put(out, filter);
}
void put_body(std::string& out, const Attach& record) {
  const bool seeing = type_of(record) == Type::attach_seeing;
  if (seeing) {
    put(out, record.before);
    put(out, record.seen);
  } else {
    put(out, record.resumed());
    put(out, record.replaced());
  }
  put(out, record.mountpoint);
  put(out, record.client_id);
  put(out, record.username);
  put(out, static_cast<uint8_t>(record.version));
  put_varint(out, record.expiry_seconds);
  put_varint(out, record.window);
  put(out, static_cast<uint8_t>((record.will.message ? kAttachHasWill : 0) |
                                (record.inbox_messages_max != 0 ? kAttachBoundsInbox : 0) |
                                (seeing && record.ends ? kAttachEnds : 0)));
  if (record.inbox_messages_max != 0) put_varint(out, record.inbox_messages_max);
  if (!record.will.message) return;
  put_varint(out, record.will.delay_seconds);
  put_varint(out, record.will.message_expiry_seconds);
  encode_message(out, *record.will.message);
}
void put_body(std::string& out, const Detach& record) {
  put(out, record.of);
  put(out, static_cast<uint8_t>((record.ends_session ? kDetachEnds : 0) |
                                (record.drops_will ? kDetachDropsWill : 0)));
  put_varint(out, record.expiry_seconds);
  put_varint(out, record.sent_up_to);
}
void put_body(std::string& out, const InboxStep& record) {
  put(out, record.by);
  put(out, record.messages);
}
void put_body(std::string& out, const Qos2In& record) {
  put(out, record.by);
  put(out, record.packet_id);
}
void put_body(std::string& out, const Released& record) {
  put(out, record.by);
  put(out, record.packet_id);
}
void put_body(std::string& out, const Dropped& record) {
  put(out, record.session);
  put(out, record.group);
  put(out, static_cast<uint8_t>(record.reason));
  if (record.since != kAlone) put(out, record.since);
  put(out, record.messages);
}
void put_body(std::string& out, const Expired& record) {
  put(out, record.session);
  put(out, record.group);
  if (record.since != kAlone) put(out, record.since);
  put(out, record.messages);
}
void put_body(std::string& out, const RetainedExpired& record) {
  put(out, record.mountpoint);
  put(out, record.topic);
  put(out, record.position);
}
void put_body(std::string& out, const RetainedNext& record) {
  put(out, record.session);
  put(out, record.mountpoint);
  put(out, options_byte(record.options));
  put(out, record.filter);
  put_varint(out, record.subscription_identifier);
  put(out, record.since);
  put(out, record.after);
  if (record.attach) put(out, record.attach);
}
void put_body(std::string& out, const NodeDown& record) {
  put_varint(out, zigzag(record.last_clock));
  if (record.node) put_varint(out, record.node.value);
}
void put_body(std::string& out, const Feature& record) {
  put_varint(out, record.version);
}
void put_body(std::string& out, const Own& record) {
  put_varint(out, record.partitions.size());
  for (const uint16_t partition : record.partitions) put_varint(out, partition);
}
void put_body(std::string& out, const Event& record) {
  put(out, record.kind);
  put(out, record.fields);
}
void put_body(std::string& out, const Told& record) {
  put(out, record.sink);
  put(out, record.up_to);
}

// About how long the body will be: a good guess saves moving a payload once its length is known.
size_t expected_size(const Publish& record) {
  return record.mountpoint.size() + record.message->topic.size() + record.message->payload.size() +
         record.message->properties.size() + 24;
}
size_t expected_size(const Event& record) {
  return 1 + varint_size(record.fields.size()) + record.fields.size();
}
template <typename R>
size_t expected_size(const R&) {
  return 0;
}

// --- Reading ---

// Takes fields off the front of its bytes. After the first error it yields zeros and stays failed, so that a
// caller asks once, at the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  std::string_view rest() const { return bytes_; }
  std::optional<errc> error() const { return error_; }
  bool failed() const { return error_.has_value(); }

  uint8_t byte() {
    if (failed() || bytes_.empty()) return fail_with(errc::truncated), uint8_t{0};
    const auto value = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  uint64_t varint() {
    if (failed()) return 0;
    const auto value = take_varint(bytes_);
    if (value) return *value;
    // Ten bytes that make no number are wrong; fewer may only be cut off.
    const bool ends = std::all_of(bytes_.begin(), bytes_.end(), [](char c) { return (c & 0x80) != 0; }) &&
                      bytes_.size() < kVarintBytesMax;
    fail_with(ends ? errc::truncated : errc::out_of_range);
    return 0;
  }
  template <typename Number>
  Number number() {
    const uint64_t value = varint();
    if (value > std::numeric_limits<Number>::max()) return fail_with(errc::out_of_range), Number{0};
    return static_cast<Number>(value);
  }
  std::string_view text() {
    const uint64_t size = varint();
    if (failed()) return {};
    if (size > bytes_.size()) return fail_with(errc::truncated), std::string_view{};
    const std::string_view value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return value;
  }
  // How many elements of at least `bytes_min` bytes follow; no more than can.
  size_t count(size_t bytes_min) {
    const uint64_t value = varint();
    if (value > bytes_.size() / bytes_min) return fail_with(errc::truncated), 0;
    return value;
  }
  // A byte that is 0 to `max`, or has only bits of it when used as flags.
  uint8_t byte_to(uint8_t max) {
    const uint8_t value = byte();
    if (value > max) return fail_with(errc::out_of_range), uint8_t{0};
    return value;
  }

  Position position() { return Position(varint()); }
  GroupId group() { return GroupId(varint()); }
  SessionId session() { return SessionId(std::rotr(varint(), 1)); }
  PacketId packet_id() { return PacketId(number<uint16_t>()); }
  SessionRef session_ref() {
    SessionRef value;
    value.session = session();
    value.attach = position();
    return value;
  }
  std::vector<InboxRef> references() {
    std::vector<InboxRef> list(count(3));
    uint64_t seq = 0;
    uint64_t position = 0;
    for (InboxRef& reference : list) {
      seq = reference.seq = seq + 1 + static_cast<uint64_t>(unzigzag(varint()));
      position += static_cast<uint64_t>(unzigzag(varint()));
      reference.position = Position(position);
      const uint64_t size_and_flags = varint();
      if (size_and_flags >> kReferenceFlagBits > std::numeric_limits<uint32_t>::max()) {
        fail_with(errc::out_of_range);
      }
      reference.bytes = static_cast<uint32_t>(size_and_flags >> kReferenceFlagBits);
      reference.sole = (size_and_flags & kSole) != 0;
      if (size_and_flags & kThroughGroup) {
        reference.group = group();
        reference.group_seq = varint();
      }
      if (failed()) return {};
    }
    return list;
  }
  mqtt::SubscriptionOptions options() {
    const uint8_t value = byte_to(0x2F);
    if ((value & 0x03) == 3) fail_with(errc::out_of_range);
    return {.qos = static_cast<mqtt::Qos>(value & 0x03),
            .no_local = (value & 0x04) != 0,
            .retain_as_published = (value & 0x08) != 0,
            .retain_handling = static_cast<mqtt::RetainHandling>(value >> 4)};
  }
  mqtt::MessagePtr message() {
    const uint8_t flags = byte_to(0x3F);
    if ((flags & kQosMask) == 3) fail_with(errc::out_of_range);
    if (failed()) return {};
    const std::string_view topic = text(), payload = text();
    auto* message =
        mqtt::Message::make(topic, payload, (flags & kHasProperties) != 0 ? text() : std::string_view());
    const mqtt::MessagePtr owner(message);
    message->qos = static_cast<mqtt::Qos>(flags & kQosMask);
    message->retain = (flags & kRetain) != 0;
    if (flags & kHasPublisher) message->publisher = session();
    message->received_at = unzigzag(varint());
    if (flags & kHasExpiry) {
      message->expires_at = static_cast<WallMs>(static_cast<uint64_t>(message->received_at) +
                                                static_cast<uint64_t>(unzigzag(varint())));
    }
    return failed() ? mqtt::MessagePtr() : owner;
  }

  // What the other way of writing the record says by leaving it out cannot be said here.
  Position position_other_than(Position absent) {
    const Position value = position();
    if (value == absent) fail_with(errc::out_of_range);
    return value;
  }

  void fail_with(errc error) {
    if (!error_) error_ = error;
  }

 private:
  std::string_view bytes_;
  std::optional<errc> error_;
};

Publish take_publish(Reader& in, bool under) {
  Publish record;
  record.mountpoint = in.text();
  record.will_of = in.session_ref();
  if (under) record.attach = in.position_other_than(Position(0));
  record.message = in.message();
  return record;
}
Subscribe take_subscribe(Reader& in) {
  Subscribe record;
  record.by = in.session_ref();
  record.mountpoint = in.text();
  record.subscription_identifier = in.number<uint32_t>();
  record.window = in.number<uint16_t>();
  record.entries.resize(in.count(2));
  for (Subscribe::Entry& entry : record.entries) {
    entry.options = in.options();
    entry.filter = in.text();
    if (in.failed()) break;
  }
  return record;
}
Unsubscribe take_unsubscribe(Reader& in) {
  Unsubscribe record;
  record.by = in.session_ref();
  record.mountpoint = in.text();
  record.filters.resize(in.count(1));
  for (std::string& filter : record.filters) {
    filter = in.text();
    if (in.failed()) break;
  }
  return record;
}
Attach take_attach(Reader& in, bool seeing) {
  Attach record;
  record.before = in.session();
  if (seeing) {
    record.seen = in.position_other_than(kAlone);
  } else if (const SessionId replaced = in.session()) {
    if (record.before) in.fail_with(errc::out_of_range);
    record.before = replaced;
    record.ends = true;
  }
  record.mountpoint = in.text();
  record.client_id = in.text();
  record.username = in.text();
  const uint8_t version = in.byte();
  if (version < static_cast<uint8_t>(mqtt::Version::v3_1) ||
      version > static_cast<uint8_t>(mqtt::Version::v5)) {
    in.fail_with(errc::out_of_range);
  }
  record.version = static_cast<mqtt::Version>(version);
  record.expiry_seconds = in.number<uint32_t>();
  record.window = in.number<uint16_t>();
  const uint8_t flags = in.byte_to(kAttachHasWill | kAttachBoundsInbox | (seeing ? kAttachEnds : 0));
  record.ends |= (flags & kAttachEnds) != 0;
  if (flags & kAttachBoundsInbox) record.inbox_messages_max = in.number<uint32_t>();
  if (flags & kAttachHasWill) {
    Will& will = record.will;
    will.delay_seconds = in.number<uint32_t>();
    will.message_expiry_seconds = in.number<uint32_t>();
    will.message = in.message();
  }
  return record;
}
Detach take_detach(Reader& in) {
  Detach record;
  record.of = in.session_ref();
  const uint8_t flags = in.byte_to(kDetachEnds | kDetachDropsWill);
  record.ends_session = (flags & kDetachEnds) != 0;
  record.drops_will = (flags & kDetachDropsWill) != 0;
  record.expiry_seconds = in.number<uint32_t>();
  record.sent_up_to = in.varint();
  return record;
}
template <typename Step>
Step take_step(Reader& in) {
  Step record;
  record.by = in.session_ref();
  record.messages = in.references();
  return record;
}
template <typename R>
R take_packet_id(Reader& in) {
  R record;
  record.by = in.session_ref();
  record.packet_id = in.packet_id();
  return record;
}
Dropped take_dropped(Reader& in, bool since) {
  Dropped record;
  record.session = in.session();
  record.group = in.group();
  const uint8_t reason = in.byte_to(static_cast<uint8_t>(DropReason::administrative));
  if (reason == 0) in.fail_with(errc::out_of_range);
  record.reason = static_cast<DropReason>(reason);
  if (since) record.since = in.position_other_than(kAlone);
  record.messages = in.references();
  return record;
}
Expired take_expired(Reader& in, bool since) {
  Expired record;
  record.session = in.session();
  record.group = in.group();
  if (since) record.since = in.position_other_than(kAlone);
  record.messages = in.references();
  return record;
}
RetainedNext take_retained_next(Reader& in, bool under) {
  RetainedNext record;
  record.session = in.session();
  record.mountpoint = in.text();
  record.options = in.options();
  record.filter = in.text();
  record.subscription_identifier = in.number<uint32_t>();
  record.since = in.position();
  record.after = in.text();
  if (under) record.attach = in.position_other_than(Position(0));
  return record;
}
NodeDown take_node_down(Reader& in, bool of) {
  NodeDown record{.last_clock = unzigzag(in.varint())};
  if (of) record.node = NodeEpoch(in.position_other_than(Position(0)).value);
  return record;
}
Own take_own(Reader& in) {
  Own record;
  record.partitions.resize(in.count(1));
  for (uint16_t& partition : record.partitions) partition = in.number<uint16_t>();
  return record;
}
Event take_event(Reader& in, bool alone) {
  Event record;
  record.kind = in.byte();
  record.alone = alone;
  record.fields = in.text();
  return record;
}
Told take_told(Reader& in) {
  Told record;
  record.sink = in.text();
  record.up_to = in.position();
  return record;
}
RetainedExpired take_retained_expired(Reader& in) {
  RetainedExpired record;
  record.mountpoint = in.text();
  record.topic = in.text();
  record.position = in.position();
  return record;
}

std::optional<Record> take_body(Type type, Reader& in) {
  switch (type) {
    case Type::publish:
    case Type::publish_under:
      return take_publish(in, type == Type::publish_under);
    case Type::subscribe:
      return take_subscribe(in);
    case Type::unsubscribe:
      return take_unsubscribe(in);
    case Type::attach:
    case Type::attach_seeing:
      return take_attach(in, type == Type::attach_seeing);
    case Type::detach:
      return take_detach(in);
    case Type::acked:
      return take_step<Acked>(in);
    case Type::sent:
      return take_step<Sent>(in);
    case Type::received:
      return take_step<Received>(in);
    case Type::completed:
      return take_step<Completed>(in);
    case Type::qos2_in:
      return take_packet_id<Qos2In>(in);
    case Type::released:
      return take_packet_id<Released>(in);
    case Type::dropped:
    case Type::dropped_since:
      return take_dropped(in, type == Type::dropped_since);
    case Type::expired:
    case Type::expired_since:
      return take_expired(in, type == Type::expired_since);
    case Type::retained_expired:
      return take_retained_expired(in);
    case Type::retained_next:
    case Type::retained_next_under:
      return take_retained_next(in, type == Type::retained_next_under);
    case Type::node_down:
    case Type::node_down_of:
      return take_node_down(in, type == Type::node_down_of);
    case Type::feature:
      return Feature{.version = in.number<uint32_t>()};
    case Type::own:
      return take_own(in);
    case Type::event:
    case Type::event_alone:
      return take_event(in, type == Type::event_alone);
    case Type::told:
      return take_told(in);
  }
  return std::nullopt;
}

Failure broken(errc error, std::string_view what) {
  return fail(error, std::string(what) + ": " + make_error_code(error).message());
}

template <typename Integer>
void put_little_endian(std::string& out, Integer value) {
  static_assert(std::endian::native == std::endian::little);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}
template <typename Integer>
Integer little_endian(std::string_view bytes) {
  Integer value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

constexpr size_t kChecksumBytes = sizeof(uint64_t);
constexpr size_t kBatchHeadBytes = 1 + sizeof(WallMs);

}  // namespace

void encode_message(std::string& out, const mqtt::Message& message) {
  put(out, static_cast<uint8_t>(static_cast<uint8_t>(message.qos) | (message.retain ? kRetain : 0) |
                                (message.properties.empty() ? 0 : kHasProperties) |
                                (message.publisher ? kHasPublisher : 0) |
                                (message.expires_at != 0 ? kHasExpiry : 0)));
  put(out, message.topic);
  put(out, message.payload);
  if (!message.properties.empty()) put(out, message.properties);
  if (message.publisher) put(out, message.publisher);
  put_varint(out, zigzag(message.received_at));
  if (message.expires_at != 0) {
    put_varint(out, difference(static_cast<uint64_t>(message.expires_at),
                               static_cast<uint64_t>(message.received_at)));
  }
}

Result<mqtt::MessagePtr> decode_message(std::string_view& bytes) {
  Reader in(bytes);
  mqtt::MessagePtr message = in.message();
  if (in.error()) return broken(*in.error(), "a stored message cannot be read");
  bytes = in.rest();
  return message;
}

void encode(std::string& out, const Record& record) {
  std::visit(
      [&out](const auto& r) {
        put(out, static_cast<uint8_t>(type_of(r)));
        const size_t length_at = out.size();
        const size_t room = varint_size(expected_size(r));
        out.append(room, '\0');
        put_body(out, r);
        const size_t length = out.size() - length_at - room;
        char bytes[kVarintBytesMax];
        const size_t needed = write_varint(bytes, length);
        if (needed > room) out.insert(length_at, needed - room, '\0');
        if (needed < room) out.erase(length_at, room - needed);
        std::memcpy(out.data() + length_at, bytes, needed);
      },
      record);
}

Result<Record> decode(std::string_view& bytes) {
  Reader in(bytes);
  const uint8_t type = in.byte();
  const std::string_view body = in.text();
  if (in.error()) return broken(*in.error(), "a record cannot be read");
  Reader fields(body);
  std::optional<Record> record = take_body(static_cast<Type>(type), fields);
  if (!record) {
    return fail(errc::unknown_type, "a record is of type " + std::to_string(type) +
                                        ", which this version does not know; was it written by a newer one?");
  }
  if (!fields.failed() && !fields.rest().empty()) fields.fail_with(errc::out_of_range);
  if (fields.error())
    return broken(*fields.error(), "a record of type " + std::to_string(type) + " cannot be read");
  bytes = in.rest();
  return std::move(*record);
}

std::string encode_batch(WallMs clock, size_t record_count, std::string_view encoded_records) {
  std::string out;
  out.reserve(kBatchHeadBytes + kVarintBytesMax + encoded_records.size() + kChecksumBytes);
  put(out, kFormat);
  put_little_endian(out, clock);
  put_varint(out, record_count);
  out.append(encoded_records);
  put_little_endian(out, static_cast<uint64_t>(XXH64(out.data(), out.size(), 0)));
  return out;
}

Result<DecodedBatch> decode_batch(std::string_view bytes) {
  constexpr std::string_view kWhat = "a batch of records cannot be read";
  if (bytes.empty()) return broken(errc::truncated, kWhat);
  const auto version = static_cast<uint8_t>(bytes.front());
  if (version != kFormat) {
    return fail(errc::unknown_version, "a batch of records has format " + std::to_string(version) +
                                           "; this version reads format " + std::to_string(kFormat));
  }
  if (bytes.size() < kBatchHeadBytes + kChecksumBytes) return broken(errc::truncated, kWhat);
  const std::string_view checked = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (XXH64(checked.data(), checked.size(), 0) != little_endian<uint64_t>(bytes.substr(checked.size()))) {
    return broken(errc::checksum, kWhat);
  }
  DecodedBatch batch;
  batch.clock = little_endian<WallMs>(checked.substr(1));
  Reader in(checked.substr(kBatchHeadBytes));
  const size_t count = in.count(2);
  if (in.error()) return broken(*in.error(), kWhat);
  std::string_view rest = in.rest();
  batch.records.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Result<Record> record = decode(rest);
    if (!record) return fail(record.error().within("record " + std::to_string(i) + " of a batch"));
    batch.records.push_back(std::move(*record));
  }
  if (!rest.empty()) return broken(errc::out_of_range, kWhat);
  return batch;
}

}  // namespace courier::record
