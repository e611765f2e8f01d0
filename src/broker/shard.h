// A shard: the sessions whose hash falls to it, and the connections of those sessions.
//
// One thread at a time calls it (gateway: its shard thread; test/sim: the simulator). It sees no socket:
// packets come in by on_*(), bytes leave by Link, what must be safe leaves in one Batch per Turn and comes
// back as FeedMail. The steps of each packet are in handle_<packet>.cc.
//
//        on_packet / on_mail / on_time                       end_turn
//   ---> decide: session, Pending acks, records  --------->  append one batch; write once per connection
//                                                                 |
//        on_mail(FeedMail): fold, then run the Pending  <---------+  (the ordered log)
//
// Invariants
// 1. An answer that promises something is a Pending until its batch is back. Nothing else writes PUBACK,
// PUBREC,
//    PUBCOMP, SUBACK, UNSUBACK or a stored session's CONNACK, but for promises kept already (duplicates) and
//    those that the log is not needed for (ephemeral sessions among themselves).
// 2. session::Session changes only in fold(), by what came back.
// 3. At most one live connection per (mountpoint, client id); the later one wins.
// 4. In a cluster it decides only about sessions that it acts for: those that are connected here, and those
//    that are connected nowhere and whose partition this node owns. Of every other it knows as much (it folds
//    all records), and does nothing. cluster.cc has what moves between nodes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "admission/ban.h"
#include "auth/acl/rules.h"
#include "auth/authenticator.h"
#include "broker/client_table.h"
#include "broker/connection.h"
#include "broker/limits.h"
#include "broker/mail.h"
#include "broker/peers.h"
#include "broker/shard_metrics.h"
#include "events/catalogue/catalogue.h"
#include "events/interest.h"
#include "mqtt/decoder.h"
#include "mqtt/encoder.h"
#include "quota/allowance.h"
#include "quota/rules.h"
#include "record/directory.h"
#include "store/ordered_log.h"
#include "store/state_store.h"

namespace courier::broker {

// What all shards of a node share, and each one's limits. The referenced things outlive the shards and are
// thread-safe.
struct Surroundings {
  Limits limits;
  const Clock& clock;
  store::OrderedLog& log;
  store::StateStore& store;
  const record::Directory& directory;  // index().match() and counts only
  Post& post;
  auth::Authenticator& authenticator;
  auth::acl::Rules& rules;
  quota::Rules& quota;
  class Shared& shared;  // broker/shared.h
  auth::Hooks* hooks;    // null: nobody is asked
  Peers* peers;          // null: a node alone
  NodeEpoch epoch;       // of this run of a node of a cluster; 0: a node alone
  uint16_t partitions;   // of the cluster; 0: a node alone
};

// How a client's own filters are remembered.
inline uint64_t filter_hash(std::string_view filter) {
  return std::hash<std::string_view>{}(filter);
}

// A name whose ATTACH, or whose session's end, is on its way through the log.
struct NameChange {
  ConnectionId attaching;  // whose ATTACH that is; 0: the session ends
  ConnectionId waiting;    // the connection to attach when the change is over
};

class Shard {
 public:
  Shard(uint32_t index, uint32_t shard_count, uint64_t seed, Surroundings surroundings);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // --- connections; called by the gateway ---
  // A CONNECT arrived on `link`. The link must outlive the connection; reading is paused until the CONNACK.
  // Returns null when the connection was refused and closed at once.
  Connection* on_connect(Link& link, Peer peer, const mqtt::Connect& packet, auth::TlsSession tls = {});
  // The connection came from another shard (Link::move_to); `link` is its wire end here.
  void adopt(Link& link, std::unique_ptr<Connection> connection);
  // A packet after CONNECT; views live for the call. The connection may be gone afterwards (Link::close()).
  void on_packet(Connection& connection, const mqtt::Packet& packet);
  // The decoder gave up: answers with the code (5.0) and closes.
  void on_violation(Connection& connection, const mqtt::Violation& violation);
  // The socket ended or its time is up. The gateway forgets the connection; keep_alive_timeout and
  // packet_timeout still write a DISCONNECT and Link::close().
  void on_end(Connection& connection, EndCause cause);
  // The socket took what was unsent.
  void on_writable(Connection& connection);

