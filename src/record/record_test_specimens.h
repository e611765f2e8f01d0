// Records for tests: one fixed specimen of each kind (its bytes are in samples/), and random ones by seed.
// Included by tests, fuzzers and benchmarks only.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "record/record.h"

namespace courier::record {

inline bool same(const mqtt::MessagePtr& a, const mqtt::MessagePtr& b) {
  if (!a || !b) return !a && !b;
  return a->topic == b->topic && a->payload == b->payload && a->properties == b->properties &&
         a->publisher == b->publisher && a->expires_at == b->expires_at && a->received_at == b->received_at &&
         a->qos == b->qos && a->retain == b->retain;
}
inline bool same(const Publish& a, const Publish& b) {
  return same(a.message, b.message) && a.mountpoint == b.mountpoint && a.will_of == b.will_of &&
         a.attach == b.attach;
}
inline bool same(const Attach& a, const Attach& b) {
  const bool wills = a.will.message && b.will.message
                         ? same(a.will.message, b.will.message) &&
                               a.will.delay_seconds == b.will.delay_seconds &&
                               a.will.message_expiry_seconds == b.will.message_expiry_seconds
                         : !a.will.message == !b.will.message;
  return wills && a.before == b.before && a.ends == b.ends && a.seen == b.seen &&
         a.mountpoint == b.mountpoint && a.client_id == b.client_id && a.username == b.username &&
         a.version == b.version && a.expiry_seconds == b.expiry_seconds && a.window == b.window &&
         a.inbox_messages_max == b.inbox_messages_max;
}
template <typename R>
bool same(const R& a, const R& b) {
  return a == b;
}
// Whether two records say the same. (Messages are compared by what they hold, not by who holds them.)
inline bool same(const Record& a, const Record& b) {
  if (a.index() != b.index()) return false;
  return std::visit([&b](const auto& r) { return same(r, std::get<std::decay_t<decltype(r)>>(b)); }, a);
}

inline mqtt::MessagePtr specimen_message() {
  auto* message = mqtt::Message::make("merchant/4711/orders", R"({"order":"A-1009","items":2})",
                                      std::string_view("\x01\x01\x03\x00\x10"
                                                       "application/json",
                                                       21));
  message->publisher = SessionId((uint64_t{1234} << 16) | 0xBEEF);
  message->received_at = 1'700'000'000'123;
  message->expires_at = message->received_at + 60'000;
  message->qos = mqtt::Qos::at_least_once;
  return mqtt::MessagePtr(message);
}

// Kinds of records that were added after the first golden files stand behind these.
inline constexpr size_t kSpecimensInGoldenFiles = 18;

// Name (of its file in samples/) and record. Fixed: the golden bytes follow from it.
inline std::vector<std::pair<std::string, Record>> specimens() {
  const SessionRef by{SessionId((uint64_t{1000} << 16) | 0x0102), Position(2000)};
  const std::vector<InboxRef> messages{
      {.seq = 7, .position = Position(3001), .bytes = 400, .sole = true, .group = {}},
      {.seq = 8, .position = Position(3002), .bytes = 120'000, .sole = false, .group = {}},
      {.seq = 12,
       .position = Position(2990),
       .bytes = 96,
       .sole = false,
       .group = GroupId(900),
       .group_seq = 5}};
  const auto step = [&](auto record) {
    record.by = by;
    record.messages = messages;
    return record;
  };
  auto* will_message = mqtt::Message::make("status/phone-1", "gone");
  will_message->retain = true;
  Attach attach{.before = by.session,
                .mountpoint = "",
                .client_id = "phone-1",
                .username = "driver",
                .expiry_seconds = 86'400,
                .window = 300,
                .version = mqtt::Version::v5,
                .will = {}};
  attach.will =
      Will{.message = mqtt::MessagePtr(will_message), .delay_seconds = 30, .message_expiry_seconds = 600};
  Attach bounded = attach;
  bounded.inbox_messages_max = 1000;
  Attach seeing = bounded;
  seeing.seen = by.attach;
  seeing.ends = true;
  return {
      {"publish", Publish{.message = specimen_message(), .mountpoint = "", .will_of = {}}},
      {"publish_will", Publish{.message = specimen_message(), .mountpoint = "tenant", .will_of = by}},
      {"subscribe", Subscribe{.by = by,
                              .mountpoint = "tenant",
                              .entries = {{"merchant/+/orders", {.qos = mqtt::Qos::at_least_once}},
                                          {"$share/g/#",
                                           {.qos = mqtt::Qos::exactly_once,
                                            .no_local = false,
                                            .retain_as_published = true,
                                            .retain_handling = mqtt::RetainHandling::do_not_send}}},
                              .subscription_identifier = 268'435'455,
                              .window = 32}},
      {"unsubscribe", Unsubscribe{.by = by, .mountpoint = "", .filters = {"a/b", "#"}}},
      {"attach", attach},
      {"attach_new", Attach{.before = by.session,
                            .mountpoint = "m",
                            .client_id = "c",
                            .username = "",
                            .expiry_seconds = kNeverExpires,
                            .window = 0,
                            .version = mqtt::Version::v3_1_1,
                            .ends = true,
                            .will = {}}},
      {"detach", Detach{.of = by, .drops_will = true, .expiry_seconds = 3600, .sent_up_to = 13}},
      {"acked", step(Acked{})},
      {"sent", step(Sent{})},
      {"received", step(Received{})},
      {"completed", step(Completed{})},
      {"qos2_in",
       Qos2In{.by = {SessionId(SessionId::kEphemeralBit | 77), {}}, .packet_id = PacketId(65'535)}},
      {"released", Released{.by = by, .packet_id = PacketId(1)}},
      {"dropped",
       Dropped{
           .session = by.session, .group = {}, .reason = DropReason::inbox_full_bytes, .messages = messages}},
      {"expired", Expired{.session = {}, .group = GroupId(900), .messages = messages}},
      {"retained_expired",
       RetainedExpired{.mountpoint = "", .topic = "status/phone-1", .position = Position(88)}},
      {"node_down", NodeDown{.last_clock = 1'700'000'000'500}},
      {"feature", Feature{.version = 1}},
      {"retained_next", RetainedNext{.session = by.session,
                                     .mountpoint = "m",
                                     .filter = "status/#",
                                     .options = {.qos = mqtt::Qos::at_least_once, .no_local = true},
                                     .subscription_identifier = 7,
                                     .since = Position(4711),
                                     .after = "status/phone-255"}},
      {"attach_bounded", bounded},
      {"attach_seeing", seeing},
      {"publish_under",
       Publish{.message = specimen_message(), .mountpoint = "", .will_of = {}, .attach = by.attach}},
      {"retained_next_under", RetainedNext{.session = by.session,
                                           .mountpoint = "m",
                                           .filter = "status/#",
                                           .options = {.qos = mqtt::Qos::at_least_once},
                                           .since = Position(4711),
                                           .after = "status/phone-255",
                                           .attach = by.attach}},
      {"dropped_since", Dropped{.session = by.session,
                                .group = {},
                                .reason = DropReason::inbox_full_messages,
                                .since = by.attach,
                                .messages = messages}},
      {"expired_since",
       Expired{.session = by.session, .group = {}, .since = by.attach, .messages = messages}},
      {"node_down_of", NodeDown{.last_clock = 1'700'000'000'500, .node = NodeEpoch(71)}},
      {"own", Own{.partitions = {0, 7, 255}}},
      {"event", Event{.kind = 8, .fields = "\x3A\x07phone-1"}},
      {"event_alone", Event{.kind = 1, .alone = true, .fields = ""}},
      {"told", Told{.sink = "kafka", .up_to = Position(5000)}},
  };
}

// Random records, the same for the same seed.
class RecordMaker {
 public:
  explicit RecordMaker(uint64_t seed) : random_(seed) {}

  // Up to `max`, small values far more often than their share, and the extremes now and then.
  uint64_t number(uint64_t max = ~uint64_t{0}) {
    const uint64_t bits = random_() % 66;
    if (bits == 65) return max;
    const uint64_t value = bits == 64 ? random_() : random_() & ((uint64_t{1} << bits) - 1);
    return std::min(value, max);
  }
  bool flip() { return (random_() & 1) != 0; }
  std::string text(size_t size_max = 40) {
    std::string value(random_() % (size_max + 1), '\0');
    for (char& c : value) c = static_cast<char>(random_());
    return value;
  }
  mqtt::MessagePtr message(size_t payload_max = 300) {
    const std::string topic = text(), payload = text(payload_max), properties = flip() ? text() : "";
    auto* message = mqtt::Message::make(topic, payload, properties);
    if (flip()) message->publisher = SessionId(number());
    message->received_at = static_cast<WallMs>(number());
    if (flip()) message->expires_at = static_cast<WallMs>(number());
    message->qos = static_cast<mqtt::Qos>(random_() % 3);
    message->retain = flip();
    return mqtt::MessagePtr(message);
  }
  SessionRef session_ref() { return {SessionId(number()), Position(number())}; }
  Position seen() { return Position(1 + number(1'000'000)); }
  std::vector<InboxRef> references() {
    std::vector<InboxRef> list(random_() % 8);
    for (InboxRef& reference : list) {
      reference = {.seq = number(),
                   .position = Position(number()),
                   .bytes = static_cast<uint32_t>(number(0xFFFFFFFF)),
                   .sole = flip(),
                   .group = {}};
      if (flip()) reference.group = GroupId(number());
      if (flip()) reference.group_seq = number();
    }
    return list;
  }
  Record record() {
    switch (random_() % std::variant_size_v<Record>) {
      case 0:
        return Publish{message(), text(), flip() ? session_ref() : SessionRef{},
                       flip() ? seen() : Position()};
      case 1: {
        Subscribe record{.by = session_ref(),
                         .mountpoint = text(),
                         .entries = {},
                         .subscription_identifier = static_cast<uint32_t>(number(0xFFFFFFFF)),
                         .window = static_cast<uint16_t>(number(0xFFFF))};
        record.entries.resize(random_() % 5);
        for (Subscribe::Entry& entry : record.entries) {
          entry = {text(),
                   {static_cast<mqtt::Qos>(random_() % 3), flip(), flip(),
                    static_cast<mqtt::RetainHandling>(random_() % 3)}};
        }
        return record;
      }
      case 2: {
        Unsubscribe record{session_ref(), text(), {}};
        record.filters.resize(random_() % 5);
        for (std::string& filter : record.filters) filter = text();
        return record;
      }
      case 3: {
        Attach record{.before = SessionId(number()),
                      .mountpoint = text(),
                      .client_id = text(),
                      .username = text(),
                      .expiry_seconds = static_cast<uint32_t>(number(kNeverExpires)),
                      .window = static_cast<uint16_t>(number(0xFFFF)),
                      .version = static_cast<mqtt::Version>(3 + random_() % 3),
                      .will = {}};
        if (flip()) {
          record.will = Will{message(), static_cast<uint32_t>(number(0xFFFFFFFF)),
                             static_cast<uint32_t>(number(0xFFFFFFFF))};
        }
        if (flip()) record.inbox_messages_max = static_cast<uint32_t>(number(0xFFFFFFFF));
        if (flip()) record.seen = seen();
        record.ends = record.before && flip();
        return record;
      }
      case 4:
        return Detach{session_ref(), flip(), flip(), static_cast<uint32_t>(number(0xFFFFFFFF)), number()};
      case 5:
        return Acked{{session_ref(), references()}};
      case 6:
        return Sent{{session_ref(), references()}};
      case 7:
        return Received{{session_ref(), references()}};
      case 8:
        return Completed{{session_ref(), references()}};
      case 9:
        return Qos2In{session_ref(), PacketId(static_cast<uint16_t>(number(0xFFFF)))};
      case 10:
        return Released{session_ref(), PacketId(static_cast<uint16_t>(number(0xFFFF)))};
      case 11:
        return Dropped{SessionId(number()), GroupId(number()), static_cast<DropReason>(1 + random_() % 5),
                       flip() ? seen() : kAlone, references()};
      case 12:
        return Expired{SessionId(number()), GroupId(number()), flip() ? seen() : kAlone, references()};
      case 13:
        return RetainedExpired{text(), text(), Position(number())};
      case 14:
        return RetainedNext{.session = SessionId(number()),
                            .mountpoint = text(),
                            .filter = text(),
                            .options = {.no_local = true},
                            .subscription_identifier = static_cast<uint32_t>(number(0xFFFFFFFF)),
                            .since = Position(number()),
                            .after = text(),
                            .attach = flip() ? seen() : Position()};
      case 15:
        return NodeDown{static_cast<WallMs>(number()), NodeEpoch(flip() ? number() : 0)};
      case 16: {
        Own record;
        record.partitions.resize(random_() % 5);
        for (uint16_t& partition : record.partitions) partition = static_cast<uint16_t>(number(0xFFFF));
        return record;
      }
      case 17:
        return Event{static_cast<uint8_t>(number(0xFF)), flip(), text(200)};
      case 18:
        return Told{text(), Position(number())};
      default:
        return Feature{static_cast<uint32_t>(number(0xFFFFFFFF))};
    }
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace courier::record
