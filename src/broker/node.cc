#include "broker/node.h"

#include <thread>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "record/codec.h"
#include "record/rows.h"
#include "store/errc.h"

namespace courier::broker {

namespace {

// Rows of the directory as part of a checkpoint.
class RowWriter final : public record::Directory::RowSink {
 public:
  explicit RowWriter(store::StateBatch& rows) : rows_(rows) {}
  void put_subscriptions(SessionId session, const record::Subscriptions& subscriptions) override {
    put(store::Table::subscription, record::session_key(session),
        record::encode_subscriptions(subscriptions));
  }
  void erase_subscriptions(SessionId session) override {
    erase(store::Table::subscription, record::session_key(session));
  }
  void put_retained(std::string_view mountpoint, const routing::Retained& retained) override {
    put(store::Table::retained, record::retained_key(mountpoint, retained.message->topic),
        record::encode_retained(mountpoint, *retained.message, retained.position));
  }
  void erase_retained(std::string_view mountpoint, std::string_view topic) override {
    erase(store::Table::retained, record::retained_key(mountpoint, topic));
  }
  void put_group(const routing::SharedGroup& group) override {
    put(store::Table::group, record::group_key(group.id), record::encode_group(group));
  }
  void erase_group(record::GroupId group) override {
    erase(store::Table::group, record::group_key(group));
    rows_.range_erases.push_back({store::Table::group_inbox, record::group_inbox_key(group, 0),
                                  record::group_inbox_key(group, UINT64_MAX)});
  }
  void put_group_entry(record::GroupId group, uint64_t seq, const routing::GroupEntry& entry) override {
    put(store::Table::group_inbox, record::group_inbox_key(group, seq), record::encode_group_entry(entry));
  }
  void erase_group_entry(record::GroupId group, uint64_t seq) override {
    erase(store::Table::group_inbox, record::group_inbox_key(group, seq));
  }
  void put_owners(std::span<const NodeEpoch> owners) override {
    put(store::Table::group, record::group_key({}), record::encode_owners(owners));
  }