  // --- the Turn ---
  void on_mail(Mail mail);
  void on_time();  // runs what is due
  void end_turn();
  // When on_time() or end_turn() has something to do though nothing arrives. INT64_MAX: never.
  MonoNs next_due() const;

  // Whether a new connection would be refused for lack of memory.
  bool over_memory() const;
  // Pauses the connection (Link::memory) until memory is below its ceiling again.
  void wait_for_memory(Connection& connection);

  // --- start and stop; before and after the thread runs ---
  void restore(session::Session session);
  void restore(SessionId session, std::span<const uint64_t> filter_hashes);
  void restore(std::vector<NodeEpoch> owners) { owners_ = std::move(owners); }
  void replay(std::vector<record::FeedItem>& items);
  void start();  // replay is over: from now on it acts
  // Sends DISCONNECT 0x8B to up to `count` connections and closes them; returns how many are left.
  size_t drain(size_t count);

  // What the connection's client was told; before its CONNACK, what an earlier one was.
  const Promise& promised(const Connection& connection) const { return promises_[connection.promise]; }

  // --- control; on the shard's thread (TaskMail) ---
  // From now on. Sessions that have more than they may now lose it when they are next looked at.
  void use(const Limits& limits);
  // Others are in force: whoever is connected loses the subscriptions that they do not allow.
  void rules_changed();
  // Others are to be asked, about whoever is connected too.
  void hooks_changed();
  // Other limits are in force: whoever is connected is matched anew, some in each Turn.
  void limits_changed();
  uint32_t index() const { return index_; }
  size_t connection_count() const { return connections_.size(); }
  size_t client_count() const { return clients_.size(); }
  size_t asleep_count() const { return clients_.asleep(); }
  size_t deadline_count() const { return deadlines_.size(); }
  const Client* find(std::string_view mountpoint, std::string_view client_id) {
    return clients_.find(mountpoint, client_id);
  }
  // All of them, in pieces: ClientTable::for_some().
  template <typename Visit>
  bool for_some(ClientTable::Walk& walk, size_t count, Visit&& visit) const {
    return clients_.for_some(walk, count, visit);
  }
  const Client* find_session(SessionId session) { return clients_.find(session); }
  // Whether a client may do something, and for a PUBLISH which sessions would get it: the first
  // `receivers_max`. Nothing: there is no such client.
  struct Access {
    auth::acl::Explanation explanation;
    bool connected = false;  // or else without the rules that it would bring
    struct Receiver {
      SessionId session;
      mqtt::Qos qos{};
      bool shared = false;
    };
    std::vector<Receiver> receivers;
    uint64_t receiver_count = 0;
    bool forbidden = false;          // whatever the rules say: its authenticator does not let it
    std::vector<std::string> hooks;  // who decides after the rules, if they allow it
  };
  std::optional<Access> why(std::string_view mountpoint, std::string_view client_id, auth::acl::Action action,
                            std::string_view topic, size_t receivers_max);
  bool kick(std::string_view mountpoint, std::string_view client_id, mqtt::ReasonCode reason);
  // There is a new one: ends the connections that are hit, looking at some in each Turn.
  void bans_changed();
  // Null ends it. False: not connected (an offline client is traced from its next CONNECT on).
  bool trace(const std::string& mountpoint, const std::string& client_id, std::shared_ptr<Tracer> tracer);
  // Whether nothing is on its way through the log.
  bool quiet() const { return batch_.empty() && in_log_.empty() && acks_waiting_.empty(); }
  // Batches that are on their way through the log, and the answers that wait for them.
  struct Unfinished {
    size_t batches = 0, answers = 0;
  };
  Unfinished unfinished() const;

