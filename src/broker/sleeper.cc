#include "broker/sleeper.h"

#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/varint.h"
#include "broker/client_table.h"
#include "broker/dense_blocks.h"
#include "record/rows.h"

namespace courier::broker {

namespace {

constexpr uint64_t kVersionMask = 7, kHasMountpoint = 1 << 3, kHasUsername = 1 << 4, kExpires = 1 << 5,
                   kHasInbox = 1 << 6, kHasDeadline = 1 << 7, kCounts = 1 << 8, kManyFilters = 1 << 9,
                   kHasExtras = 1 << 10, kHasNode = 1 << 11;
constexpr size_t kFlagsAt = 1, kIdAt = 3, kFilterAt = 11, kRestAt = 19;

uint64_t load(const std::byte* from, size_t bytes) {
  uint64_t value = 0;
  std::memcpy(&value, from, bytes);  // as it was stored, by this very process
  return value;
}
void put_whole(std::string& out, uint64_t value, size_t bytes) {
  out.append(reinterpret_cast<const char*>(&value), bytes);
}
void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

// The block is ours: it is what was written.
class Fields {
 public:
  explicit Fields(const std::byte* block)
      : rest_(reinterpret_cast<const char*>(block) + kRestAt, DenseBlocks::size(block) - kRestAt) {}
  uint64_t number() {
    const auto value = take_varint(rest_);
    CHECK(value);
    return *value;
  }
  std::string_view text() {
    const size_t size = number();
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

// When an ATTACH created the session, in the id.
uint64_t created_at(SessionId id) {
  return id.value >> 16;
}

}  // namespace

SessionId Sleeper::id_of(const std::byte* block) {
  return SessionId(load(block + kIdAt, 8));
}

void Sleeper::set_filter(std::byte* block, uint64_t hash) {
  std::memcpy(block + kFilterAt, &hash, sizeof(hash));
}

Sleeper Sleeper::read_name(const std::byte* block) {
  Sleeper sleeper;
  Fields in(block);
  if (load(block + kFlagsAt, 2) & kHasMountpoint) sleeper.mountpoint = static_cast<uint32_t>(in.number());
  sleeper.client_id = in.text();
  return sleeper;
}

Sleeper Sleeper::read(const std::byte* block) {
  Sleeper sleeper;
  const uint64_t flags = load(block + kFlagsAt, 2);
  sleeper.id = id_of(block);
  sleeper.filter = load(block + kFilterAt, 8);
  sleeper.version = static_cast<mqtt::Version>(flags & kVersionMask);
  Fields in(block);
  if (flags & kHasMountpoint) sleeper.mountpoint = static_cast<uint32_t>(in.number());
  sleeper.client_id = in.text();
  if (flags & kHasUsername) sleeper.username = in.text();
  sleeper.attach = Position(created_at(sleeper.id) + in.number());
  sleeper.detached_at = static_cast<WallMs>(in.number());
  sleeper.expiry_seconds = flags & kExpires ? static_cast<uint32_t>(in.number()) : session::kNeverExpires;
  if (flags & kHasInbox) {
    sleeper.sent_before = in.number();
    sleeper.next = in.number();
    sleeper.first = sleeper.next - in.number();
    sleeper.count = in.number();
    sleeper.bytes = in.number();
  }
  sleeper.deadline = session::Session::kNever;
  if (flags & kHasDeadline) sleeper.deadline = static_cast<WallMs>(in.number());
  if (flags & kManyFilters) sleeper.more_filters = in.text();
  sleeper.subscription_count = static_cast<uint32_t>(
      flags & kCounts ? in.number() : (sleeper.filter != 0) + sleeper.more_filters.size() / 8);
  if (flags & kHasExtras) sleeper.extras = in.text();
  if (flags & kHasNode) sleeper.node = NodeEpoch(in.number());
  return sleeper;
}

bool may_sleep(const Client& client) {
  const session::Session& session = client.session;
  const bool elsewhere = session.connected && session.node;
  return !session.id.ephemeral() && (!session.connected || elsewhere) && !session.dirty &&
         !client.connection && !client.work && !client.loading && !client.limits_wanted &&
         !client.pump_wanted && !client.walk_pending && !client.gap_damaged && session.inbox.at_rest() &&
         (session.inbox.count() > 0 || session.inbox.first() == session.inbox.next());
}

void pack(const Client& client, uint32_t mountpoint, std::string& block) {
  const session::Session& session = client.session;
  const session::Inbox& inbox = session.inbox;
  const std::vector<uint64_t>& many = client.filters.many();
  const std::string extras = record::encode_session_extras(session);
  const bool counts = session.subscription_count != (client.filters.one() != 0) + many.size();
  const bool has_inbox = inbox.next() != 0 || session.sent_before != 0;
  uint64_t flags = static_cast<uint64_t>(session.version);
  CHECK((flags & ~kVersionMask) == 0);
  if (mountpoint != 0) flags |= kHasMountpoint;
  if (!session.username.empty()) flags |= kHasUsername;
  if (session.expiry_seconds != session::kNeverExpires) flags |= kExpires;
  if (has_inbox) flags |= kHasInbox;
  if (client.deadline != session::Session::kNever) flags |= kHasDeadline;
  if (counts) flags |= kCounts;
  if (!many.empty()) flags |= kManyFilters;
  if (!extras.empty()) flags |= kHasExtras;
  if (session.connected) flags |= kHasNode;

  block.assign(1, '\0');
  put_whole(block, flags, 2);
  put_whole(block, session.id.value, 8);
  put_whole(block, client.filters.one(), 8);
  if (mountpoint != 0) put_varint(block, mountpoint);
  put_text(block, session.client_id);
  if (!session.username.empty()) put_text(block, session.username);
  put_varint(block, session.attach.value - created_at(session.id));
  put_varint(block, static_cast<uint64_t>(session.detached_at));
  if (session.expiry_seconds != session::kNeverExpires) put_varint(block, session.expiry_seconds);
  if (has_inbox) {
    put_varint(block, session.sent_before);
    put_varint(block, inbox.next());
    put_varint(block, inbox.next() - inbox.first());
    put_varint(block, inbox.count());
    put_varint(block, inbox.bytes());
  }
  if (client.deadline != session::Session::kNever) put_varint(block, static_cast<uint64_t>(client.deadline));
  if (!many.empty()) {
    put_varint(block, many.size() * 8);
    for (const uint64_t hash : many) put_whole(block, hash, 8);
  }
  if (counts) put_varint(block, session.subscription_count);
  if (!extras.empty()) put_text(block, extras);
  if (session.connected) put_varint(block, session.node.value);
}

void unpack(const Sleeper& sleeper, Client& into) {
  session::Session& session = into.session;
  session.id = sleeper.id;
  session.client_id = sleeper.client_id;
  session.username = sleeper.username;
  session.version = sleeper.version;
  session.attach = sleeper.attach;
  session.node = sleeper.node;
  session.connected = static_cast<bool>(sleeper.node);
  session.detached_at = sleeper.detached_at;
  session.expiry_seconds = sleeper.expiry_seconds;
  session.subscription_count = sleeper.subscription_count;
  session.sent_before = sleeper.sent_before;
  session.inbox.restore(sleeper.first, sleeper.next, sleeper.count, sleeper.bytes, {});
  if (!sleeper.extras.empty()) CHECK(record::decode_session_extras(sleeper.extras, session));
  into.deadline = sleeper.deadline;
  if (sleeper.more_filters.empty()) {
    if (sleeper.filter != 0) into.filters.insert(sleeper.filter);
    return;
  }
  std::vector<uint64_t> many(sleeper.more_filters.size() / 8);
  std::memcpy(many.data(), sleeper.more_filters.data(), sleeper.more_filters.size());
  into.filters.assign(std::move(many));
}

}  // namespace courier::broker
