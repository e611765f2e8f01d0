// What came back from the log, applied to sessions; and what then may leave.
#include <algorithm>

#include "base/check.h"
#include "broker/shard.h"
#include "broker/shared.h"
#include "record/session_fold.h"

namespace courier::broker {

using mqtt::ReasonCode;
using Walks = std::vector<session::RetainedWalk>;

namespace {

// Longer lists of answers are not kept for the next ones.
constexpr size_t kAckListKept = 64;

}  // namespace

void Shard::fold(record::FeedItem& item) {
  struct Visitor {
    Shard& self;
    void operator()(record::Delivery& delivery) const { self.receive(delivery, Way::log); }
    void operator()(record::SessionRecord& record) const { self.fold(record); }
    void operator()(record::WillFired& fired) const {
      Client* client = self.find(fired.session);
      if (!client) return;
      const bool was_dirty = client->session.dirty;
      record::will_fired(client->session, fired.attach);
      self.after_fold(*client, was_dirty);
    }
    void operator()(record::Withdrawn& withdrawn) const {
      Client* client = self.find(withdrawn.session);
      if (!client) return;
      const bool was_dirty = client->session.dirty;
      const QueueCount count(self.metrics_, client->session.inbox);
      self.free_place(*client, withdrawn.origin);
      record::withdraw(client->session, withdrawn.origin);
      self.after_fold(*client, was_dirty);
    }
    void operator()(record::NodeDownItem& down) const { self.node_down(down); }
    void operator()(record::OwnItem& own) const { self.owned(own); }
  };
  std::visit(Visitor{*this}, item);
}

// A group takes a message back that may be in flight: nobody will answer for it.
void Shard::free_place(Client& client, session::GroupOrigin origin) {
  if (!client.connection) return;
  for (const session::Session::Grouped& grouped : *client.session.grouped) {
    if (grouped.origin != origin) continue;
    const session::Entry* entry = client.session.inbox.find(grouped.entry.seq);
    if (!entry || !entry->transmitted || entry->acked) return;
    if (client.connection->in_flight > 0) --client.connection->in_flight;
    want_pump(client);
    return;
  }
}

// One record of one session.
struct Shard::RecordFold {
  Shard& self;
  record::SessionRecord& item;

  // Applies `change` to the client if it is still there.
  template <typename Change>
  void to(SessionId id, Change&& change) const {
    Client* client = self.find(id);
    if (!client) return;
    const bool was_dirty = client->session.dirty;
    {
      const QueueCount count(self.metrics_, client->session.inbox);
      change(*client);
    }
    if (self.out_.shared.full_inboxes.any()) self.note_fullness(*client);
    if (client->session.walks) self.want_pump(*client);
    self.after_fold(*client, was_dirty);
  }