 private:
  // --- what waits for its batch ---
  struct ToConnack {
    ConnectionId connection;
    std::string name;  // key in changing_
    bool session_present = false;
    uint32_t record = 0;  // index in the batch, to know whether it holds
  };
  struct ToPublisher {  // PUBACK or PUBREC
    ConnectionId connection;
    PacketId packet_id;
    mqtt::Qos qos{};
    uint32_t record = 0;  // index in the batch, to know whether anybody matched
  };
  struct ToPubcomp {
    ConnectionId connection;
    PacketId packet_id;
  };
  struct ToSuback {
    ConnectionId connection;
    PacketId packet_id;
    std::vector<mqtt::ReasonCode> reasons;
    uint32_t added = 0;  // filters that were not there
    Rights rights;       // that allowed it
  };
  struct ToUnsuback {  // the reasons come with the fold: Connection::unsubscribed
    ConnectionId connection;
    PacketId packet_id;
  };
  struct ToNobody {  // an UNSUBSCRIBE of ours, with reasons that nobody hears
    ConnectionId connection;
  };
  struct Uncount {  // a logged PUBLISH of QoS 0: no answer, but order
    ConnectionId connection;
  };
  using Pending = std::variant<ToConnack, ToPublisher, ToPubcomp, ToSuback, ToUnsuback, ToNobody, Uncount>;
  struct InLog {
    uint64_t ticket = 0;
    size_t bytes = 0;
    MonoNs appended = 0;
    std::vector<Pending> pending;
  };

  // --- handle_connect.cc ---
  void decided(Connection& connection, auth::Decision decision);
  void go_to_its_shard(Connection& connection);
  void attach(Connection& connection);
  void attach_ephemeral(Connection& connection);
  void send_connack(Connection& connection, bool session_present);
  // `tell`: the client may read why.
  void refuse_connect(Connection& connection, mqtt::ReasonCode reason, std::string_view why,
                      bool tell = true);
  bool may_have(const Connection& connection, std::string_view owner) const;
  void watch_authorization(const Connection& connection);
  void end_unauthorized();
  void attached(const ToConnack& pending, Position position);
  void change_is_over(const std::string& name);

  // --- cluster.cc: which node does what ---
  // What a QoS 0 message came by: what the log brings, every node has.
  enum class Way : uint8_t { log, direct, peer };
  bool alone() const { return !out_.epoch; }
  // Whether this node decides what becomes of the session.
  bool acts_for(const session::Session& session) const {
    return alone() || (session.connected ? session.node : owner_of(session.id)) == out_.epoch;
  }
  NodeEpoch owner_of(SessionId session) const {
    return owners_[record::Attachments::partition(session.hash(), owners_.size())];
  }
  // Whether what it decides now about the session's messages holds: nothing that changes that is on its way.
  bool may_give_up(const Client& client) const {
    return alone() || (acts_for(client.session) &&
                       !changing_.contains(name_key(client.session.mountpoint, client.session.client_id)));
  }
  bool elsewhere(const session::Session& session) const {
    return session.connected && session.node != out_.epoch;
  }
  // For records that hold only if nobody attached since.
  Position since(const session::Session& session) const { return alone() ? record::kAlone : session.attach; }
  // For records that hold only if the connection's client is not elsewhere by then.
  Position under(const Connection& connection) const { return alone() ? Position() : connection.attach; }
  void node_down(const record::NodeDownItem& item);
  void owned(const record::OwnItem& item);
  void let_go(Client& client, EndCause cause, mqtt::ReasonCode reason);
  void forget_progress(Client& client);
  void end_is_over(const std::string& name);
  bool goes_elsewhere(const record::Delivery& delivery, record::Delivery::To& to, NodeEpoch node, Way way);
  void send_elsewhere(const record::Delivery& delivery);

  // --- bans.cc ---
  std::optional<admission::Ban> ban_on(const Connection& connection, std::string_view mountpoint,
                                       std::string_view username) const;
  void refuse_banned(Connection& connection, const admission::Ban& ban);
  bool flaps(const Connection& connection);
  void judge_some();