 private:
  void put(store::Table table, std::string key, std::string value) {
    rows_.puts.push_back({table, std::move(key), std::move(value)});
  }
  void erase(store::Table table, std::string key) { rows_.erases.push_back({table, std::move(key)}); }
  store::StateBatch& rows_;
};

// Messages from other nodes that wait until the log has come as far as it had there.
constexpr size_t kUnripeBytesMax = 16 * 1024 * 1024;
constexpr MonoNs kToldEveryNs = 1'000 * kNsPerMs;

record::Partitioning partitioning_of(const NodeOptions& options) {
  return options.cluster ? options.cluster->partitioning() : record::Partitioning();
}

}  // namespace

Node::Node(NodeOptions options, const Limits& limits, store::OrderedLog& log, store::StateStore& store,
           const Clock& clock, Post& post, auth::Authenticator& authenticator, auth::acl::Rules& rules,
           Registry& metrics, auth::Hooks* hooks)
    : options_(std::move(options)),
      epoch_(options_.cluster ? options_.cluster->epoch() : NodeEpoch()),
      limits_(limits),
      log_(log),
      store_(store),
      clock_(clock),
      post_(post),
      rules_(rules),
      rules_told_(rules.generation()),
      metrics_(metrics),
      quota_(metrics, rules.labels()),
      shared_(metrics, limits_, options_.shard_count),
      directory_(options_.seed, options_.shard_count, partitioning_of(options_)),
      started_at_(clock.mono_ns()),
      items_(options_.shard_count),
      unripe_drops_(dropped_because(metrics, rules.labels(), "log_behind")),
      group_ended_drops_(dropped_because(metrics, rules.labels(), "group_ended")),
      group_full_drops_(dropped_because(metrics, rules.labels(), "inbox_full")),
      group_expired_drops_(dropped_because(metrics, rules.labels(), "expired")),
      batch_records_(metrics.histogram("courier_commit_batch_events", "Records of one shard's batch.", {},
                                       Histogram::Unit::plain)),
      log_accepting_(metrics.gauge(
          "courier_log_accepting",
          "1; or 0 while the log cannot be written (a full disk, an I/O error) and new messages "
          "with QoS 1 and 2 are refused.")),
      log_position_(metrics.gauge("courier_log_position",
                                  "How many records of the log this node has read. In a cluster it is the "
                                  "same log for all nodes: who has less lags behind.")) {
  log_accepting_.set(1);
  if (options_.cluster) figures_.emplace(metrics);
  shared_.checkpoint_parts = this;
  shared_.bans = options_.bans;
  shared_.flapping = options_.flapping;
  shared_.outbox = options_.outbox;
  shared_.node = options_.name;
  shared_.machine_clock = options_.machine_clock ? options_.machine_clock : &clock_;
  const Surroundings surroundings{
      limits_, clock_, log_,    store_, directory_,     post_,  authenticator,
      rules,   quota_, shared_, hooks,  options_.peers, epoch_, partitioning_of(options_).partitions};
  for (uint32_t i = 0; i < options_.shard_count; ++i) {
    shards_.push_back(std::make_unique<Shard>(i, options_.shard_count, options_.seed + i, surroundings));
  }
  if (!options_.bans) return;
  options_.bans->watch([this](const admission::Ban&) {
    for (uint32_t i = 0; i < options_.shard_count; ++i) {
      post_.post(i, TaskMail{[](Shard& shard) { shard.bans_changed(); }});
    }
  });
}

Node::~Node() {
  if (options_.bans) options_.bans->watch({});
}

Result<StartReport> Node::start() {
  auto report = restore();
  if (!report) return report;
  WallMs last_clock = 0;
  auto replayed = replay(last_clock);
  if (!replayed) return fail(std::move(replayed.error()));
  report->replayed_records = *replayed;
  if (options_.on_replayed) options_.on_replayed(folded_clock_);
  report->subscriptions = directory_.subscription_count();
  report->retained = directory_.retained_count();
  report->sessions = 0;
  for (const auto& shard : shards_) {
    report->sessions += shard->client_count();
    shard->start();
  }
  log_.start(*this);
  if (alone()) {
    append_alone({record::NodeDown{last_clock != 0 ? last_clock : clock_.wall_ms(), {}}});
  } else {
    append_alone({record::Feature{1}});  // when it is back, all that came before it is here
  }
  return report;
}

Result<StartReport> Node::restore() {
  StartReport report;
  if (options_.outbox) {
    if (auto restored = options_.outbox->restore(); !restored) return fail(std::move(restored.error()));
  }
  // Sessions fill the shards while subscriptions fill the directory: the two large tables, and neither needs
  // the other but for the filters' hashes.
  std::vector<std::pair<SessionId, uint64_t>> filter_hashes;  // one after another
  Result<void> subscriptions;
  std::thread directory([&] {
    subscriptions = for_rows(store::Table::subscription, [&](std::string_view key, std::string_view value) {
      const auto id = record::decode_session_key(key);
      if (!id) return Result<void>(fail(id.error()));
      auto row = record::decode_subscriptions(value);
      if (!row) return Result<void>(fail(std::move(row.error())));
      for (const record::Subscription& each : row->filters) {
        filter_hashes.emplace_back(*id, filter_hash(each.filter));
      }
      directory_.restore(*id, std::move(*row));
      return Result<void>();
    });
  });
  auto restored = for_rows(store::Table::session, [&](std::string_view key, std::string_view value) {
    const auto id = record::decode_session_key(key);
    if (!id) return Result<void>(fail(id.error()));
    session::Session session;
    session.id = *id;
    auto decoded = record::decode_session(value, session);
    if (decoded && !alone()) directory_.restore(session);
    if (decoded) shards_[id->hash() % options_.shard_count]->restore(std::move(session));
    return decoded;
  });
  directory.join();
  if (restored) restored = std::move(subscriptions);
  std::vector<uint64_t> of_one;
  for (auto each = filter_hashes.begin(); each != filter_hashes.end();) {
    const SessionId id = each->first;
    of_one.clear();
    for (; each != filter_hashes.end() && each->first == id; ++each) of_one.push_back(each->second);
    shards_[id.hash() % options_.shard_count]->restore(id, of_one);
  }
  if (restored) {
    restored = for_rows(store::Table::retained, [&](std::string_view, std::string_view value) {
      auto row = record::decode_retained(value);
      if (!row) return Result<void>(fail(std::move(row.error())));
      directory_.restore(std::move(*row));
      return Result<void>();
    });
  }
  if (!restored) return fail(restored.error().within("the stored state cannot be read"));
  auto groups = restore_groups(report);
  if (!groups) return fail(groups.error().within("the stored shared groups cannot be read"));
  return report;
}

Result<void> Node::for_rows(
    store::Table table, const std::function<Result<void>(std::string_view, std::string_view)>& row) const {
  Result<void> done;
  auto scanned = store_.scan(table, "", "", [&](std::string_view key, std::string_view value) {
    done = row(key, value);
    return done.has_value();
  });
  return scanned ? std::move(done) : std::move(scanned);
}

Result<void> Node::restore_groups(StartReport& report) {
  std::vector<routing::SharedGroup> groups;
  std::optional<Error> bad;
  auto scanned = store_.scan(store::Table::group, "", "", [&](std::string_view key, std::string_view value) {
    if (!alone() && key == record::group_key({})) {
      auto owners = record::decode_owners(value);
      if (owners) {
        for (const auto& shard : shards_) shard->restore(*owners);
        directory_.restore(*std::move(owners));
        return true;
      }
      bad = std::move(owners.error());
      return false;
    }
    auto group = record::decode_group(value);
    if (!group) {
      bad = std::move(group.error());
      return false;
    }
    groups.push_back(std::move(*group));
    return true;
  });
  if (!scanned) return scanned;
  for (routing::SharedGroup& group : groups) {
    scanned = store_.scan(store::Table::group_inbox, record::group_inbox_key(group.id, 0),
                          record::group_inbox_key(group.id, UINT64_MAX),
                          [&](std::string_view key, std::string_view value) {
                            const auto at = record::decode_inbox_key(key);
                            auto entry = record::decode_group_entry(value);
                            if (!at || !entry) {
                              bad = !at ? at.error() : entry.error();
                              return false;
                            }
                            group.entries.emplace(at->seq, std::move(*entry));
                            return true;
                          });
    if (!scanned) return scanned;
    if (bad) break;
    directory_.restore(std::move(group));
  }
  if (bad) return fail(std::move(*bad));
  report.groups = groups.size();
  return {};
}

Result<uint64_t> Node::replay(WallMs& last_clock) {
  folded_ = checkpointed_ = store_.position();
  cursor_ = store_.cursor();
  folded_clock_ = store_.clock();
  uint64_t records = 0;
  auto replayed = log_.replay(folded_, [&](store::CommittedBatch&& batch) -> Result<void> {
    last_clock = folded_clock_ = batch.clock;
    cursor_ = batch.cursor;
    for (size_t i = 0; i < batch.records.size(); ++i) {
      fold(batch, i);
      for (uint32_t s = 0; s < options_.shard_count; ++s) {
        shards_[s]->replay(items_[s]);
        items_[s].clear();
      }
    }
    records += batch.records.size();
    return {};
  });
  if (!replayed) return fail(std::move(replayed.error()));
  (void)directory_.take_group_drops();
  return records;
}

void Node::on_committed(std::span<store::CommittedBatch> batches) {
  std::vector<std::vector<FeedMail::Back>> back(options_.shard_count);
  for (store::CommittedBatch& batch : batches) {
    std::vector<uint32_t> unmatched;
    batch_records_.observe(static_cast<double>(batch.records.size()));
    const bool own = batch.node == epoch_;
    cursor_ = batch.cursor;
    folded_clock_ = batch.clock;
    for (size_t i = 0; i < batch.records.size(); ++i) {
      const bool publish = std::holds_alternative<record::Publish>(batch.records[i]);
      const size_t reached = fold(batch, i);
      if (publish && reached == 0) unmatched.push_back(static_cast<uint32_t>(i));
    }
    if (!own) continue;
    if (batch.origin == store::kNoOrigin) {
      alone_back_ = batch.ticket;
      ready_.store(true, std::memory_order_release);  // the first of them is what a run begins with
      continue;
    }
    back[batch.origin].push_back(
        {items_[batch.origin].size(), batch.ticket, batch.first, std::move(unmatched)});
  }
  post_items(std::move(back));
  if (options_.outbox) options_.outbox->wake();
  for (const auto& drop : directory_.take_group_drops()) group_ended_drops_[drop.message->label].add();
  limit_groups();
  if (log_.tail_bytes() > options_.log_bytes_max / 2) begin_checkpoint();
}

size_t Node::fold(store::CommittedBatch& batch, size_t index) {
  folded_ = Position(batch.first.value + index);
  record::Record& record = batch.records[index];
  if (const auto* event = std::get_if<record::Event>(&record)) {
    if (options_.outbox) take_event(*event, batch.clock);
    return 0;
  }
  if (const auto* told = std::get_if<record::Told>(&record)) {
    if (options_.outbox) options_.outbox->told(told->sink, told->up_to);
    return 0;
  }
  // Events follow what they are about.
  const bool is_subject = options_.outbox && index + 1 < batch.records.size() &&
                          std::holds_alternative<record::Event>(batch.records[index + 1]);
  if (is_subject) subject_ = events::Subject::of(record, folded_);
  const size_t reached = directory_.fold(std::move(record), folded_, batch.clock, items_, batch.node);
  if (is_subject) subject_holds_ = directory_.held();
  return reached;
}

void Node::take_event(const record::Event& event, WallMs clock) {
  const auto kind = events::kind_of(event.kind);
  if (!kind || (!event.alone && !subject_holds_)) return;
  const events::Subject none;
  options_.outbox->add(folded_, *kind,
                       events::compose(event, *kind, folded_, clock, event.alone ? none : subject_,
                                       shared_.interest.wants_payloads()));
}

void Node::post_items(std::vector<std::vector<FeedMail::Back>> back) {
  ++burst_;
  for (uint32_t s = 0; s < options_.shard_count; ++s) {
    if (items_[s].empty() && back[s].empty()) continue;
    const uint64_t bytes = cost(items_[s]);
    shared_.backlog.posted(s, bytes);
    post_.post(s, FeedMail{burst_, take_list(items_[s]), std::move(back[s]), bytes, folded_});
  }
  shared_.bursts_posted.store(burst_, std::memory_order_release);
  log_position_.set(static_cast<int64_t>(folded_.value));
  if (!alone()) post_ripe();
}

// What one node sent overtakes nothing that it sent before, so all wait while one does.
void Node::from_peer(std::span<FromPeer> messages) {
  for (FromPeer& message : messages) {
    const size_t bytes =
        sizeof(FromPeer) + message.message->cost() + message.to.size() * sizeof(record::Delivery::To);
    const std::lock_guard lock(unripe_mutex_);
    if (unripe_.empty() && message.after <= posted_) {
      post_from_peer(std::move(message));
    } else if (unripe_bytes_ + bytes > kUnripeBytesMax) {
      unripe_drops_[auth::acl::kNoLabel].add(message.to.size());
    } else {
      unripe_bytes_ += bytes;
      unripe_.push_back(std::move(message));
    }
  }
}

void Node::post_ripe() {
  const std::lock_guard lock(unripe_mutex_);
  posted_ = folded_;
  for (; !unripe_.empty() && unripe_.front().after <= posted_; unripe_.pop_front())
    post_from_peer(std::move(unripe_.front()));
  if (unripe_.empty()) unripe_bytes_ = 0;
}

void Node::post_from_peer(FromPeer message) {
  std::vector<record::Delivery> by_shard(options_.shard_count);
  for (record::Delivery::To& to : message.to)
    by_shard[to.session.hash() % options_.shard_count].to.push_back(std::move(to));
  for (uint32_t s = 0; s < options_.shard_count; ++s) {
    if (by_shard[s].to.empty()) continue;
    by_shard[s].message = message.message;
    post_direct(post_, shared_.backlog, s, std::move(by_shard[s]), true);
  }
}

void Node::on_state(const store::LogState& state) {
  log_accepting_.set(state.accepting ? 1 : 0);
  if (state.accepting) {
    log::warn("the log accepts again; messages with QoS 1 and 2 are taken as before");
  } else {
    log::error("the log cannot be written; new messages with QoS 1 and 2 are refused until it can",
               {{"reason", state.reason}});
  }
  for (uint32_t s = 0; s < options_.shard_count; ++s) post_.post(s, LogStateMail{state});
}

void Node::hooks_changed() {
  for (uint32_t i = 0; i < options_.shard_count; ++i) {
    post_.post(i, TaskMail{[](Shard& shard) { shard.hooks_changed(); }});
  }
}

void Node::run_on_feed(std::function<void(const record::Directory&)> task) {
  log_.post([this, task = std::move(task)] { task(directory_); });
}

// Whose inbox was full under the old limits is found out anew, by the next message for it: with the policy
// that drops nobody would look at them again. The last shard does it, for until then one of them may still
// add.
void Node::use(const Limits& limits) {
  const auto left = std::make_shared<std::atomic<uint32_t>>(options_.shard_count);
  for (uint32_t i = 0; i < options_.shard_count; ++i) {
    post_.post(i, TaskMail{[this, limits, left](Shard& shard) {
                 shard.use(limits);
                 if (left->fetch_sub(1) == 1) shared_.full_inboxes.clear();
               }});
  }
  run_on_feed([this, limits](const record::Directory&) {
    limits_ = limits;
    shared_.full_groups.clear();
  });
}

// Records of the node itself; nobody waits for them.
uint64_t Node::append_alone(std::vector<record::Record> records) {
  store::Batch batch;
  batch.origin = store::kNoOrigin;
  batch.ticket = ++alone_appended_;
  for (const record::Record& record : records) record::encode(batch.encoded, record);
  batch.records = std::move(records);
  log_.append(std::move(batch));
  return alone_appended_;
}

// --- housekeeping ---

void Node::housekeeping() {
  if (!ready()) return;
  const MonoNs now = clock_.mono_ns();
  rules_.refresh(now);
  // Whoever read them again.
  if (const uint32_t generation = rules_.generation(); generation != rules_told_) {
    rules_told_ = generation;
    for (uint32_t i = 0; i < options_.shard_count; ++i) {
      post_.post(i, TaskMail{[](Shard& shard) { shard.rules_changed(); }});
    }
  }
  quota_.tidy(now);
  if (const uint32_t generation = quota_.generation(); generation != quota_told_) {
    quota_told_ = generation;
    for (uint32_t i = 0; i < options_.shard_count; ++i) {
      post_.post(i, TaskMail{[](Shard& shard) { shard.limits_changed(); }});
    }
  }
  bool sys = false;
  if (options_.sys_interval_ms > 0 && now >= sys_at_.load()) {
    sys_at_ = now + options_.sys_interval_ms * kNsPerMs;
    sys = true;
  }
  if (log_.state().accepting && checkpoint_failed_.exchange(false))
    post_.run_on_worker([this] { write_checkpoint(); });
  log_.post([this, now, sys] {
    if (now - checkpoint_began_ >= options_.checkpoint_interval_ms * kNsPerMs) begin_checkpoint();
    if (!alone() && alone_back_ >= members_decided_) {
      bury_the_gone();
      claim_partitions();
    }
    if (options_.outbox) say_what_was_told(now);
    if (figures_) figures_->look(*options_.cluster, directory_.attachments());
    expire_retained();
    group_expiry_due_ = true;
    limit_groups();
    if (sys) publish_sys();
  });
}

// One does it for all; that others do it too, while they do not agree on who that is, changes nothing.
void Node::bury_the_gone() {
  if (!options_.cluster->should_own(0)) return;
  std::vector<record::Record> records;
  for (const NodeEpoch node : directory_.attachments().nodes()) {
    if (node == epoch_ || !options_.cluster->gone(node)) continue;
    log::warn("a node of the cluster is gone; its clients may come back anywhere", {{"epoch", node.value}});
    records.push_back(record::NodeDown{clock_.wall_ms(), node});
  }
  if (!records.empty()) members_decided_ = append_alone(std::move(records));
}

// A share at a time, so that a node that joins does not begin with all the work at once.
void Node::claim_partitions() {
  const record::Attachments& attachments = directory_.attachments();
  const size_t partitions = attachments.owners().size();
  record::Own own;
  for (size_t p = 0; p < partitions && own.partitions.size() < std::max<size_t>(1, partitions / 8); ++p) {
    const auto partition = static_cast<uint16_t>(p);
    if (attachments.owner(partition) != epoch_ && options_.cluster->should_own(partition))
      own.partitions.push_back(partition);
  }
  if (own.partitions.empty()) return;
  members_decided_ = append_alone({std::move(own)});
}

// So often only: each is a record, and losing the latest costs no more than telling something twice.
void Node::say_what_was_told(MonoNs now) {
  if (now < tell_again_at_) return;
  std::vector<record::Record> records;
  for (auto& [sink, up_to] : options_.outbox->take_reports()) records.push_back(record::Told{sink, up_to});
  if (records.empty()) return;
  tell_again_at_ = std::min(now, INT64_MAX - kToldEveryNs) + kToldEveryNs;
  append_alone(std::move(records));
}

void Node::say_what_was_told() {
  if (options_.outbox) log_.post([this] { say_what_was_told(INT64_MAX); });
}

void Node::expire_retained() {
  if (alone_back_ < retained_decided_ || !directory_.attachments().owns(uint16_t{0}, epoch_)) return;
  std::vector<record::Record> records;
  for (auto& topic : directory_.retained().expired(clock_.wall_ms(), 1000)) {
    records.push_back(
        record::RetainedExpired{std::move(topic.mountpoint), std::move(topic.topic), topic.position});
  }
  if (!records.empty()) retained_decided_ = append_alone(std::move(records));
}

// The names that mosquitto made customary, for what is this node's own; and what is the cluster's.
void Node::publish_sys() {
  const auto whole = [](double value) { return std::to_string(static_cast<int64_t>(value)); };
  const auto connected = metrics_.total("courier_clients_connected");
  const auto sessions = metrics_.total("courier_sessions");
  std::vector<std::pair<std::string_view, std::string>> values{
      {"$SYS/broker/version", "courier " + options_.version},
      {"$SYS/broker/uptime", std::to_string((clock_.mono_ns() - started_at_) / 1'000'000'000) + " seconds"},
      {"$SYS/broker/clients/connected", whole(connected)},
      {"$SYS/broker/clients/disconnected", whole(sessions - std::min(sessions, connected))},
      {"$SYS/broker/clients/total", whole(std::max(sessions, connected))},
      {"$SYS/broker/messages/received", whole(metrics_.total("courier_messages_received_total"))},
      {"$SYS/broker/messages/sent", whole(metrics_.total("courier_messages_delivered_total"))},
      {"$SYS/broker/messages/dropped", whole(metrics_.total("courier_messages_dropped_total"))},
      {"$SYS/broker/messages/stored", whole(metrics_.total("courier_queue_messages"))},
      {"$SYS/broker/store/messages/bytes", whole(metrics_.total("courier_queue_bytes"))},
      {"$SYS/broker/subscriptions/count", std::to_string(directory_.subscription_count())},
      {"$SYS/broker/retained messages/count", std::to_string(directory_.retained_count())},
  };
  if (!alone()) {
    const record::Attachments& attachments = directory_.attachments();
    const size_t there = attachments.connected(), all = attachments.size();
    values.insert(values.end(), {{"$SYS/broker/node", options_.name},
                                 {"$SYS/cluster/nodes", std::to_string(options_.cluster->size())},
                                 {"$SYS/cluster/clients/connected", std::to_string(there)},
                                 {"$SYS/cluster/clients/disconnected", std::to_string(all - there)},
                                 {"$SYS/cluster/clients/total", std::to_string(all)}});
  }
  for (const auto& [topic, payload] : values) {
    auto message = mqtt::Message::make(topic, payload);
    mqtt::MessagePtr held(message);
    message->retain = true;
    message->received_at = clock_.wall_ms();
    directory_.set_volatile("", std::move(held), items_);
  }
  post_items(std::vector<std::vector<FeedMail::Back>>(options_.shard_count));
}

// --- checkpoint ---

void Node::checkpoint() {
  log_.post([this] { begin_checkpoint(); });
}

void Node::begin_checkpoint() {
  if (checkpoint_running_ || folded_ == checkpointed_) return;
  checkpoint_running_ = true;
  checkpoint_began_ = clock_.mono_ns();
  checkpointed_ = folded_;
  Part mine;
  RowWriter writer(mine.rows);
  directory_.take_dirty(writer);
  if (options_.outbox) options_.outbox->write(mine.rows);
  const uint64_t id = next_checkpoint_++;
  {
    const std::lock_guard lock(job_mutex_);
    job_ = Job{id, folded_, cursor_, folded_clock_, options_.shard_count + 1, {}, {}};
  }
  for (uint32_t s = 0; s < options_.shard_count; ++s) post_.post(s, BarrierMail{id});
  add(id, std::move(mine));
}

void Node::add(uint64_t checkpoint, Part part) {
  {
    const std::lock_guard lock(job_mutex_);
    CHECK(job_.id == checkpoint && job_.parts_missing > 0);
    if (!part.rows.empty()) job_.parts.push_back(std::move(part.rows));
    job_.ended.insert(job_.ended.end(), part.ended.begin(), part.ended.end());
    if (--job_.parts_missing > 0) return;
  }
  post_.run_on_worker([this] { write_checkpoint(); });
}

// The inbox rows of a session that ended go, and so do its references to shared messages. Rows that cannot be
// read go too, since nobody will ask for them; they must not hold up every checkpoint from now on. A shared
// message that only they named stays behind.
Result<void> Node::let_go(SessionId ended, store::StateBatch& into) const {
  const std::string from = record::inbox_key(ended, 0), to = record::inbox_key(ended, UINT64_MAX);
  std::optional<Error> bad;
  bool any = false;
  auto scanned = store_.scan(store::Table::inbox, from, to, [&](std::string_view, std::string_view value) {
    any = true;
    auto entry = record::decode_entry(value);
    if (!entry) {
      bad = std::move(entry.error());
    } else if (!entry->sole) {
      into.messages.push_back({entry->position, -1, {}});
    }
    return true;
  });
  if (!scanned) {
    if (scanned.error().code == store::make_error_code(store::errc::unavailable)) return scanned;
    bad = std::move(scanned.error());
    any = true;
  }
  if (bad) {
    static log::Limit limit{{.per_second = 1}};
    log::error(limit, "stored messages of a session that ended cannot be read; they are erased unread",
               {{"session", ended.value}, {"error", bad->message}});
  }
  if (any) into.range_erases.push_back({store::Table::inbox, from, to});
  return {};
}

void Node::write_checkpoint() {
  // Complete, and nobody's but ours until the next one begins; kept as it is, to be written again if this
  // fails.
  Job& job = job_;
  store::StateBatch let_go_rows;
  Result<void> written;
  for (const SessionId ended : job.ended) {
    written = let_go(ended, let_go_rows);
    if (!written) break;
  }
  if (written) {
    const bool any_let_go = !let_go_rows.empty();
    if (any_let_go) job.parts.push_back(std::move(let_go_rows));
    written = store_.write(job.parts, job.position, job.cursor, job.clock);
    if (!written && any_let_go) job.parts.pop_back();  // looked for again
  }
  if (!written) {
    static log::Limit limit{{.per_second = 1}};
    log::error(limit, "a checkpoint could not be written; the log keeps everything, and it is tried again",
               {{"error", written.error().message}});
    checkpoint_failed_ = true;
    return;
  }
  log_.checkpointed(job.position);
  if (options_.outbox) options_.outbox->written();
  // The shards hear of it before the next one may begin: what that one's barrier marks as written must not be
  // let go of because this one is.
  for (uint32_t s = 0; s < options_.shard_count; ++s) post_.post(s, CheckpointedMail{job.id});
  job = {};
  checkpoint_running_ = false;
}

}  // namespace courier::broker
