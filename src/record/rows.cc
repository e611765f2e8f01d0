#include "record/rows.h"

#include "record/codec.h"
#include "record/errc.h"
#include "record/wire.h"

namespace courier::record {

namespace {

Failure damaged(std::string_view what) {
  return fail(errc::out_of_range, std::string(what) + ": the bytes make no sense");
}

// Begins reading a value; an unknown version reads as a failure of its own kind.
Result<Reader> open(std::string_view value, std::string_view what) {
  Reader in(value);
  const uint8_t version = in.u8();
  if (!in.ok()) return fail(errc::truncated, std::string(what) + ": the row is empty");
  if (version != kRowFormat) {
    return fail(errc::unknown_version, std::string(what) + ": row format " + std::to_string(version) +
                                           " was written by a newer Courier; this one reads up to " +
                                           std::to_string(kRowFormat));
  }
  return in;
}

std::string begin_row() {
  return std::string(1, static_cast<char>(kRowFormat));
}

// qos 2 bits, no_local, retain_as_published, retain_handling 2 bits: the byte of SUBSCRIBE in 5.0.
uint8_t options_byte(const mqtt::SubscriptionOptions& options) {
  return static_cast<uint8_t>(static_cast<uint8_t>(options.qos) | options.no_local << 2 |
                              options.retain_as_published << 3 |
                              static_cast<uint8_t>(options.retain_handling) << 4);
}
mqtt::SubscriptionOptions take_options(Reader& in) {
  const uint8_t byte = in.u8();
  if ((byte & 3) == 3 || (byte >> 4) > 2) in.fail();
  return {static_cast<mqtt::Qos>(byte & 3), (byte & 4) != 0, (byte & 8) != 0,
          static_cast<mqtt::RetainHandling>(byte >> 4 & 3)};
}

void put_message(std::string& out, const mqtt::Message& message) {
  encode_message(out, message);
}
mqtt::MessagePtr take_message(Reader& in) {
  std::string_view rest = in.rest();
  auto message = decode_message(rest);
  if (!message) {
    in.fail();
    return {};
  }
  in.skip_to(rest);
  return *message;
}

mqtt::Qos take_qos(Reader& in) {
  return static_cast<mqtt::Qos>(in.varint(2));
}

constexpr uint8_t kHasWill = 1, kBoundsInbox = 2;

// Where a session is connected; the last is followed by the node.
constexpr uint8_t kNowhere = 0, kToNodeAlone = 1, kToNode = 2;

// What follows the numbers of a session's inbox, to the end of its row.
void put_extras(std::string& out, const session::Session& s) {
  put_varint(out, s.inbox.steps().size());
  for (const auto& step : s.inbox.steps()) {
    put_varint(out, step.seq);
    put_u8(out, static_cast<uint8_t>(step.step));
  }
  put_varint(out, s.taken.size());
  for (const uint16_t id : s.taken.sorted()) put_varint(out, id);
  put_varint(out, s.grouped->size());
  for (const auto& grouped : *s.grouped) {
    put_varint(out, grouped.origin.group);
    put_varint(out, grouped.origin.seq);
    put_varint(out, grouped.entry.seq);
    put_varint(out, grouped.entry.position.value);
    put_varint(out, grouped.entry.bytes);
    put_u8(out, grouped.entry.sole);
  }
  put_u8(out, static_cast<uint8_t>((s.will ? kHasWill : 0) | (s.inbox_messages_max != 0 ? kBoundsInbox : 0)));
  if (s.inbox_messages_max != 0) put_varint(out, s.inbox_messages_max);
  if (s.will) {
    put_varint(out, s.will->delay_seconds);
    put_varint(out, s.will->message_expiry_seconds);
    put_message(out, *s.will->message);
  }
  if (!s.walks) return;
  put_varint(out, s.walks->size());
  for (const session::RetainedWalk& walk : *s.walks) {
    put_text(out, walk.filter);
    put_u8(out, options_byte(walk.options));
    put_varint(out, walk.subscription_identifier);
    put_varint(out, walk.since.value);
    put_text(out, walk.after);
  }
}
// Returns the steps, which are the inbox's.
std::vector<session::Inbox::StepOf> take_extras(Reader& in, session::Session& s) {
  std::vector<session::Inbox::StepOf> steps(in.count());
  for (auto& step : steps) {
    step.seq = in.varint();
    step.step = static_cast<session::Step>(in.u8());
  }
  std::vector<uint16_t> taken(in.count());
  for (auto& id : taken) id = static_cast<uint16_t>(in.varint(UINT16_MAX));
  s.taken.restore(std::move(taken));
  std::vector<session::Session::Grouped> from_groups(in.count());
  for (auto& grouped : from_groups) {
    grouped.origin.group = in.varint();
    grouped.origin.seq = in.varint();
    grouped.entry.seq = in.varint();
    grouped.entry.position = Position(in.varint());
    grouped.entry.bytes = static_cast<uint32_t>(in.varint(UINT32_MAX));
    grouped.entry.sole = in.u8() != 0;
  }
  if (!from_groups.empty()) s.grouped.make() = std::move(from_groups);
  const uint8_t flags = in.u8();
  s.inbox_messages_max = flags & kBoundsInbox ? static_cast<uint32_t>(in.varint(UINT32_MAX)) : 0;
  if (flags & kHasWill) {
    session::Will will;
    will.delay_seconds = static_cast<uint32_t>(in.varint(UINT32_MAX));
    will.message_expiry_seconds = static_cast<uint32_t>(in.varint(UINT32_MAX));
    will.message = take_message(in);
    s.will = std::make_unique<const session::Will>(std::move(will));
  }
  if (!in.at_end()) {  // there are some; rows of old end here in any case
    s.walks = std::make_unique<std::vector<session::RetainedWalk>>(in.count());
    for (session::RetainedWalk& walk : *s.walks) {
      walk.filter = in.text();
      walk.options = take_options(in);
      walk.subscription_identifier = static_cast<uint32_t>(in.varint(UINT32_MAX));
      walk.since = Position(in.varint());
      walk.after = in.text();
    }
  }
  return steps;
}

}  // namespace

std::string session_key(SessionId session) {
  std::string key;
  put_be64(key, session.value);
  return key;
}
std::string inbox_key(SessionId session, uint64_t seq) {
  std::string key;
  put_be64(key, session.value);
  put_be64(key, seq);
  return key;
}
std::string retained_key(std::string_view mountpoint, std::string_view topic) {
  std::string key;
  put_text(key, mountpoint);
  key.append(topic);
  return key;
}
std::string group_key(GroupId group) {
  return session_key(SessionId(group.value));
}
std::string group_inbox_key(GroupId group, uint64_t seq) {
  return inbox_key(SessionId(group.value), seq);
}

Result<SessionId> decode_session_key(std::string_view key) {
  Reader in(key);
  const SessionId session(in.be64());
  if (!in.at_end()) return damaged("key of a session");
  return session;
}
Result<InboxKey> decode_inbox_key(std::string_view key) {
  Reader in(key);
  InboxKey decoded;
  decoded.session = SessionId(in.be64());
  decoded.seq = in.be64();
  if (!in.at_end()) return damaged("key of an inbox entry");
  return decoded;
}

std::string encode_session(const session::Session& s) {
  std::string out = begin_row();
  put_text(out, s.mountpoint);
  put_text(out, s.client_id);
  put_text(out, s.username);
  put_u8(out, static_cast<uint8_t>(s.version));
  if (s.connected && s.node) {
    put_u8(out, kToNode);
    put_varint(out, s.node.value);
  } else {
    put_u8(out, s.connected ? kToNodeAlone : kNowhere);
  }
  put_varint(out, s.attach.value);
  put_varint(out, s.expiry_seconds);
  put_varint(out, static_cast<uint64_t>(s.detached_at));
  put_varint(out, s.sent_before);
  put_varint(out, s.inbox.first());
  put_varint(out, s.inbox.next());
  put_varint(out, s.inbox.count());
  put_varint(out, s.inbox.bytes());
  put_extras(out, s);
  return out;
}

Result<void> decode_session(std::string_view value, session::Session& s) {
  auto opened = open(value, "session");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  s.mountpoint = in.text();
  s.client_id = in.text();
  s.username = in.text();
  s.version = static_cast<mqtt::Version>(in.u8());
  const uint8_t connected = in.u8();
  s.connected = connected != kNowhere;
  s.node = connected == kToNode ? NodeEpoch(in.varint()) : NodeEpoch();
  s.attach = Position(in.varint());
  s.expiry_seconds = static_cast<uint32_t>(in.varint(UINT32_MAX));
  s.detached_at = static_cast<WallMs>(in.varint(INT64_MAX));
  s.sent_before = in.varint();
  const uint64_t first = in.varint(), next = in.varint(), count = in.varint(), bytes = in.varint();
  auto steps = take_extras(in, s);
  if (!in.at_end() || first > next || count > next - first) return damaged("session");
  s.inbox.restore(first, next, count, bytes, std::move(steps));
  s.dirty = false;
  return {};
}

std::string encode_session_extras(const session::Session& session) {
  const bool any = !session.inbox.steps().empty() || session.taken.size() > 0 || !session.grouped->empty() ||
                   session.will || session.walks || session.inbox_messages_max != 0;
  std::string out;
  if (any) put_extras(out, session);
  return out;
}

Result<void> decode_session_extras(std::string_view extras, session::Session& into) {
  Reader in(extras);
  auto steps = take_extras(in, into);
  if (!in.at_end()) return damaged("session");
  const session::Inbox& inbox = into.inbox;
  into.inbox.restore(inbox.first(), inbox.next(), inbox.count(), inbox.bytes(), std::move(steps));
  return {};
}

std::string encode_subscriptions(const Subscriptions& subscriptions) {
  std::string out = begin_row();
  put_text(out, subscriptions.mountpoint);
  put_varint(out, subscriptions.filters.size());
  for (const Subscription& s : subscriptions.filters) {
    put_text(out, s.filter);
    put_u8(out, options_byte(s.options));
    put_varint(out, s.subscription_identifier);
  }
  return out;
}

Result<Subscriptions> decode_subscriptions(std::string_view value) {
  auto opened = open(value, "subscriptions");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  Subscriptions subscriptions;
  subscriptions.mountpoint = in.text();
  subscriptions.filters.resize(in.count());
  for (Subscription& s : subscriptions.filters) {
    s.filter = in.text();
    s.options = take_options(in);
    s.subscription_identifier = static_cast<uint32_t>(in.varint(UINT32_MAX));
  }
  if (!in.at_end()) return damaged("subscriptions");
  return subscriptions;
}

std::string encode_entry(const session::Entry& entry) {
  std::string out = begin_row();
  const size_t identifiers = entry.extras ? entry.extras->subscription_identifiers.size() : 0;
  const bool grouped = entry.origin().group != 0;
  put_u8(out, static_cast<uint8_t>(static_cast<uint8_t>(entry.qos) | entry.retain << 2 | entry.sole << 3 |
                                   (identifiers > 0) << 4 | grouped << 5));
  put_varint(out, entry.position.value);
  if (identifiers > 0) {
    put_varint(out, identifiers);
    for (const uint32_t id : entry.extras->subscription_identifiers) put_varint(out, id);
  }
  if (grouped) {
    put_varint(out, entry.extras->origin.group);
    put_varint(out, entry.extras->origin.seq);
  }
  if (entry.sole) put_message(out, *entry.message);
  return out;
}

Result<session::Entry> decode_entry(std::string_view value) {
  auto opened = open(value, "inbox entry");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  session::Entry entry;
  const uint8_t flags = in.u8();
  if ((flags & 3) == 3 || (flags & 3) == 0) in.fail();
  entry.qos = static_cast<mqtt::Qos>(flags & 3);
  entry.retain = (flags & 4) != 0;
  entry.sole = (flags & 8) != 0;
  entry.position = Position(in.varint());
  if (flags & 0x30) entry.extras = std::make_unique<session::Entry::Extras>();
  if (flags & 0x10) {
    entry.extras->subscription_identifiers.resize(in.count());
    for (uint32_t& id : entry.extras->subscription_identifiers) {
      id = static_cast<uint32_t>(in.varint(UINT32_MAX));
    }
  }
  if (flags & 0x20) {
    entry.extras->origin.group = in.varint();
    entry.extras->origin.seq = in.varint();
  }
  if (entry.sole) entry.message = take_message(in);
  if (!in.at_end()) return damaged("inbox entry");
  return entry;
}

std::string encode_retained(std::string_view mountpoint, const mqtt::Message& message, Position position) {
  std::string out = begin_row();
  put_text(out, mountpoint);
  put_varint(out, position.value);
  put_message(out, message);
  return out;
}

Result<RetainedRow> decode_retained(std::string_view value) {
  auto opened = open(value, "retained message");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  RetainedRow row;
  row.mountpoint = in.text();
  row.position = Position(in.varint());
  row.message = take_message(in);
  if (!in.at_end()) return damaged("retained message");
  return row;
}

std::string encode_group(const routing::SharedGroup& group) {
  std::string out = begin_row();
  put_varint(out, group.id.value);
  put_text(out, group.mountpoint);
  put_text(out, group.name);
  put_text(out, group.filter);
  put_varint(out, group.seq_next);
  put_varint(out, group.last_served.value);
  put_varint(out, group.members.size());
  for (const auto& [session, member] : group.members) {
    put_varint(out, session.value);
    put_u8(out, options_byte(member.options));
    put_varint(out, member.subscription_identifier);
    put_varint(out, member.window);
    put_u8(out, static_cast<uint8_t>(member.connected | member.leaving << 1));
  }
  return out;
}

Result<routing::SharedGroup> decode_group(std::string_view value) {
  auto opened = open(value, "shared group");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  routing::SharedGroup group;
  group.id = GroupId(in.varint());
  group.mountpoint = in.text();
  group.name = in.text();
  group.filter = in.text();
  group.seq_next = in.varint();
  group.last_served = SessionId(in.varint());
  for (size_t left = in.count(); left > 0 && in.ok(); --left) {
    const SessionId session(in.varint());
    routing::GroupMember member;
    member.options = take_options(in);
    member.subscription_identifier = static_cast<uint32_t>(in.varint(UINT32_MAX));
    member.window = static_cast<uint32_t>(in.varint(UINT32_MAX));
    const uint8_t flags = in.u8();
    member.connected = (flags & 1) != 0;
    member.leaving = (flags & 2) != 0;
    group.members.emplace(session, std::move(member));
  }
  if (!in.at_end()) return damaged("shared group");
  return group;
}

std::string encode_group_entry(const routing::GroupEntry& entry) {
  std::string out = begin_row();
  put_varint(out, entry.position.value);
  put_varint(out, entry.member.value);
  put_varint(out, static_cast<uint8_t>(entry.qos));
  put_message(out, *entry.message);
  return out;
}

Result<routing::GroupEntry> decode_group_entry(std::string_view value) {
  auto opened = open(value, "entry of a shared group");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  routing::GroupEntry entry;
  entry.position = Position(in.varint());
  entry.member = SessionId(in.varint());
  entry.qos = take_qos(in);
  entry.message = take_message(in);
  if (!in.at_end()) return damaged("entry of a shared group");
  return entry;
}

std::string encode_owners(std::span<const NodeEpoch> owners) {
  std::string out = begin_row();
  put_varint(out, owners.size());
  for (const NodeEpoch owner : owners) put_varint(out, owner.value);
  return out;
}

Result<std::vector<NodeEpoch>> decode_owners(std::string_view value) {
  auto opened = open(value, "owners of partitions");
  if (!opened) return fail(std::move(opened.error()));
  Reader& in = *opened;
  std::vector<NodeEpoch> owners(in.count());
  for (NodeEpoch& owner : owners) owner = NodeEpoch(in.varint());
  if (!in.at_end()) return damaged("owners of partitions");
  return owners;
}

}  // namespace courier::record