  // --- access.cc: what is allowed ---
  struct SubscribedTo {
    SessionId session;
    std::vector<std::string> filters;
  };
  auth::acl::Subject subject(const Connection& connection) const;
  auth::acl::Answer may(Connection& connection, auth::acl::Action action, std::string_view topic) {
    return without_rules(connection) ? auth::acl::Answer{.allowed = true} : ask(connection, action, topic);
  }
  // Neither are rules configured nor did the client bring any: it may do everything.
  bool without_rules(const Connection& connection) {
    return gate_.open() && (!connection.extra || !connection.extra->grants);
  }
  Rights rights(const Connection& connection);
  // What waits in its inbox may have come by a subscription that is not allowed any more.
  void suspect_inbox(Connection& connection);
  // Whether it may still be sent; asked of suspects only, and each was allowed when it came.
  bool still_allowed(Connection& connection, uint64_t seq, const session::Entry& entry);
  void take_away(Client& client, uint64_t seq, session::Entry& entry);
  auth::acl::Answer ask(Connection& connection, auth::acl::Action action, std::string_view topic);
  void say_refused(const Connection& connection, auth::acl::Action action, std::string_view topic,
                   std::string_view what);
  void look_up(SessionId session);
  void look_up_some();
  void look_at(const std::vector<SubscribedTo>& found);

  // --- allowance.cc: how much is allowed ---
  quota::Subject quota_subject(const Connection& connection) const;
  // False: refused, or delayed; then attach() is called again.
  bool may_come(Connection& connection);
  // Counts it; those that it takes the place of lend their places. False: refused.
  bool counted(Connection& connection, std::span<Connection* const> displaced);
  // False: the message goes no further.
  bool within_rates(Connection& connection, const mqtt::Publish& packet, std::string_view topic,
                    auth::acl::LabelId label);
  const quota::Limit* subscription_limit(Connection& connection, uint64_t count);
  const quota::Limit* payload_limit(Connection& connection, const mqtt::Message& message);
  const quota::Limit* retain_limit(Connection& connection, const mqtt::Message& message,
                                   std::string_view mountpoint);
  uint16_t inflight_max(const Connection& connection) const;
  void delay(Connection& connection, const quota::Allowance::Answer& answer);
  void wait(Connection& connection, MonoNs pause);
  void say_limited(Connection& connection, const quota::Limit& limit, quota::What what,
                   quota::Outcome outcome, MonoNs pause);
  void end_delays();
  quota::LimitPtr personal_limit(const Connection& connection);
  void match_anew(Connection& connection);
  void match_some(std::vector<ConnectionId> connections);
  // The terms of a decision, as far as they are about the session.
  void take_terms(Connection& connection, const auth::SessionTerms& terms);

  // --- handle_auth.cc: enhanced authentication ---
  void begin_exchange(Connection& connection, const auth::Credentials& credentials, std::string_view method,
                      std::string_view data);
  void step(Connection& connection, std::string_view data);
  void stepped(Connection& connection, auth::Exchange::Step answer);
  void reauthenticated(Connection& connection, auth::Decision decision, std::string_view data);
  Result<void> take(Connection& connection, const auth::Decision& decision);
  void handle(Connection& connection, const mqtt::Auth& packet);

  // --- handle_publish.cc ---
  void handle(Connection& connection, const mqtt::Publish& packet);
  std::string_view topic_fault(std::string_view topic) const;
  static constexpr std::string_view kPayloadNotUtf8 = "the payload is not UTF-8, as it says";
  void publish(Connection& connection, mqtt::MessagePtr message, PacketId id, mqtt::Qos qos,
               std::string_view mountpoint);
  void refuse_publish(Connection& connection, std::string_view topic, PacketId id, mqtt::Qos qos,
                      mqtt::ReasonCode reason, std::string_view why, auth::acl::LabelId label,
                      bool tell = true);
  bool may_retain(std::string_view mountpoint, const mqtt::Message& message) const;
  bool may_overtake_nothing(Connection& connection);
  bool route_directly(Connection& connection, const mqtt::MessagePtr& message, mqtt::Qos qos,
                      std::string_view mountpoint);
  bool receiver_is_full(std::string_view mountpoint, const mqtt::Message& message);
  void answer_publisher(Connection& connection, PacketId id, mqtt::Qos qos, mqtt::ReasonCode reason,
                        std::string_view why = {});
  void handle(Connection& connection, const mqtt::Pubrel& packet);