  void operator()(record::Attach& r) const {
    const bool mine = item.node == self.out_.epoch;
    if (Client* old = self.find(r.replaced())) {
      if (!mine) self.let_go(*old, EndCause::taken_over, ReasonCode::session_taken_over);
      if (old->connection) old->connection->client = nullptr;
      self.erase_client(*old);
    }
    if (r.resumed()) {
      to(r.resumed(), [&](Client& client) {
        record::resume(client.session, r, item.position, item.node);
        if (self.alone()) self.connected_.insert(r.resumed());
        if (!mine)
          self.let_go(client, EndCause::taken_over, ReasonCode::session_taken_over);  // [MQTT-3.1.4-3]
      });
    } else {
      session::Session session;
      record::begin(session, r, item.position, record::session_hash(r.mountpoint, r.client_id), item.node);
      Client& client = self.clients_.add(std::move(session));
      if (self.alone()) self.connected_.insert(client.session.id);
      self.after_fold(client, false);
    }
    if (!mine) self.end_is_over(name_key(r.mountpoint, r.client_id));
  }
  void operator()(record::Detach& r) const {
    Client* client = self.find(r.of.session);
    if (!client) return;
    to(r.of.session, [&](Client& c) {
      if (!record::fold(c.session, r, item.clock)) return;
      self.connected_.erase(c.session.id);
      if (r.ends_session) return;
      self.schedule(c);
      // It acted for it while it was connected here; what is still on its way is void.
      if (!self.acts_for(c.session)) self.forget_progress(c);
    });
    if (!r.ends_session || client->session.attach != r.of.attach) return;
    const std::string key = name_key(client->session.mountpoint, client->session.client_id);
    self.erase_client(*client);
    self.end_is_over(key);
  }
  void operator()(record::Subscribe& r) const {
    to(r.by.session, [&](Client& c) {
      c.session.subscription_count = item.answer->subscription_count;
      for (const record::Subscribe::Entry& entry : r.entries) c.filters.insert(filter_hash(entry.filter));
      record::subscribed(c.session, std::move(item.answer->walks));
    });
  }
  void operator()(record::Unsubscribe& r) const {
    to(r.by.session, [&](Client& c) {
      c.session.subscription_count = item.answer->subscription_count;
      for (size_t i = 0; i < r.filters.size(); ++i) {
        if (item.answer->existed[i]) c.filters.erase(filter_hash(r.filters[i]));
      }
      if (!c.connection) return;
      std::vector<ReasonCode> reasons;
      for (const bool existed : item.answer->existed) {
        reasons.push_back(existed ? ReasonCode::success : ReasonCode::no_subscription_existed);
      }
      c.connection->extra.make().unsubscribed.push_back(std::move(reasons));
    });
  }
  void operator()(record::Acked& r) const {
    to(r.by.session, [&](Client& c) {
      settle_pending(c, r.messages);
      record::fold(c.session, r);
      use_again(c, r.messages);
      go_on(c);
    });
  }
  void operator()(record::Sent& r) const {
    to(r.by.session, [&](Client& c) {
      record::fold(c.session, r);
      clear_pending(c, r.messages);
      self.want_pump(c);
    });
  }
  void operator()(record::Received& r) const {
    to(r.by.session, [&](Client& c) {
      record::fold(c.session, r);
      clear_pending(c, r.messages);
      if (!c.connection || c.connection->attach != r.by.attach) return;
      for (const record::InboxRef& ref : r.messages) {
        const session::Entry* entry = c.session.inbox.find(ref.seq);
        if (!entry || !entry->transmitted || entry->step != session::Step::received) continue;
        self.send(*c.connection, mqtt::Pubrel{{session::packet_id_of(ref.seq), ReasonCode::success, {}, {}}});
      }
    });
  }
  void operator()(record::Completed& r) const {
    to(r.by.session, [&](Client& c) {
      settle_pending(c, r.messages);
      record::fold(c.session, r);
      go_on(c);
    });
  }
  void operator()(record::Qos2In& r) const {
    to(r.by.session, [&](Client& c) { record::fold(c.session, r); });
  }
  void operator()(record::Released& r) const {
    to(r.by.session, [&](Client& c) { record::fold(c.session, r); });
  }
  void operator()(record::Dropped& r) const {
    to(r.session, [&](Client& c) {
      settle_pending(c, r.messages);
      record::fold(c.session, r);
    });
    self.gave_up_unread(r);
  }
  void operator()(record::Expired& r) const {
    to(r.session, [&](Client& c) {
      settle_pending(c, r.messages);
      record::fold(c.session, r);
    });
  }
  void operator()(record::RetainedNext& r) const {
    to(r.session, [&](Client& c) {
      c.walk_pending = false;
      record::fold(c.session, r, item.answer ? std::move(item.answer->walks) : Walks());
    });
  }
  // Not about one session.
  void operator()(record::Publish&) const {}
  void operator()(record::RetainedExpired&) const {}
  void operator()(record::NodeDown&) const {}
  void operator()(record::Feature&) const {}
  void operator()(record::Own&) const {}
  void operator()(record::Event&) const {}
  void operator()(record::Told&) const {}

