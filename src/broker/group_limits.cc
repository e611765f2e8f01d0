// The inboxes of shared groups and their bounds: the same two limits, the same policy and the same reasons as
// a session's.
//
// A group is looked at when its queue changed, so right after the PUBLISH that made it too long; what must go
// is gone when its DROPPED is back. Until then nothing more is decided for any group.
#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "broker/node.h"
#include "events/catalogue/fields.h"

namespace courier::broker {

namespace {

// Messages of one group that one record gives up; the rest follows when that is back.
constexpr size_t kGivenUpAtOnce = 4096;
// The oldest of a group's messages that are looked at for their expiry.
constexpr size_t kExpiryLookedAt = 64;

log::Limit drops{{.per_second = 10}};

InboxBounds bounds_of(const Limits& limits) {
  return inbox_bounds(limits, limits.shared_inbox_messages_max, limits.shared_inbox_bytes_max);
}

record::InboxRef ref_of(const routing::SharedGroup& group, uint64_t seq) {
  const routing::GroupEntry& entry = group.entries.at(seq);
  return {0, entry.position, static_cast<uint32_t>(entry.message->cost()), false, group.id, seq};
}

}  // namespace

void Node::limit_groups() {
  const routing::SharedGroups& groups = directory_.groups();
  const InboxBounds bounds = bounds_of(limits_);
  for (const record::GroupId id : directory_.take_changed_queues()) {
    const size_t messages = groups.queued_count(id), bytes = groups.queued_bytes(id);
    if (limits_.inbox_policy == InboxPolicy::refuse) {
      const bool full =
          messages >= limits_.shared_inbox_messages_max || bytes >= limits_.shared_inbox_bytes_max;
      if (full || shared_.full_groups.any()) shared_.full_groups.set(id, full);
    }
    if (messages > bounds.messages || bytes > bounds.bytes) crowded_.insert(id);
  }
  if (alone_back_ < groups_decided_) return;
  std::vector<record::Record> records;
  const std::set<record::GroupId> crowded = std::exchange(crowded_, {});
  const auto acts = [&](record::GroupId id) { return directory_.attachments().owns(id, epoch_); };
  for (const record::GroupId id : crowded) {
    const routing::SharedGroup* group = groups.group(id);
    if (group && acts(id)) limit_group(*group, records);
  }
  if (std::exchange(group_expiry_due_, false)) {
    groups.for_each([&](const routing::SharedGroup& group) {
      if (!crowded.contains(group.id) && acts(group.id)) expire_in_group(group, records);
    });
  }
  if (!records.empty()) groups_decided_ = append_alone(std::move(records));
}

void Node::limit_group(const routing::SharedGroup& group, std::vector<record::Record>& records) {
  const routing::SharedGroups& groups = directory_.groups();
  const InboxBounds bounds = bounds_of(limits_);
  const size_t queued = groups.queued_count(group.id);
  const size_t too_many = queued > bounds.messages ? queued - bounds.messages : 0;
  record::Dropped for_count{{}, group.id, record::DropReason::inbox_full_messages, record::kAlone, {}};
  record::Dropped for_bytes{{}, group.id, record::DropReason::inbox_full_bytes, record::kAlone, {}};
  for (const uint64_t seq : groups.excess(group.id, bounds.messages, bounds.bytes, kGivenUpAtOnce)) {
    record::Dropped& dropped = for_count.messages.size() < too_many ? for_count : for_bytes;
    dropped.messages.push_back(ref_of(group, seq));
    group_full_drops_[group.entries.at(seq).message->label].add();
    log::info(drops, "message dropped",
              {{"group", group.name},
               {"filter", group.filter},
               {"topic", group.entries.at(seq).message->topic},
               {"reason", record::name(dropped.reason)}});
  }
  give_up(group, std::move(for_count), record::name(for_count.reason), records);
  give_up(group, std::move(for_bytes), record::name(for_bytes.reason), records);
}

// The record, and the events that follow it.
template <typename Record>
void Node::give_up(const routing::SharedGroup& group, Record&& given_up, std::string_view reason,
                   std::vector<record::Record>& records) {
  if (given_up.messages.empty()) return;
  std::vector<record::Record> told;
  for (const record::InboxRef& ref : given_up.messages) {
    const mqtt::Message& message = *group.entries.at(ref.group_seq).message;
    if (!shared_.interest.wants(events::Kind::drop, message)) continue;
    record::Event event{static_cast<uint8_t>(events::Kind::drop), false, {}};
    events::FieldWriter out(event.fields);
    out.text(events::Field::node, shared_.node)
        .text(events::Field::mountpoint, group.mountpoint)
        .more(events::Field::filters, "$share/" + group.name + "/" + group.filter)
        .number(events::Field::message_id, ref.position.value)
        .number(events::Field::qos, static_cast<uint64_t>(message.qos));
    events::put_message(event.fields, message, shared_.interest.wants_payloads());
    out.text(events::Field::label, rules_.labels().name(message.label)).text(events::Field::reason, reason);
    told.push_back(std::move(event));
  }
  records.push_back(std::forward<Record>(given_up));
  std::ranges::move(told, std::back_inserter(records));
}

void Node::expire_in_group(const routing::SharedGroup& group, std::vector<record::Record>& records) {
  record::Expired expired{{}, group.id, record::kAlone, {}};
  const WallMs now = clock_.wall_ms();
  for (const uint64_t seq : directory_.groups().oldest_queued(group.id, kExpiryLookedAt)) {
    const mqtt::Message& message = *group.entries.at(seq).message;
    if (message.expires_at == 0 || message.expires_at > now) continue;
    expired.messages.push_back(ref_of(group, seq));
    group_expired_drops_[message.label].add();
  }
  give_up(group, std::move(expired), "expired", records);
}

}  // namespace courier::broker