  // --- handle_puback.cc: the outbound handshake's answers ---
  void handle(Connection& connection, const mqtt::Puback& packet);
  void handle(Connection& connection, const mqtt::Pubrec& packet);
  void handle(Connection& connection, const mqtt::Pubcomp& packet);
  std::optional<uint64_t> transmitted_seq(Connection& connection, PacketId id) const;
  void settle(Connection& connection, uint64_t seq, session::Entry& entry);

  // --- handle_subscribe.cc ---
  void handle(Connection& connection, const mqtt::Subscribe& packet);
  void subscribe(Connection& connection, PacketId id, std::span<const mqtt::Subscribe::Entry> entries,
                 std::vector<mqtt::ReasonCode> reasons, uint32_t subscription_identifier, Rights allowed_by);
  void handle(Connection& connection, const mqtt::Unsubscribe& packet);
  void unsubscribe(Connection& connection, PacketId id, std::vector<std::string> filters);

  // --- ask_hooks.cc: what somebody else decides, and changes ---
  void set_hurdles(Connection& connection, const auth::SessionTerms& terms);
  auth::HookClient asked_client(const Connection& connection) const;
  template <typename Answer>
  std::function<void(Answer)> to_hook_mail(ConnectionId connection, uint64_t number) const;
  Undecided::Request& wait_in_line(Connection& connection, Undecided::Request request);
  void wait_in_line(Connection& connection, mqtt::MessagePtr message, PacketId id,
                    std::optional<uint32_t> expiry_seconds);
  void wait_in_line(Connection& connection, const mqtt::Subscribe& packet,
                    std::vector<mqtt::ReasonCode> refused);
  void wait_in_line(Connection& connection, const mqtt::Unsubscribe& packet);
  void wait_in_line(Connection& connection, const mqtt::Disconnect& packet);
  void answered(HookMail& mail);
  void work_off_line(Connection& connection);
  void go_on(Connection& connection, Undecided::Publish& request, auth::PublishAnswer& answer);
  void go_on(Connection& connection, Undecided::Subscribe& request, auth::SubscribeAnswer& answer);
  void read_again(Connection& connection);
  void throttle(Connection& connection, uint32_t ms);
  void end_throttles();
  void say_hook_refused(const Connection& connection, std::string_view what, std::string_view topic,
                        std::string_view why);
  void ask_about_will(Connection& connection);
  void will_answered(Connection& connection, auth::PublishAnswer& answer);
  auth::HookQuestion ask_to_deliver(Connection& connection, const mqtt::Message& message, mqtt::Qos qos,
                                    bool retain, const session::Entry::Extras* extras, uint64_t number);
  void ask_before_qos0(Connection& connection, const mqtt::MessagePtr& message, bool retain,
                       const session::Entry::Extras* extras);
  void ask_qos0_ahead(Connection& connection);
  // Null: it is not decided yet. Asks about it if nobody did.
  const auth::DeliverChanges* decided_delivery(Connection& connection, uint64_t seq,
                                               const session::Entry& entry);
  void ask_about(Connection& connection, uint64_t seq, const session::Entry& entry,
                 std::deque<Undecided::Asked>::iterator before);
  void ask_ahead(Connection& connection);
  void delivery_answered(Connection& connection, uint64_t number, auth::DeliverAnswer& answer);

