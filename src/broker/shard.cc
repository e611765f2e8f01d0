#include "broker/shard.h"

#include <algorithm>

#include "base/check.h"
#include "base/sabotage.h"
#include "broker/shared.h"
#include "broker/trace_line.h"
#include "record/codec.h"

namespace courier::broker {

namespace {

// How often a shard looks whether memory is below its ceiling again, while somebody waits for that.
constexpr MonoNs kMemoryLookedAtNs = 50'000'000;
// What one slow reader may leave unread while memory is past its ceiling.
constexpr uint64_t kStarvedOutputBytes = 64 * 1024;
// Answers of one client that make a record of their own, however little time has passed.
constexpr size_t kAckCompanyMax = 1024;
// An ephemeral session that nothing came to for so long gives back what only a busy one needs. (Stored ones
// do at each checkpoint.)
constexpr MonoNs kTrimEveryNs = 20'000'000'000;
constexpr size_t kTrimsPerTurn = 1024;

}  // namespace

Shard::Shard(uint32_t index, uint32_t shard_count, uint64_t seed, Surroundings surroundings)
    : index_(index),
      shard_count_(shard_count),
      out_(surroundings),
      promises_{promise_of(out_.limits)},
      interest_(surroundings.shared.interest),
      metrics_(surroundings.shared.metrics, surroundings.rules.labels()),
      gate_(surroundings.rules),
      quota_(surroundings.quota),
      random_(seed),
      owners_(surroundings.partitions),
      clients_(seed),
      direct_(shard_count) {}

Shard::~Shard() = default;

void Shard::use(const Limits& limits) {
  out_.limits = limits;
  const Promise promise = promise_of(limits);
  if (promise == promises_.back()) return;
  if (promises_.size() == UINT8_MAX) {  // whoever was told less may have what others were told
    Promise most;
    for (const Promise& each : promises_) {
      most.receive_maximum = std::max(most.receive_maximum, each.receive_maximum);
      most.topic_alias_max = std::max(most.topic_alias_max, each.topic_alias_max);
      most.packet_bytes_max = std::max(most.packet_bytes_max, each.packet_bytes_max);
    }
    promises_ = {most};
    for (const auto& [id, connection] : connections_) connection->promise = 0;
  }
  promises_.push_back(promise);
}

void Shard::on_packet(Connection& connection, const mqtt::Packet& packet) {
  if (Tracer* tracer = connection.tracer()) (*tracer)(true, trace_line(packet));
  // Messages for a slow reader stop at output_bytes_max by themselves; what is beyond is answers to requests
  // that it goes on sending without reading any.
  if (connection.link->unsent_bytes() > out_.limits.output_bytes_max + out_.limits.output_bytes_max / 4) {
    disconnect(connection, EndCause::output_overflow, mqtt::ReasonCode::quota_exceeded,
               "too many answers are unread");
    return;
  }
  if (connection.state == Connection::State::authenticating && !std::holds_alternative<mqtt::Auth>(packet) &&
      !std::holds_alternative<mqtt::Disconnect>(packet)) {
    refuse_connect(connection, mqtt::ReasonCode::protocol_error, "a packet came before the CONNACK");
    return;
  }
  struct Visitor {
    Shard& self;
    Connection& connection;
    void operator()(const mqtt::Connect&) const {
      // The decoder refuses a second CONNECT. [MQTT-3.1.0-2]
      self.disconnect(connection, EndCause::protocol_violation, mqtt::ReasonCode::protocol_error);
    }
    void operator()(const mqtt::Pingreq&) const {
      self.send(connection, mqtt::Pingresp{});
    }  // [MQTT-3.12.4-1]
    void operator()(const mqtt::Publish& p) const {
      self.hold_back(connection);
      self.handle(connection, p);
    }
    void operator()(const mqtt::Puback& p) const { self.handle(connection, p); }
    void operator()(const mqtt::Pubrec& p) const { self.handle(connection, p); }
    void operator()(const mqtt::Pubrel& p) const {
      self.hold_back(connection);
      self.handle(connection, p);
    }
    void operator()(const mqtt::Pubcomp& p) const { self.handle(connection, p); }
    void operator()(const mqtt::Subscribe& p) const {
      self.hold_back(connection);
      self.handle(connection, p);
    }
    void operator()(const mqtt::Unsubscribe& p) const {
      self.hold_back(connection);
      self.handle(connection, p);
    }
    void operator()(const mqtt::Disconnect& p) const { self.handle(connection, p); }
    void operator()(const mqtt::Auth& p) const { self.handle(connection, p); }
    // Packets that only a server sends; the decoder refuses them.
    void operator()(const mqtt::Connack&) const { server_only(); }
    void operator()(const mqtt::Suback&) const { server_only(); }
    void operator()(const mqtt::Unsuback&) const { server_only(); }
    void operator()(const mqtt::Pingresp&) const { server_only(); }
    void server_only() const {
      self.disconnect(connection, EndCause::protocol_violation, mqtt::ReasonCode::protocol_error);
    }
  };
  std::visit(Visitor{*this, connection}, packet);
}

// While too much is on its way through the log, or from there to some shard, who wants to add to it is not
// read; everybody else's acknowledgements still are. This packet is its last until there is room.
void Shard::hold_back(Connection& connection) {
  if (in_log_bytes_ + batch_bytes() <= out_.limits.uncommitted_bytes_max && !out_.shared.backlog.too_long())
    return;
  connection.link->pause(Link::uncommitted);
  paused_.push_back(connection.id);
}

void Shard::on_writable(Connection& connection) {
  if (!connection.blocked || !connection.client) return;
  connection.blocked = false;
  want_pump(*connection.client);
}

void Shard::on_mail(Mail mail) {
  struct Visitor {
    Shard& self;
    void operator()(FeedMail& feed) const {
      self.burst_ = feed.burst;
      self.folded_ = feed.upto;
      size_t at = 0;
      for (const FeedMail::Back& back : feed.back) {
        for (; at < back.after_items; ++at) self.fold(feed.items[at]);
        CHECK(!self.in_log_.empty() && self.in_log_.front().ticket == back.ticket);
        InLog mine = std::move(self.in_log_.front());
        self.in_log_.pop_front();
        self.in_log_bytes_ -= mine.bytes;
        self.metrics_.commit_seconds.observe(static_cast<double>(self.out_.clock.mono_ns() - mine.appended) *
                                             1e-9);
        for (Pending& pending : mine.pending) self.run(pending, back);
      }
      for (; at < feed.items.size(); ++at) self.fold(feed.items[at]);
      self.worked_off(feed.bytes);
    }
    void operator()(DirectMail& direct) const {
      self.receive(direct.delivery, direct.from_peer ? Way::peer : Way::direct);
      self.worked_off(direct.bytes);
    }
    void operator()(AuthMail& answer) const {
      if (Connection* connection = self.find(answer.connection))
        self.stepped(*connection, std::move(answer.step));
    }
    void operator()(HookMail& answer) const { self.answered(answer); }
    void operator()(LoadedMail& rows) const { self.loaded(rows); }
    void operator()(BarrierMail& barrier) const { self.write_dirty(barrier.checkpoint); }
    void operator()(CheckpointedMail& done) const { self.checkpointed(done.checkpoint); }
    void operator()(LogStateMail& state) const {
      self.log_state_ = state.state;
      if (!state.state.accepting) return;
      for (const auto& [id, connection] : self.connections_) {
        connection->link->resume(Link::log_stalled);
        if (connection->client && connection->client->session.walks) self.want_pump(*connection->client);
      }
    }
    void operator()(RoomMail&) const {}  // end_turn() looks
    void operator()(TaskMail& task) const { task.run(self); }
  };
  std::visit(Visitor{*this}, mail);
}

void Shard::stir(Client& client) {
  client.moved = true;
  if (client.stirred || !client.session.id.ephemeral()) return;
  client.stirred = true;
  stirred_.push_back(client.session.id);
  if (trim_due_ == INT64_MAX) trim_due_ = out_.clock.mono_ns() + kTrimEveryNs;
}

void Shard::trim_idle() {
  const MonoNs now = out_.clock.mono_ns();
  if (now < trim_due_) return;
  if (trim_left_ == 0) trim_left_ = stirred_.size();
  for (size_t n = 0; n < kTrimsPerTurn && trim_left_ > 0; ++n) {
    SessionId& id = stirred_[--trim_left_];
    if (Client* client = find(id)) {
      const bool moved = client->moved;
      client->moved = false;
      if (moved) continue;
      client->trim();
      client->stirred = false;
    }
    id = stirred_.back();  // downwards: that one was looked at
    stirred_.pop_back();
  }
  if (trim_left_ > 0) return;  // at once: trim_due_ is past
  if (stirred_.empty()) stirred_.shrink_to_fit();
  trim_due_ = stirred_.empty() ? INT64_MAX : now + kTrimEveryNs;
}

void Shard::worked_off(uint64_t bytes) {
  for (const uint32_t shard : out_.shared.backlog.worked_off(index_, bytes))
    out_.post.post(shard, RoomMail{});
}

void Shard::end_turn() {
  enforce_wanted_limits();
  pump_all();
  append_given_up();
  if (!acks_waiting_.empty() &&
      (!batch_.empty() || acks_waiting_.size() > 1024 || out_.clock.mono_ns() >= acks_due_)) {
    for (const SessionId id : acks_waiting_) {  // nobody is added meanwhile
      if (Client* client = find(id)) flush_acks(*client);
    }
    acks_waiting_.clear();
    acks_due_ = INT64_MAX;
  }
  if (sabotaged(Sabotage::swap_order)) {
    const auto is_publish = [](const record::Record& record) {
      return std::holds_alternative<record::Publish>(record);
    };
    const auto first = std::find_if(batch_.begin(), batch_.end(), is_publish);
    const auto last = std::find_if(batch_.rbegin(), batch_.rend(), is_publish);
    if (first != batch_.end()) std::swap(*first, *last);
    batch_encoded_.clear();
    for (const record::Record& record : batch_) record::encode(batch_encoded_, record);
  }
  if (sabotaged(Sabotage::ack_before_commit)) {
    // PUBACKs only: with an early PUBREC the PUBREL may overtake its state, which shows without any crash.
    std::erase_if(batch_pending_, [&](Pending& pending) {
      const auto* answer = std::get_if<ToPublisher>(&pending);
      if (!answer || answer->qos != mqtt::Qos::at_least_once) return false;
      run(pending, {});
      return true;
    });
  }
  if (!batch_.empty()) {
    const uint64_t ticket = next_ticket_++;
    const size_t bytes = batch_bytes();
    in_log_.push_back({ticket, bytes, out_.clock.mono_ns(), take_list(batch_pending_)});
    in_log_bytes_ += bytes;
    out_.log.append({index_, ticket, take_list(batch_), take_list(batch_encoded_)});
  }
  if (!paused_.empty() && in_log_bytes_ <= out_.limits.uncommitted_bytes_max / 2 &&
      !out_.shared.backlog.wait(index_)) {
    for (const ConnectionId id : std::exchange(paused_, {})) {
      if (Connection* connection = find(id)) connection->link->resume(Link::uncommitted);
    }
  }
  if (!starved_.empty() && !over_memory()) {
    for (const ConnectionId id : std::exchange(starved_, {})) {
      if (Connection* connection = find(id)) connection->link->resume(Link::memory);
    }
  }
  if (std::exchange(sent_elsewhere_, false)) out_.peers->flush(index_);
  metrics_.commits_waiting.set(static_cast<int64_t>(in_log_.size()));
  metrics_.connections.set(static_cast<int64_t>(connections_.size()));
  const size_t connected = std::min(connections_.size(), clients_.size());
  metrics_.sessions_connected.set(static_cast<int64_t>(connected));
  metrics_.sessions_offline.set(static_cast<int64_t>(clients_.size() - connected));
  turn_now_ = 0;
  turn_mono_ = 0;
}

MonoNs Shard::next_due() const {
  MonoNs due = std::min({acks_due_, trim_due_, throttle_ends_});
  if (!delays_.empty()) [[unlikely]]
    due = std::min(due, delays_.front().until);
  if (!to_judge_.empty()) [[unlikely]]
    due = 0;
  if (!starved_.empty()) due = std::min(due, out_.clock.mono_ns() + kMemoryLookedAtNs);
  // On the wall clock, which may be set: looked at every hour at least.
  const auto at = [&](WallMs wall) {
    const WallMs wait = std::clamp<WallMs>(wall - out_.clock.wall_ms(), 0, 3'600'000);
    due = std::min(due, out_.clock.mono_ns() + wait * kNsPerMs);
  };
  if (!deadlines_.empty() && acting_) at(deadlines_.front().at);
  if (!authorizations_.empty()) at(WallMs{authorizations_.front().until} * 1000);
  return due;
}

bool Shard::over_memory() const {
  return out_.limits.memory_bytes_max != 0 && out_.shared.memory_bytes.load(std::memory_order_relaxed) >
                                                  static_cast<int64_t>(out_.limits.memory_bytes_max);
}

void Shard::wait_for_memory(Connection& connection) {
  connection.link->pause(Link::memory);
  starved_.push_back(connection.id);
}

// What the batch of this Turn costs until it is back.
size_t Shard::batch_bytes() const {
  return batch_encoded_.size() + batch_.size() * (sizeof(record::Record) + sizeof(Pending));
}

// Past the memory ceiling nobody may leave much unread.
uint64_t Shard::output_room() const {
  return over_memory() ? std::min(out_.limits.output_bytes_max, kStarvedOutputBytes)
                       : out_.limits.output_bytes_max;
}

// --- records ---

void Shard::append(record::Record record) {
  record::encode(batch_encoded_, record);
  batch_.push_back(std::move(record));
}

void Shard::append_given_up() {
  const auto append_all = [this](auto given_up) {
    for (auto& each : given_up) {
      append(std::move(each.record));
      for (record::Event& told : each.told) append(std::move(told));
    }
  };
  append_all(std::exchange(dropped_, {}));
  append_all(std::exchange(expired_, {}));
}

void Shard::append(record::Record record, Pending pending) {
  append(std::move(record));
  batch_pending_.push_back(std::move(pending));
}

Shard::Unfinished Shard::unfinished() const {
  Unfinished all{in_log_.size() + (batch_.empty() ? 0 : 1), batch_pending_.size()};
  for (const InLog& batch : in_log_) all.answers += batch.pending.size();
  return all;
}

bool Shard::is_back(uint64_t ticket) const {
  return ticket < next_ticket_ && (in_log_.empty() || in_log_.front().ticket > ticket);
}

void Shard::wait_for_ack_company(Client& client) {
  const size_t company = client.work->acked.size() + client.work->completed.size();
  if (company >= kAckCompanyMax) acks_due_ = 0;
  if (company > 1) return;  // is in the list
  acks_waiting_.push_back(client.session.id);
  if (acks_due_ == INT64_MAX)
    acks_due_ = out_.clock.mono_ns() + int64_t{out_.limits.ack_linger_ms} * kNsPerMs;
}

void Shard::flush_acks(Client& client) {
  const record::SessionRef by{client.session.id, client.session.attach};
  Client::Work* work = client.work.get();
  if (!work) return;
  if (!work->acked.empty()) append(record::Acked{{by, std::exchange(work->acked, {})}});
  if (!work->completed.empty()) append(record::Completed{{by, std::exchange(work->completed, {})}});
  if (work->told.empty()) return;
  for (record::Event& told : std::exchange(work->told, {})) append(std::move(told));
}

void Shard::after_fold(Client& client, bool was_dirty) {
  if (!was_dirty && client.session.dirty && !client.session.id.ephemeral())
    dirty_.push_back(client.session.id);
}

// --- sending ---

void Shard::send(Connection& connection, const mqtt::Packet& packet) {
  if (Tracer* tracer = connection.tracer()) (*tracer)(false, trace_line(packet));
  mqtt::encode(connection.link->output(), packet, connection.version, connection.maximum_packet_size);
}

// --- who is who ---

Connection* Shard::find(ConnectionId id) {
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.get();
}

Client* Shard::find_by_key(std::string_view key) {
  const size_t end = key.find('\0');
  return clients_.find(key.substr(0, end), key.substr(end + 1));
}

bool Shard::trace(const std::string& mountpoint, const std::string& client_id,
                  std::shared_ptr<Tracer> tracer) {
  const std::string key = name_key(mountpoint, client_id);
  if (tracer) {
    tracers_[key] = tracer;
  } else {
    tracers_.erase(key);
  }
  const Client* client = clients_.find_awake(mountpoint, client_id);
  if (!client || !client->connection) return false;
  client->connection->extra.make().tracer = std::move(tracer);
  return true;
}

std::string Shard::name_key(std::string_view mountpoint, std::string_view client_id) {
  std::string key(mountpoint);
  key.push_back('\0');
  key.append(client_id);
  return key;
}

void Shard::erase_client(Client& client) {
  const SessionId id = client.session.id;
  if (out_.shared.full_inboxes.any()) out_.shared.full_inboxes.set(id, false);
  metrics_.queue_messages.add(-static_cast<int64_t>(client.session.inbox.count()));
  metrics_.queue_bytes.add(-static_cast<int64_t>(client.session.inbox.bytes()));
  if (!id.ephemeral()) ended_.push_back(id);
  connected_.erase(id);
  unread_.erase(id);
  clients_.erase(client);
}

}  // namespace courier::broker
