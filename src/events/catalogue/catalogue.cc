#include "events/catalogue/catalogue.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace courier::events {
namespace {

using enum Field;

constexpr std::array<FieldInfo, kFieldCount> kFields{{
    {id, "id", Shape::text, "of this event: the same whenever it is sent again"},
    {kind, "kind", Shape::text, "what happened: a name of the table of kinds"},
    {time_ns, "time_ns", Shape::big, "when, in nanoseconds since 1970"},
    {node, "node", Shape::text, "the node that it happened at"},
    {best_effort, "best_effort", Shape::flag, "true: events like this can be lost; absent: they are not"},
    {session_id, "session_id", Shape::text,
     "of the client's session, 16 hex digits: others after each clean start"},
    {client_id, "client_id", Shape::text, "the client's identifier"},
    {username, "username", Shape::text, "the client's user name"},
    {mountpoint, "mountpoint", Shape::text, "the client's mountpoint; absent: the default one"},
    {peer, "peer", Shape::text, "address and port that the client comes from, as PROXY says where it does"},
    {listener, "listener", Shape::text, "name of the listener that the client came by"},
    {protocol, "protocol", Shape::text, "3.1, 3.1.1 or 5.0"},
    {clean_start, "clean_start", Shape::flag, "whether the client asked for a new session"},
    {session_present, "session_present", Shape::flag, "whether it got a session that was there before"},
    {expiry_seconds, "expiry_seconds", Shape::number, "session expiry interval; 0: ends with the connection"},
    {message_id, "message_id", Shape::big,
     "of the message, the same in all events about it; absent where it never was in the log"},
    {topic, "topic", Shape::text, "the message's topic"},
    {qos, "qos", Shape::number, "of the message as published, or as delivered"},
    {retain, "retain", Shape::flag, "the RETAIN flag, likewise"},
    {payload, "payload", Shape::bytes, "the message's payload, for who asked for payloads"},
    {content_type, "content_type", Shape::text, "the message's Content Type"},
    {response_topic, "response_topic", Shape::text, "the message's Response Topic"},
    {correlation_data, "correlation_data", Shape::bytes, "the message's Correlation Data"},
    {user_properties, "user_properties", Shape::pairs, "the message's User Properties, in their order"},
    {publisher_session_id, "publisher_session_id", Shape::text, "session_id of the message's publisher"},
    {label, "label", Shape::text, "of the access rule that let the message in"},
    {filters, "filters", Shape::texts, "the topic filters"},
    {granted_qos, "granted_qos", Shape::numbers, "as many: what each was granted; 128 and above: refused"},
    {reason, "reason", Shape::text, "why: one of few words"},
    {latency_ns, "latency_ns", Shape::big, "from the message's arrival to this event, in nanoseconds"},
    {messages, "messages", Shape::number, "how many messages were waiting, and are gone with the session"},
    {traceparent, "traceparent", Shape::text, "W3C trace context, as the publisher's User Property says"},
}};

constexpr Field kConnect[] = {session_id, client_id, username,    mountpoint,      peer,
                              listener,   protocol,  clean_start, session_present, expiry_seconds};
constexpr Field kConnectFailed[] = {client_id, username, mountpoint, peer, listener, protocol, reason};
constexpr Field kDisconnect[] = {session_id, client_id, username, mountpoint, peer, listener, reason};
constexpr Field kSubscribe[] = {session_id, client_id, username, mountpoint, protocol, filters, granted_qos};
constexpr Field kUnsubscribe[] = {session_id, client_id, username, mountpoint, protocol, filters};
constexpr Field kPublish[] = {session_id,       client_id,       username,     mountpoint,
                              protocol,         message_id,      topic,        qos,
                              retain,           payload,         content_type, response_topic,
                              correlation_data, user_properties, label,        traceparent};
constexpr Field kDelivery[] = {session_id, client_id,  username,   mountpoint, message_id,
                               topic,      qos,        retain,     payload,    publisher_session_id,
                               label,      latency_ns, traceparent};
constexpr Field kDrop[] = {session_id, client_id, username,   mountpoint, message_id,
                           topic,      qos,       retain,     payload,    publisher_session_id,
                           label,      reason,    traceparent};
constexpr Field kQueued[] = {session_id, client_id, username, mountpoint,           message_id, topic,
                             qos,        retain,    payload,  publisher_session_id, label,      traceparent};
constexpr Field kLife[] = {session_id, client_id, username, mountpoint};
constexpr Field kEnd[] = {session_id, client_id, username, mountpoint, messages};

constexpr std::array<KindInfo, kKindCount> kKinds{{
    {Kind::connect, "connect", true, "A client connected.", kConnect},
    {Kind::connect_failed, "connect_failed", false, "A CONNECT was refused.", kConnectFailed},
    {Kind::disconnect, "disconnect", true, "A client's connection ended, in whatever way.", kDisconnect},
    {Kind::subscribe, "subscribe", true, "A client subscribed.", kSubscribe},
    {Kind::unsubscribe, "unsubscribe", true, "A client unsubscribed.", kUnsubscribe},
    {Kind::publish, "publish", true, "A message was taken.", kPublish},
    {Kind::deliver, "deliver", false, "A message was sent to a client.", kDelivery},
    {Kind::delivery_complete, "delivery_complete", true, "A client acknowledged a message of QoS 1 or 2.",
     kDelivery},
    {Kind::drop, "drop", true, "A message that waited for a client was given up.", kDrop},
    {Kind::offline_message, "offline_message", false, "A message waits for a client that is not connected.",
     kQueued},
    {Kind::client_wakeup, "client_wakeup", true, "A client came back to its stored session.", kLife},
    {Kind::client_offline, "client_offline", true, "A client left; its session stays.", kLife},
    {Kind::client_gone, "client_gone", true, "A client left, and its session with it.", kEnd},
    {Kind::session_expired, "session_expired", true, "A session ended because its client stayed away.", kEnd},
}};

// In the order of their numbers, from 1: looking one up is an index.
static_assert([] {
  for (size_t i = 0; i < kFields.size(); ++i)
    if (static_cast<size_t>(kFields[i].field) != i + 1) return false;
  for (size_t i = 0; i < kKinds.size(); ++i)
    if (static_cast<size_t>(kKinds[i].kind) != i + 1) return false;
  return true;
}());

}  // namespace

std::span<const KindInfo> kinds() {
  return kKinds;
}
std::span<const FieldInfo> fields() {
  return kFields;
}
const KindInfo& info(Kind kind) {
  const auto at = static_cast<size_t>(kind) - 1;
  CHECK(at < kKinds.size());
  return kKinds[at];
}
std::string type_of(Kind kind) {
  return "courier." + std::string(info(kind).name);
}
const FieldInfo& info(Field field) {
  const auto at = static_cast<size_t>(field) - 1;
  CHECK(at < kFields.size());
  return kFields[at];
}

std::optional<Kind> kind_of(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &KindInfo::name);
  if (found == kKinds.end()) return std::nullopt;
  return found->kind;
}
std::optional<Kind> kind_of(uint8_t number) {
  if (number == 0 || number > kKindCount) return std::nullopt;
  return static_cast<Kind>(number);
}
const FieldInfo* find_field(uint32_t number) {
  return number == 0 || number > kFieldCount ? nullptr : &kFields[number - 1];
}

Kinds Kinds::all() {
  Kinds set;
  for (const KindInfo& each : kKinds) set |= of(each.kind);
  return set;
}

}  // namespace courier::events