  // --- handle_disconnect.cc ---
  void handle(Connection& connection, const mqtt::Disconnect& packet);
  // Ends it with a DISCONNECT (5.0, if `reason` is given) and Link::close().
  void disconnect(Connection& connection, EndCause cause, std::optional<mqtt::ReasonCode> reason,
                  std::string_view why = {});
  static mqtt::ReasonCode in_a_connack(mqtt::ReasonCode reason);
  mqtt::ReasonCode reason_to_leave(const Connection& connection) const;
  std::string server_for(mqtt::ReasonCode reason);
  // Records and log line of an ended connection; frees it. `drops_will`: DISCONNECT 0x00.
  void forget(Connection& connection, EndCause cause, bool drops_will, std::string_view why = {});
  void detach(Client& client, bool drops_will, uint32_t expiry_seconds, uint64_t sent_up_to);
  void end_ephemeral(Client& client);

  // --- fold.cc: what came back ---
  struct RecordFold;
  void fold(record::FeedItem& item);
  void fold(record::SessionRecord& item);
  void receive(record::Delivery& delivery, Way way);
  void free_place(Client& client, session::GroupOrigin origin);
  void run(Pending& pending, const FeedMail::Back& back);
  void erase_client(Client& client);

  // --- deliver.cc: what goes out ---
  // `extras`: null when there are none.
  void send_qos0(Connection& connection, const mqtt::MessagePtr& message, bool retain,
                 const session::Entry::Extras* extras);
  static uint32_t seconds_left(const mqtt::Message& message, WallMs now);
  void write_qos0(Connection& connection, const mqtt::Message& message, bool retain,
                  const session::Entry::Extras* extras);
  // False: the connection's maximum packet size forbids it. `message`: the entry's, or what a hook made of
  // it.
  bool transmit(Connection& connection, uint64_t seq, session::Entry& entry, const mqtt::Message& message);
  void count_delivered(const mqtt::Message& message, mqtt::Qos qos) {
    metrics_.delivered[static_cast<size_t>(qos)]->add();
    if (message.label != auth::acl::kNoLabel) [[unlikely]]
      time_delivery(message);
  }
  void time_delivery(const mqtt::Message& message);
  void ask_to_send(Connection& connection);
  void ask_for_retained(Connection& connection);
  void want_pump(Client& client);
  void pump(Connection& connection);
  void pump_all();
  void hold(Connection& connection, Connection::Held held);
  void release_held(Connection& connection);
  // What the connection that had them in flight has sent, below `until`, is owed anew.
  void owe_again(Client& client, uint64_t until);

  // --- inbox_limits.cc ---
  template <typename Record>
  struct GivenUp {
    Record record;
    std::vector<record::Event> told;  // one a message, where they are wanted
  };
  struct Fill {
    uint64_t messages = 0, bytes = 0;
  };
  static Fill fill(const Client& client);
  static void leaves(Client& client, const record::InboxRef& ref);
  InboxBounds bounds(const Client& client) const;
  uint32_t inbox_messages_max(const Client& client) const;
  bool over_limits(const Client& client) const;
  record::DropReason crowded_by(const Client& client) const;
  void want_limits(Client& client);
  void enforce_wanted_limits();
  void enforce_limits(Client& client);
  void note_fullness(Client& client);
  void load(Client& client);
  void loaded(LoadedMail& mail);
  void cannot_read(Client& client, LoadedMail& mail);
  void give_up_unread(Client& client, const LoadedMail::Unreadable& row);
  void gave_up_unread(const record::Dropped& dropped);
  record::InboxRef ref_of(uint64_t seq, const session::Entry& entry) const;
  void finish_ephemeral(Client& client, const record::InboxRef& ref);
  ByLabel<Counter>& drop_counter(record::DropReason reason);
  void drop(Client& client, uint64_t seq, session::Entry& entry, record::DropReason reason);
  void expire(Client& client, uint64_t seq, session::Entry& entry);
  template <typename Record>
  static void add(std::vector<GivenUp<Record>>& records, Record of, const record::InboxRef& ref,
                  std::optional<record::Event> told);

