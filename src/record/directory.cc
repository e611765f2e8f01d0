#include "record/directory.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "mqtt/topic.h"

namespace courier::record {

namespace {

// The session that a record is about; 0 for records that are about no single one.
SessionId session_of(const Record& record) {
  struct Visitor {
    SessionId operator()(const Publish&) const { return {}; }
    SessionId operator()(const Subscribe& r) const { return r.by.session; }
    SessionId operator()(const Unsubscribe& r) const { return r.by.session; }
    SessionId operator()(const Attach& r) const { return r.resumed(); }
    SessionId operator()(const Detach& r) const { return r.of.session; }
    SessionId operator()(const InboxStep& r) const { return r.by.session; }
    SessionId operator()(const Qos2In& r) const { return r.by.session; }
    SessionId operator()(const Released& r) const { return r.by.session; }
    SessionId operator()(const Dropped& r) const { return r.session; }
    SessionId operator()(const Expired& r) const { return r.session; }
    SessionId operator()(const RetainedExpired&) const { return {}; }
    SessionId operator()(const RetainedNext& r) const { return r.session; }
    SessionId operator()(const NodeDown&) const { return {}; }
    SessionId operator()(const Feature&) const { return {}; }
    SessionId operator()(const Own&) const { return {}; }
    SessionId operator()(const Event&) const { return {}; }
    SessionId operator()(const Told&) const { return {}; }
  };
  return std::visit(Visitor{}, record);
}

Delivery to_one(Position position, mqtt::MessagePtr message, Delivery::To to) {
  Delivery delivery{position, std::move(message), {}};
  delivery.to.push_back(std::move(to));
  return delivery;
}

std::unique_ptr<SessionRecord::Answer> answer(std::vector<bool> existed, uint32_t subscription_count) {
  return std::make_unique<SessionRecord::Answer>(
      SessionRecord::Answer{std::move(existed), subscription_count, {}});
}

uint64_t topic_hash(std::string_view mountpoint, std::string_view topic) {
  const std::hash<std::string_view> hash;
  return hash(mountpoint) * 0x9E3779B97F4A7C15ull ^ hash(topic);
}

}  // namespace

std::unique_ptr<session::Entry::Extras> extras_of(std::span<const uint32_t> identifiers,
                                                  session::GroupOrigin origin) {
  if (identifiers.empty() && origin.group == 0) return nullptr;
  return std::make_unique<session::Entry::Extras>(
      session::Entry::Extras{{identifiers.begin(), identifiers.end()}, origin});
}

Directory::Directory(uint64_t hash_seed, size_t shard_count, Partitioning partitioning)
    : shard_count_(shard_count),
      index_(hash_seed),
      retained_(hash_seed),
      kept_(index_, hash_seed),
      attachments_(partitioning),
      delivery_of_shard_(shard_count, -1) {}

std::optional<Subscriptions> Directory::subscriptions(SessionId session) const {
  return kept_.get(session);
}

// Of a cluster: whether the record holds. What attachments_ says changes with it.
bool Directory::holds(const Record& record, Position position, NodeEpoch node) {
  struct Visitor {
    Attachments& attachments;
    Position position;
    NodeEpoch node;

    bool may_settle(SessionId session, GroupId group, Position since) const {
      return group ? attachments.owns(group, node) : attachments.may_settle(session, since, node);
    }
    bool operator()(const Publish& r) const {
      if (r.will_of.session) return attachments.take_will(r.will_of);
      return !r.attach || attachments.may({r.message->publisher, r.attach}, node);
    }
    bool operator()(const Subscribe& r) const { return attachments.may(r.by, node); }
    bool operator()(const Unsubscribe& r) const { return attachments.may(r.by, node); }
    bool operator()(const Attach& r) const { return attachments.attach(r, position, node); }
    bool operator()(const Detach& r) const { return attachments.detach(r, node); }
    bool operator()(const InboxStep& r) const { return attachments.may(r.by, node); }
    bool operator()(const Qos2In& r) const { return attachments.may(r.by, node); }
    bool operator()(const Released& r) const { return attachments.may(r.by, node); }
    bool operator()(const Dropped& r) const { return may_settle(r.session, r.group, r.since); }
    bool operator()(const Expired& r) const { return may_settle(r.session, r.group, r.since); }
    bool operator()(const RetainedExpired&) const { return true; }
    bool operator()(const RetainedNext& r) const { return attachments.may({r.session, r.attach}, node); }
    bool operator()(const NodeDown&) const { return true; }
    bool operator()(const Feature&) const { return true; }
    bool operator()(const Own&) const { return true; }
    bool operator()(const Event&) const { return true; }
    bool operator()(const Told&) const { return true; }
  };
  return std::visit(Visitor{attachments_, position, node}, record);
}

void Directory::node_down(const NodeDown& record, FeedItems& out) {
  std::vector<std::vector<SessionId>> cut_by_shard(shard_count_);
  // All at once: one by one, messages would move to members that are about to go as well.
  if (attachments_.alone()) {
    groups_.all_disconnected();
    std::set<SessionId> members;
    groups_.for_each([&](const routing::SharedGroup& group) {
      for (const auto& [member, state] : group.members) members.insert(member);
    });
    for (const SessionId member : members) index_.set_connected(member, false);
    // Also those that only owe a group an answer: they unsubscribed. Their ids come again in the next run.
    std::set<SessionId> ending = kept_.ephemeral();
    std::ranges::copy_if(members, std::inserter(ending, ending.end()), &SessionId::ephemeral);
    for (const SessionId ephemeral : ending) end_session(ephemeral);
  } else {
    const std::vector<SessionId> cut = attachments_.node_down(record.node);
    groups_.disconnected(cut, changes_);
    for (const SessionId session : cut) {
      index_.set_connected(session, false);
      cut_by_shard[session.hash() % shard_count_].push_back(session);
    }
    owners_dirty_ = true;
  }
  for (size_t shard = 0; shard < shard_count_; ++shard) {
    out[shard].push_back(NodeDownItem{record.last_clock, record.node, std::move(cut_by_shard[shard])});
  }
}

size_t Directory::fold(Record&& record, Position position, WallMs clock, FeedItems& out, NodeEpoch node) {
  held_ = attachments_.alone() || holds(record, position, node);
  if (!held_) return 0;
  size_t reached = 0;
  SessionId session = session_of(record);
  bool hand_on = static_cast<bool>(session);
  std::vector<session::RetainedWalk> walks;

  struct Visitor {
    Directory& self;
    Position position;
    WallMs clock;
    NodeEpoch node;
    FeedItems& out;
    size_t& reached;
    SessionId& session;
    bool& hand_on;
    std::vector<session::RetainedWalk>& walks;

    void operator()(Publish& r) {
      if (r.will_of.session) {
        self.items_of(r.will_of.session, out).push_back(WillFired{r.will_of.session, r.will_of.attach});
      }
      if (r.message->retain) {
        self.volatile_.erase({r.mountpoint.str(), std::string(r.message->topic)});
        self.retained_.set(r.mountpoint, r.message, position);
        self.note_retained(r.mountpoint, r.message->topic);
        self.count();
      }
      reached = self.route(r, position, out);
    }
    void operator()(Subscribe& r) {
      self.subscribe(std::move(r), position, clock, out);
      hand_on = false;
    }
    void operator()(Unsubscribe& r) {
      self.unsubscribe(std::move(r), position, clock, out);
      hand_on = false;
    }
    void operator()(Attach& r) {
      if (r.replaced()) self.end_session(r.replaced());
      if (r.resumed()) {
        self.index_.set_connected(r.resumed(), true);
        self.groups_.connected(r.resumed(), r.window, self.changes_);
      } else {
        session = session_created_at(position, session_hash(r.mountpoint, r.client_id));
        hand_on = true;
      }
    }
    void operator()(Detach& r) {
      if (r.ends_session) {
        self.end_session(r.of.session);
      } else {
        self.index_.set_connected(r.of.session, false);
        self.groups_.disconnected({&r.of.session, 1}, self.changes_);
      }
    }
    void operator()(Acked& r) { self.settle_groups(r.by.session, r.messages); }
    void operator()(Completed& r) { self.settle_groups(r.by.session, r.messages); }
    void operator()(Sent&) {}
    void operator()(Received&) {}
    void operator()(Qos2In&) {}
    void operator()(Released&) {}
    void operator()(Dropped& r) {
      if (r.group) {
        self.give_up(r.group, r.messages);
      } else {
        self.settle_groups(r.session, r.messages);
      }
    }
    void operator()(Expired& r) {
      if (r.group) {
        self.give_up(r.group, r.messages);
      } else {
        self.settle_groups(r.session, r.messages);
      }
    }
    void operator()(RetainedExpired& r) {
      const routing::Retained* retained = self.retained_.find(r.mountpoint, r.topic);
      if (retained && retained->position == r.position) self.retained_.remove(r.mountpoint, r.topic);
      self.note_retained(r.mountpoint, r.topic);
      self.count();
    }
    void operator()(RetainedNext& r) { walks = self.go_on_with_retained(r, out); }
    void operator()(NodeDown& r) { self.node_down(r, out); }
    void operator()(Feature&) {}
    void operator()(Own& r) {
      self.attachments_.own(r.partitions, node);
      self.owners_dirty_ = true;
      for (auto& items : out) items.push_back(OwnItem{node, r.partitions});
    }
    void operator()(Event&) {}
    void operator()(Told&) {}
  };
  std::visit(Visitor{*this, position, clock, node, out, reached, session, hand_on, walks}, record);

  if (hand_on) {
    auto& items = items_of(session, out);
    items.push_back(SessionRecord{position, clock, std::move(record), node, nullptr});
    if (!walks.empty()) {
      std::get<SessionRecord>(items.back()).answer = answer({}, 0);
      std::get<SessionRecord>(items.back()).answer->walks = std::move(walks);
    }
  }
  emit_group_changes(out);
  return reached;
}

size_t Directory::route(const Publish& publish, Position position, FeedItems& out) {
  const mqtt::Message& message = *publish.message;
  const auto shared =
      message.qos == mqtt::Qos::at_most_once ? routing::Shared::choose_member : routing::Shared::name_group;
  index_.match(publish.mountpoint, message.topic, message.publisher, shared, match_);
  if (match_.empty()) return 0;

  size_t durable = match_.groups().size();
  for (const auto& receiver : match_.receivers()) {
    durable += mqtt::lower(message.qos, receiver.qos) != mqtt::Qos::at_most_once;
  }
  const auto to_shard = [&](SessionId session) -> Delivery& {
    const size_t shard = session.hash() % shard_count_;
    if (delivery_of_shard_[shard] < 0) {
      delivery_of_shard_[shard] = static_cast<int32_t>(out[shard].size());
      out[shard].push_back(Delivery{position, publish.message, {}});
    }
    return std::get<Delivery>(out[shard][static_cast<size_t>(delivery_of_shard_[shard])]);
  };
  for (const auto& receiver : match_.receivers()) {
    to_shard(receiver.session)
        .to.push_back({receiver.session, mqtt::lower(message.qos, receiver.qos),
                       receiver.retain_as_published && message.retain, durable == 1,
                       extras_of(match_.identifiers(receiver))});
  }
  for (const auto& group : match_.groups()) {
    if (shared == routing::Shared::name_group) {
      groups_.publish(group.group, position, publish.message, changes_);
    } else if (group.member.session) {
      to_shard(group.member.session)
          .to.push_back({group.member.session, mqtt::Qos::at_most_once,
                         group.member.options.retain_as_published && message.retain, false,
                         extras_of(listed(group.member.subscription_identifier))});
    }
  }
  std::fill(delivery_of_shard_.begin(), delivery_of_shard_.end(), -1);
  return match_.receivers().size() + match_.groups().size();
}

void Directory::subscribe(Subscribe&& record, Position position, WallMs clock, FeedItems& out) {
  const SessionId session = record.by.session;
  Subscriptions mine = kept_.take(session);
  mine.mountpoint = record.mountpoint.str();
  const Text mountpoint = record.mountpoint;
  std::vector<bool> existed;
  for (size_t i = 0; i < record.entries.size(); ++i) {
    const Subscribe::Entry& entry = record.entries[i];
    const routing::Subscriber subscriber{session, entry.options, record.subscription_identifier};
    if (const auto shared = mqtt::parse_shared(entry.filter)) {
      const GroupId created = routing::group_id(position, static_cast<uint32_t>(i));
      const GroupId group = groups_.subscribe(record.mountpoint, shared->group, shared->filter,
                                              {subscriber, record.window, true}, created, changes_);
      existed.push_back(!index_.add(record.mountpoint, entry.filter, subscriber, {group, true}));
    } else {
      existed.push_back(!index_.add(record.mountpoint, entry.filter, subscriber));
    }
    const auto it = std::find_if(mine.filters.begin(), mine.filters.end(),
                                 [&](const Subscription& s) { return s.filter == entry.filter; });
    if (it == mine.filters.end()) {
      mine.filters.push_back({entry.filter, entry.options, record.subscription_identifier});
    } else {
      *it = {entry.filter, entry.options, record.subscription_identifier};
    }
  }
  if (!session.ephemeral()) dirty_subscriptions_.insert(session);
  count();
  const auto total = static_cast<uint32_t>(mine.filters.size());
  kept_.set(session, std::move(mine));

  // The item comes first, so that the client has its SUBACK before; the walks are known only afterwards.
  // [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]; a shared subscription gets none.
  std::vector<session::RetainedWalk> walks;
  for (size_t i = 0; i < record.entries.size(); ++i) {
    const Subscribe::Entry& entry = record.entries[i];
    if (mqtt::is_shared(entry.filter)) continue;
    if (entry.options.retain_handling == mqtt::RetainHandling::do_not_send) continue;
    if (entry.options.retain_handling == mqtt::RetainHandling::send_if_new && existed[i]) continue;
    walks.push_back({entry.filter, entry.options, record.subscription_identifier, position, {}});
  }
  auto& items = items_of(session, out);
  const size_t at = items.size();
  items.push_back(SessionRecord{position, clock, std::move(record), {}, answer(std::move(existed), total)});
  RetainedPiece piece{.messages = 32, .bytes = 32 * 1024, .steps = 128};  // nobody has asked for them yet
  std::erase_if(walks, [&](session::RetainedWalk& walk) {
    return send_retained(session, mountpoint, walk, piece, out);
  });
  std::get<SessionRecord>(items[at]).answer->walks = std::move(walks);
}

bool Directory::send_retained(SessionId session, std::string_view mountpoint, session::RetainedWalk& walk,
                              RetainedPiece& piece, FeedItems& out) {
  if (piece.messages == 0 || piece.bytes == 0) return false;
  auto& items = items_of(session, out);
  auto stopped = retained_.match(
      mountpoint, walk.filter,
      [&](const routing::Retained& retained) {
        if (retained.position > walk.since) return true;
        if (walk.options.no_local && retained.message->publisher == session) return true;
        items.push_back(to_one(retained.position, retained.message,
                               {session, mqtt::lower(retained.message->qos, walk.options.qos), true, false,
                                extras_of(listed(walk.subscription_identifier))}));
        --piece.messages;
        piece.bytes -= std::min(piece.bytes, retained.message->cost());
        return piece.messages > 0 && piece.bytes > 0;
      },
      walk.after, piece.steps);
  if (!stopped) return true;
  walk.after = *std::move(stopped);
  return false;
}

std::vector<session::RetainedWalk> Directory::go_on_with_retained(const RetainedNext& record,
                                                                  FeedItems& out) {
  // Unsubscribed meanwhile. [MQTT-3.10.4-2]
  if (!kept_.has(record.session, record.filter)) return {};
  std::vector<session::RetainedWalk> walks;
  walks.push_back({record.filter.str(), record.options, record.subscription_identifier, record.since,
                   record.after.str()});
  RetainedPiece piece;
  if (send_retained(record.session, record.mountpoint, walks.front(), piece, out)) walks.clear();
  return walks;
}

void Directory::unsubscribe(Unsubscribe&& record, Position position, WallMs clock, FeedItems& out) {
  const SessionId session = record.by.session;
  std::vector<bool> existed;
  Subscriptions known = kept_.take(session);
  for (const std::string& filter : record.filters) {
    existed.push_back(index_.remove(record.mountpoint, filter, session));
    if (const auto shared = mqtt::parse_shared(filter)) {
      groups_.unsubscribe(record.mountpoint, shared->group, shared->filter, session, changes_);
    }
    // Looked for only if it is there: a packet may name a hundred thousand that are not.
    if (existed.back()) {
      std::erase_if(known.filters, [&](const Subscription& s) { return s.filter == filter; });
    }
  }
  const auto total = static_cast<uint32_t>(known.filters.size());
  kept_.set(session, std::move(known));
  if (!session.ephemeral()) dirty_subscriptions_.insert(session);
  count();
  items_of(session, out)
      .push_back(SessionRecord{position, clock, std::move(record), {}, answer(std::move(existed), total)});
}

void Directory::end_session(SessionId session) {
  const Subscriptions known = kept_.take(session);
  if (!known.filters.empty()) {
    for (const Subscription& s : known.filters) index_.remove(known.mountpoint, s.filter, session);
    if (!session.ephemeral()) dirty_subscriptions_.insert(session);
  }
  groups_.session_ended(session, changes_);
  count();
}

void Directory::settle_groups(SessionId session, const std::vector<InboxRef>& messages) {
  for (const InboxRef& ref : messages) {
    if (ref.group) groups_.acked(ref.group, session, ref.group_seq, changes_);
  }
}

void Directory::give_up(GroupId group, const std::vector<InboxRef>& messages) {
  for (const InboxRef& ref : messages) groups_.dropped(group, ref.group_seq, changes_);
}

void Directory::emit_group_changes(FeedItems& out) {
  if (changes_.empty()) return;
  for (const auto& withdrawal : changes_.withdrawals) {
    items_of(withdrawal.member, out)
        .push_back(Withdrawn{withdrawal.member, {withdrawal.group.value, withdrawal.seq}});
  }
  for (auto& assignment : changes_.assignments) {
    const bool retain = assignment.retain_as_published && assignment.message->retain;
    session::GroupOrigin origin;
    if (assignment.qos != mqtt::Qos::at_most_once) origin = {assignment.group.value, assignment.seq};
    items_of(assignment.member, out)
        .push_back(to_one(assignment.position, std::move(assignment.message),
                          {assignment.member, assignment.qos, retain, false,
                           extras_of(listed(assignment.subscription_identifier), origin)}));
  }
  for (auto& drop : changes_.drops) group_drops_.push_back(std::move(drop));
  changes_.clear();
}

void Directory::set_volatile(std::string_view mountpoint, mqtt::MessagePtr message, FeedItems& out) {
  volatile_.emplace(mountpoint, message->topic);
  retained_.set(mountpoint, message, Position(0));
  count();
  route(Publish{std::move(message), mountpoint, {}, {}}, Position(0), out);
}

// After a topic's retained message was set or removed.
void Directory::note_retained(std::string_view mountpoint, std::string_view topic) {
  const uint64_t hash = topic_hash(mountpoint, topic);
  const StripedLock::Writing lock(retained_lock_);
  auto count = retained_counts_.find(mountpoint);
  if (const routing::Retained* retained = retained_.find(mountpoint, topic)) {
    const bool more =
        retained_costs_.insert_or_assign(hash, static_cast<uint32_t>(retained->message->cost())).second;
    if (!more) return;
    if (count == retained_counts_.end()) count = retained_counts_.emplace(mountpoint, 0).first;
    ++count->second;
  } else if (retained_costs_.erase(hash) > 0 && count != retained_counts_.end() && --count->second == 0) {
    retained_counts_.erase(count);
  }
}

size_t Directory::retained_count(std::string_view mountpoint) const {
  const StripedLock::Reading lock(retained_lock_, StripedLock::next_stripe());
  const auto found = retained_counts_.find(mountpoint);
  return found == retained_counts_.end() ? 0 : found->second;
}

std::optional<size_t> Directory::retained_cost(std::string_view mountpoint, std::string_view topic) const {
  const uint64_t hash = topic_hash(mountpoint, topic);
  const StripedLock::Reading lock(retained_lock_, StripedLock::next_stripe());
  const auto found = retained_costs_.find(hash);
  return found == retained_costs_.end() ? std::nullopt : std::optional<size_t>(found->second);
}

void Directory::count() {
  // What is of this run only ($SYS) does not count.
  retained_count_.store(retained_.count() - std::min(retained_.count(), volatile_.size()),
                        std::memory_order_relaxed);
  retained_bytes_.store(retained_.bytes(), std::memory_order_relaxed);
  subscription_count_.store(index_.count(), std::memory_order_relaxed);
}

void Directory::take_dirty(RowSink& sink) {
  for (const SessionId session : dirty_subscriptions_) {
    if (const auto subscriptions = kept_.get(session)) {
      sink.put_subscriptions(session, *subscriptions);
    } else {
      sink.erase_subscriptions(session);
    }
  }
  dirty_subscriptions_.clear();
  for (const auto& dirty : retained_.take_dirty()) {
    if (volatile_.contains({dirty.mountpoint, dirty.topic})) continue;
    if (const routing::Retained* retained = retained_.find(dirty.mountpoint, dirty.topic)) {
      sink.put_retained(dirty.mountpoint, *retained);
    } else {
      sink.erase_retained(dirty.mountpoint, dirty.topic);
    }
  }
  if (std::exchange(owners_dirty_, false)) sink.put_owners(attachments_.owners());
  for (const auto& dirty : groups_.take_dirty()) {
    if (dirty.group) {
      sink.put_group(*dirty.group);
    } else {
      sink.erase_group(dirty.id);
      continue;
    }
    for (const uint64_t seq : dirty.entries) {
      if (const auto* item = dirty.group->entries.find(seq)) {
        sink.put_group_entry(dirty.id, seq, item->entry);
      } else {
        sink.erase_group_entry(dirty.id, seq);
      }
    }
  }
}

void Directory::restore(SessionId session, Subscriptions subscriptions) {
  for (const Subscription& s : subscriptions.filters) {
    if (mqtt::is_shared(s.filter)) continue;  // its group brings it
    index_.add(subscriptions.mountpoint, s.filter, {session, s.options, s.subscription_identifier});
  }
  kept_.set(session, std::move(subscriptions));
  count();
}

void Directory::restore(RetainedRow row) {
  const mqtt::MessagePtr message = row.message;
  retained_.restore(row.mountpoint, std::move(row.message), row.position);
  note_retained(row.mountpoint, message->topic);
  count();
}

void Directory::restore(routing::SharedGroup group) {
  const std::string filter = "$share/" + group.name + "/" + group.filter;
  for (const auto& [session, member] : group.members) {
    if (member.leaving) continue;
    index_.add(group.mountpoint, filter, {session, member.options, member.subscription_identifier},
               {group.id, member.connected});
    if (!session.ephemeral()) continue;
    Subscriptions mine = kept_.take(session);
    mine.mountpoint = group.mountpoint;
    mine.filters.push_back({filter, member.options, member.subscription_identifier});
    kept_.set(session, std::move(mine));
  }
  groups_.restore(std::move(group));
  count();
}

}  // namespace courier::record