  static void clear_pending(Client& client, const std::vector<record::InboxRef>& messages) {
    for (const record::InboxRef& ref : messages) {
      if (session::Entry* entry = client.session.inbox.find(ref.seq)) entry->step_pending = false;
    }
  }
  // The list is what the client's next answers gather in.
  static void use_again(Client& client, std::vector<record::InboxRef>& list) {
    Client::Work* work = client.work.get();
    if (!work || work->acked.capacity() > 0 || list.capacity() > kAckListKept) return;
    list.clear();
    work->acked = std::move(list);
  }
  // A message may have waited for the packet id of one that is done now.
  void go_on(Client& client) const {
    if (client.connection && client.connection->cursor < client.session.inbox.next()) self.want_pump(client);
  }
  static void settle_pending(Client& client, const std::vector<record::InboxRef>& messages) {
    Client::Work* work = client.work.get();
    if (!work) return;
    for (const record::InboxRef& ref : messages) {
      if (work->leaving == 0) return;
      --work->leaving;
      work->leaving_bytes -= std::min<uint64_t>(work->leaving_bytes, ref.bytes);
    }
  }
};

void Shard::fold(record::SessionRecord& item) {
  std::visit(RecordFold{*this, item}, item.record);
}

void Shard::receive(record::Delivery& delivery, Way way) {
  const auto id_at = [&](size_t at) { return delivery.to[at].session; };
  for (size_t at = 0; at < delivery.to.size(); ++at) {
    record::Delivery::To& to = delivery.to[at];
    clients_.look_ahead(at, delivery.to.size(), id_at);
    if (to.qos == mqtt::Qos::at_most_once) {
      if (!acting_) continue;
      Client* client = clients_.find_awake(to.session);
      if (!alone()) {
        const NodeEpoch node = client ? client->session.node : clients_.node_of(to.session);
        if (goes_elsewhere(delivery, to, node, way)) continue;
      }
      if (!client && !clients_.sleeps(to.session)) continue;
      if (!client || !client->connection) {
        if (!client || acts_for(client->session))
          metrics_.dropped.not_connected[delivery.message->label].add();
      } else if (client->connection->subacks_pending > 0) {
        hold(*client->connection, {delivery.message, to.retain, std::move(to.extras)});
      } else {
        send_qos0(*client->connection, delivery.message, to.retain, to.extras.get());
      }
      continue;
    }
    Client* client = clients_.find_to_change(to.session);
    if (!client) continue;
    const bool was_dirty = client->session.dirty;
    {
      const QueueCount count(metrics_, client->session.inbox);
      record::receive(client->session, {delivery.position, delivery.message, to.qos, to.retain, to.sole,
                                        std::move(to.extras)});
    }
    after_fold(*client, was_dirty);
    if (!acting_) continue;
    stir(*client);
    if (wanted(events::Kind::offline_message, *delivery.message) && !client->session.connected &&
        acts_for(client->session)) [[unlikely]]
      note_message(events::Kind::offline_message, client->session, *delivery.message, delivery.position,
                   to.qos, to.retain);
    if (!acts_for(client->session)) {
      if (out_.limits.inbox_policy == InboxPolicy::refuse) note_fullness(*client);
      continue;
    }
    if (over_limits(*client) || out_.limits.inbox_policy == InboxPolicy::refuse) want_limits(*client);
    want_pump(*client);
  }
  if (!elsewhere_.empty()) [[unlikely]]
    send_elsewhere(delivery);
}

void Shard::run(Pending& pending, const FeedMail::Back& back) {
  struct Visitor {
    Shard& self;
    const FeedMail::Back& back;

    void operator()(ToConnack& p) const { self.attached(p, Position(back.first.value + p.record)); }
    void operator()(ToPublisher& p) const {
      Connection* connection = self.find(p.connection);
      if (!connection) return;
      uint32_t& on_their_way = connection->logged[static_cast<size_t>(p.qos)];
      if (on_their_way > 0) --on_their_way;
      connection->order_burst = self.burst_;
      if (p.qos == mqtt::Qos::exactly_once) {
        std::erase(connection->extra.make().taking, p.packet_id.value);
        session::Session& session = connection->client->session;
        if (session.id.ephemeral()) {
          session.taken.insert(p.packet_id);
          self.stir(*connection->client);
        }
      }
      const bool nobody =
          std::find(back.unmatched.begin(), back.unmatched.end(), p.record) != back.unmatched.end();
      self.answer_publisher(*connection, p.packet_id, p.qos,
                            nobody ? ReasonCode::no_matching_subscribers : ReasonCode::success);
    }
    void operator()(ToPubcomp& p) const {
      Connection* connection = self.find(p.connection);
      if (!connection) return;
      if (connection->unanswered > 0) --connection->unanswered;
      self.send(*connection, mqtt::Pubcomp{{p.packet_id, ReasonCode::success, {}, {}}});
    }
    void operator()(ToSuback& p) const {
      Connection* connection = self.find(p.connection);
      if (!connection) return;
      connection->filters_pending -= std::min(connection->filters_pending, p.added);
      self.send(*connection, mqtt::Suback{p.packet_id, std::move(p.reasons), {}, {}});
      if (connection->subacks_pending > 0) --connection->subacks_pending;
      connection->link->resume(Link::subscribing);
      if (connection->subacks_pending == 0) self.release_held(*connection);
      if (connection->client && connection->client->session.walks) self.want_pump(*connection->client);
      // Rules that changed meanwhile, and a re-authentication, have not seen it.
      if (connection->client && p.rights != self.rights(*connection))
        self.look_up(connection->client->session.id);
    }
    void operator()(ToUnsuback& p) const {
      Connection* connection = self.find(p.connection);
      if (!connection || connection->extra->unsubscribed.empty()) return;
      auto& unsubscribed = connection->extra.make().unsubscribed;
      self.send(*connection, mqtt::Unsuback{p.packet_id, std::move(unsubscribed.front()), {}, {}});
      unsubscribed.erase(unsubscribed.begin());
    }
    void operator()(ToNobody& p) const {
      Connection* connection = self.find(p.connection);
      if (!connection || connection->extra->unsubscribed.empty()) return;
      auto& unsubscribed = connection->extra.make().unsubscribed;
      unsubscribed.erase(unsubscribed.begin());
    }
    void operator()(Uncount& p) const {
      Connection* connection = self.find(p.connection);
      if (!connection) return;
      if (connection->logged[0] > 0) --connection->logged[0];
      connection->order_burst = self.burst_;
    }
  };
  std::visit(Visitor{*this, back}, pending);
}

void Shard::restore(session::Session session) {
  if (session.connected && alone()) connected_.insert(session.id);
  metrics_.queue_messages.add(static_cast<int64_t>(session.inbox.count()));
  metrics_.queue_bytes.add(static_cast<int64_t>(session.inbox.bytes()));
  Client client;
  client.session = std::move(session);
  schedule(client);
  clients_.restore(std::move(client));
}

void Shard::restore(SessionId session, std::span<const uint64_t> filter_hashes) {
  clients_.restore(session, filter_hashes);
}

void Shard::replay(std::vector<record::FeedItem>& items) {
  for (record::FeedItem& item : items) fold(item);
}

}  // namespace courier::broker