  // --- deadlines.cc ---
  void schedule(Client& client);
  void look_again_at(Client& client, WallMs at);
  void begin_grace();
  WallMs ends_at(const session::Session& session) const;
  void due(Client& client);
  void publish_will(Client& client);

  // --- checkpoint of this shard (checkpoint.cc) ---
  void write_dirty(uint64_t checkpoint);
  void checkpointed(uint64_t checkpoint);
  void give_back(Client& client);

  // --- memory of the idle ---
  void stir(Client& client);  // something came to it that leaves traces
  void trim_idle();

  // --- tell.cc: events ---
  bool wanted(events::Kind kind) const { return interest_.wants(kind); }
  bool wanted(events::Kind kind, const mqtt::Message& message) const {
    return interest_.wants(kind, message);
  }
  record::Event event(events::Kind kind, bool alone) const;
  record::Event event_about(events::Kind kind, const session::Session& session, const mqtt::Message& message,
                            Position position, mqtt::Qos qos, bool retain) const;
  std::optional<record::Event> tell_drop(const Client& client, const session::Entry& entry,
                                         std::string_view reason);
  void put_latency(record::Event& told, const mqtt::Message& message);
  void note(events::Kind kind, const record::Event& event);
  void note_message(events::Kind kind, const session::Session& session, const mqtt::Message& message,
                    Position position, mqtt::Qos qos, bool retain, std::string_view reason = {});
  void tell_connect(const Connection& connection, SessionId session, bool present);
  void tell_life(events::Kind kind, SessionId session, const Connection& connection);
  void tell_end(events::Kind kind, const session::Session& session);
  void tell_refused(const Connection& connection, mqtt::ReasonCode reason);
  void tell_disconnect(const Connection& connection, SessionId session, EndCause cause);
  void tell_subscribe(const Client& client, std::span<const mqtt::Subscribe::Entry> entries,
                      std::span<const mqtt::ReasonCode> reasons);
  void tell_unsubscribe(const Client& client, std::span<const std::string> filters);
  bool must_be_told(const mqtt::Message& message) const;
  void tell_publish(const Client& client, const mqtt::Message& message);
  void tell_complete(Client& client, const session::Entry& entry);

  // --- records ---
  void hold_back(Connection& connection);
  void worked_off(uint64_t bytes);  // of the backlog
  size_t batch_bytes() const;
  void append(record::Record record);
  void append_given_up();
  void append(record::Record record, Pending pending);
  bool is_back(uint64_t ticket) const;
  void wait_for_ack_company(Client& client);
  void flush_acks(Client& client);
  void after_fold(Client& client, bool was_dirty);

  // --- sending ---
  // The wall clock, read once a Turn.
  WallMs now() {
    if (turn_now_ == 0) turn_now_ = out_.clock.wall_ms();
    return turn_now_;
  }
  // Likewise the other clock.
  MonoNs mono_now() {
    if (turn_mono_ == 0) turn_mono_ = out_.clock.mono_ns();
    return turn_mono_;
  }
  void send(Connection& connection, const mqtt::Packet& packet);
  uint64_t output_room() const;
  Connection* find(ConnectionId id);
  Client* find(SessionId id) { return clients_.find(id); }
  Client* find_by_key(std::string_view name_key);
  static std::string name_key(std::string_view mountpoint, std::string_view client_id);

  const uint32_t index_, shard_count_;
  Surroundings out_;
  std::vector<Promise> promises_;     // the latest is in force; never more than a uint8_t counts
  const events::Interest& interest_;  // out_.shared's, for what asks with each message
  ShardMetrics metrics_;
  auth::acl::Gate gate_;
  quota::View quota_;
  std::mt19937_64 random_;
  bool acting_ = false;
  std::vector<NodeEpoch> owners_;  // by partition, as the log says
  store::LogState log_state_;

  boost::unordered_flat_map<ConnectionId, std::unique_ptr<Connection>, std::hash<ConnectionId>> connections_;
  ClientTable clients_;
  // As the log knows it; stored ones. Of a node alone.
  boost::unordered_flat_set<SessionId, std::hash<SessionId>> connected_;
  std::unordered_map<std::string, NameChange> changing_;  // key: name_key()
  std::unordered_map<std::string, std::shared_ptr<Tracer>> tracers_;

  WallMs turn_now_ = 0;   // now(); 0: not read yet
  MonoNs turn_mono_ = 0;  // mono_now(); likewise

  // The batch of this Turn.
  std::vector<record::Record> batch_;
  std::string batch_encoded_;
  std::vector<Pending> batch_pending_;
  uint64_t next_ticket_ = 1;
  uint64_t burst_ = 0;  // of the latest FeedMail
  std::deque<InLog> in_log_;
  size_t in_log_bytes_ = 0;
  // What this Turn gives up, together: one record a session and reason, not one a message.
  std::vector<GivenUp<record::Dropped>> dropped_;
  std::vector<GivenUp<record::Expired>> expired_;
  std::vector<ConnectionId> paused_;   // until in_log_bytes_ and every backlog have fallen
  std::vector<ConnectionId> starved_;  // wait_for_memory(): until it is below its ceiling

  std::vector<ConnectionId> to_judge_;  // who is to be held against the bans
  bool judge_again_ = false;            // another ban came meanwhile

  std::vector<SessionId> to_look_up_;  // whose subscriptions are to be held against the rules
  bool looking_up_ = false;

  std::vector<SessionId> limits_list_, pump_list_;
  std::vector<SessionId> acks_waiting_;
  MonoNs acks_due_ = INT64_MAX;

  std::vector<SessionId> stirred_;  // ephemeral sessions that have something to trim()
  size_t trim_left_ = 0;            // of them in this round
  MonoNs trim_due_ = INT64_MAX;

  // Session expiry and will delays. One entry a client counts (Client::deadline); others are stale.
  struct Deadline {
    WallMs at = 0;
    SessionId session;
    bool operator>(const Deadline& other) const { return at > other.at; }
  };
  std::vector<Deadline> deadlines_;  // a heap, the earliest in front
  WallMs started_at_ = 0, grace_until_ = 0;

  // Ends of tokens, as above: what counts is Connection::authorized_until.
  struct Authorization {
    uint32_t until = 0;
    ConnectionId connection;
    bool operator>(const Authorization& other) const { return until > other.until; }
  };
  std::vector<Authorization> authorizations_;  // a heap, the earliest in front

  // Connections that are not read for a while because a hook said so.
  std::vector<ConnectionId> throttled_;
  MonoNs throttle_ends_ = INT64_MAX;  // of the first of them
  // Who is not read, or not let in yet, because of a limit; what counts is Allowance::delayed_until.
  struct Delay {
    MonoNs until = 0;
    ConnectionId connection;
    bool operator>(const Delay& other) const { return until > other.until; }
  };
  std::vector<Delay> delays_;  // a heap, the earliest in front

  // Sequences of damaged rows whose DROPPED is on its way.
  std::unordered_map<SessionId, std::vector<uint64_t>> unread_;

  std::vector<SessionId> dirty_;
  std::vector<SessionId> ended_;     // since the last checkpoint
  std::vector<SessionId> written_;   // by the checkpoint in flight
  std::vector<SessionId> restless_;  // not connected, but could not fall asleep yet
  uint64_t next_ephemeral_ = 1;
  routing::MatchResult match_;
  std::vector<record::Delivery> direct_;  // by shard, empty between messages: what route_directly() gathers
  // Of a cluster: what one message has for other nodes; empty between messages.
  std::vector<std::pair<NodeEpoch, std::vector<record::Delivery::To>>> elsewhere_;
  bool sent_elsewhere_ = false;  // in this Turn
  Position folded_;              // all that stands in the log up to here was posted to every shard
};

}  // namespace courier::broker
