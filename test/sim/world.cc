#include "world.h"

#include <utility>

#include "base/check.h"

namespace courier::sim {

void AllowEverybody::authenticate(auth::Credentials credentials, std::function<void(auth::Decision)> done) {
  auth::Decision decision;
  decision.verdict = auth::Verdict::allow;
  decision.identity = {credentials.username.value_or(""), credentials.mountpoint, !credentials.username};
  if (more) more(decision);
  done(std::move(decision));
}

// --- Wire ---

void Wire::send(const mqtt::Packet& packet) {
  mqtt::encode(to_node_, packet, version_);
}

std::optional<mqtt::Packet> Wire::receive() {
  const auto decoded = mqtt::decode_one(delivered_, version_, mqtt::Side::client, false, {});
  const auto* packet = std::get_if<mqtt::Decoded>(&decoded);
  CHECK(!std::holds_alternative<mqtt::Violation>(decoded));  // the broker must not send what is malformed
  if (!packet) return std::nullopt;
  last_received_ = delivered_.substr(0, packet->size);
  delivered_.erase(0, packet->size);
  auto again = mqtt::decode_one(last_received_, version_, mqtt::Side::client, false, {});
  return std::move(std::get<mqtt::Decoded>(again).packet);
}

void Wire::move_to(uint32_t shard, std::unique_ptr<broker::Connection> connection) {
  shard_ = shard;
  auto held = std::make_shared<std::unique_ptr<broker::Connection>>(std::move(connection));
  world_.post(shard, broker::TaskMail{[this, self = shared_from_this(), held](broker::Shard& s) {
                if (node_closed_) return;
                connection_ = held->get();
                s.adopt(*this, std::move(*held));
              }});
}

void Wire::close() {
  node_closed_ = true;
  connection_ = nullptr;
}

bool Wire::deliver() {
  if (node_closed_) return false;
  broker::Shard& shard = world_.node_->shard(shard_);
  if (client_gone_) {
    // What it sent before the end is lost with it, as far as it was not read.
    if (connection_ && seen_connect_) shard.on_end(*connection_, broker::EndCause::client_closed);
    close();
    return true;
  }
  if (paused_ != 0 || to_node_.empty()) return false;
  const mqtt::DecodeLimits limits{world_.limits().packet_bytes_max};
  const auto decoded = mqtt::decode_one(to_node_, version_, mqtt::Side::server, !seen_connect_, limits);
  if (const auto* packet = std::get_if<mqtt::Decoded>(&decoded)) {
    const size_t size = packet->size;
    if (const auto* connect = std::get_if<mqtt::Connect>(&packet->packet); connect && !seen_connect_) {
      seen_connect_ = true;
      connection_ = shard.on_connect(*this, {"192.0.2.1:1", "sim", ""}, *connect);
      if (node_closed_) connection_ = nullptr;
    } else {
      shard.on_packet(*connection_, packet->packet);
    }
    to_node_.erase(0, size);
    return true;
  }
  if (const auto* violation = std::get_if<mqtt::Violation>(&decoded)) {
    if (connection_) {
      shard.on_violation(*connection_, *violation);
    } else {
      close();
    }
    return true;
  }
  return false;
}

void Wire::flush(size_t bytes) {
  unsent_.append(std::exchange(output_, {}));
  const size_t n = std::min(bytes, unsent_.size());
  if (!client_gone_) delivered_.append(unsent_, 0, n);
  unsent_.erase(0, n);
  if (connection_ && connection_->blocked && unsent_.empty())
    world_.node_->shard(shard_).on_writable(*connection_);
}

// --- World ---

template <typename Step>
void World::feed(Step&& step) {
  const bool before = std::exchange(feeding_, true);
  step();
  feeding_ = before;
}

World::World(Options options) : options_(options), disk_(std::make_unique<store::MemoryDisk>()) {}
World::World(Options options, store::MemoryImage image)
    : options_(options), disk_(std::make_unique<store::MemoryDisk>(std::move(image))) {}
World::~World() = default;

Result<broker::StartReport> World::start() {
  CHECK(!node_);
  metrics_ = std::make_unique<Registry>();
  if (options_.etcd) {
    members_ = std::make_unique<SimMembers>(*options_.etcd, options_.etcd->join());
    cluster_log_ = std::make_unique<SimLog>(*options_.etcd, members_->epoch(), clock_);
  } else {
    log_ = std::make_unique<store::MemoryLog>(*disk_, clock_);
  }
  store_ = std::make_unique<store::MemoryStore>(*disk_);
  mail_ = std::vector<std::deque<broker::Mail>>(options_.shards);
  workers_.clear();
  wires_.clear();
  broker::NodeOptions node_options;
  node_options.shard_count = options_.shards;
  node_options.seed = options_.seed;
  node_options.sys_interval_ms = 0;
  node_options.cluster = members_.get();
  node_options.peers = options_.peers;
  node_options.bans = bans;
  node_options.flapping = flapping;
  node_options.machine_clock = machine_clock;
  store::OrderedLog& log = options_.etcd ? static_cast<store::OrderedLog&>(*cluster_log_) : *log_;
  node_ = std::make_unique<broker::Node>(node_options, options_.limits, log, *store_, clock_, *this,
                                         options_.authenticator ? *options_.authenticator : everybody_,
                                         *rules_, *metrics_, options_.hooks ? &hooks_ : nullptr);
  return node_->start();
}

void World::crash(size_t kept, size_t state_writes_lost) {
  whole_log();
  store::MemoryImage image =
      options_.etcd ? disk_->image_without(state_writes_lost) : log_->crash(kept, state_writes_lost);
  for (const auto& wire : wires_) wire->close();
  wires_.clear();
  mail_.clear();
  workers_.clear();
  node_.reset();
  log_.reset();
  cluster_log_.reset();
  members_.reset();
  store_.reset();
  disk_ = std::make_unique<store::MemoryDisk>(std::move(image));
}

std::shared_ptr<Wire> World::open(mqtt::Version version) {
  wires_.push_back(std::make_shared<Wire>(*this, version));
  return wires_.back();
}

void World::post(uint32_t shard, broker::Mail mail) {
  if (before_post) before_post(shard, mail);
  if (mean_ && std::holds_alternative<broker::CheckpointedMail>(mail) && (*mean_)() % 4 == 0) {
    node_->checkpoint();
    feed([&] { pump_log(0); });
  }
  mail_[shard].push_back(std::move(mail));
  if (after_post) after_post(shard);
  if (mean_ && feeding_ && (*mean_)() % 4 == 0) be_quick(shard);
}

// The feed thread has not done with the others.
void World::be_quick(uint32_t shard) {
  feeding_ = false;
  drain_mail(shard, 1 + (*mean_)() % 3);
  for (size_t i = 0; i < wires_.size(); ++i) {
    const auto wire = wires_[i];
    if (wire->shard() == shard && (*mean_)() % 2 == 0) wire->deliver();
  }
  end_turn(shard);
  feeding_ = true;
}

const std::deque<store::MemoryImage::LogEntry>& World::whole_log() {
  if (options_.etcd) return whole_log_;  // SimEtcd has it
  const Position from = whole_log_.empty()
                            ? Position(0)
                            : Position(whole_log_.back().first.value + whole_log_.back().record_count);
  for (auto& entry : disk_->log_from(from)) whole_log_.push_back(std::move(entry));
  return whole_log_;
}

void World::run_worker() {
  whole_log();  // it may be trimmed
  const size_t which = mean_ ? (*mean_)() % workers_.size() : 0;
  auto task = std::move(workers_[which]);
  workers_.erase(workers_.begin() + static_cast<ptrdiff_t>(which));
  task();
}
void World::run_on_worker(std::function<void()> task) {
  workers_.push_back(std::move(task));
}

bool World::drain_mail(uint32_t shard, size_t most) {
  bool any = false;
  for (; most > 0 && !mail_[shard].empty(); --most) {
    broker::Mail mail = std::move(mail_[shard].front());
    mail_[shard].pop_front();
    node_->shard(shard).on_mail(std::move(mail));
    any = true;
  }
  return any;
}

void World::end_turn(uint32_t shard) {
  node_->shard(shard).on_time();
  node_->shard(shard).end_turn();
  for (const auto& wire : wires_) {
    if (wire->shard() != shard) continue;
    wire->flush(mean_ && wire->slow ? (*mean_)() % 40 : SIZE_MAX);
  }
}

bool World::step(std::mt19937_64& random) {
  std::vector<std::function<void()>> choices;
  for (uint32_t s = 0; s < options_.shards; ++s) {
    std::vector<Wire*> readable;
    for (const auto& wire : wires_) {
      if (wire->shard() == s) readable.push_back(wire.get());
    }
    if (!mail_[s].empty()) {
      choices.push_back([this, s, &random] {
        drain_mail(s, 1 + random() % 4);
        end_turn(s);
      });
    }
    for (Wire* wire : readable) {
      if (wire->closed()) continue;
      choices.push_back([this, s, wire] {
        if (wire->deliver()) end_turn(s);
      });
    }
    choices.push_back([this, s] { end_turn(s); });
  }
  if (!workers_.empty()) {
    choices.push_back([this] { run_worker(); });
  }
  if (options_.etcd) {
    if (cluster_log_->waiting() > 0) {
      choices.push_back([this, &random] { cluster_log_->commit(1 + random() % 3); });
    }
    if (cluster_log_->behind()) {
      choices.push_back([this, &random] { feed([&] { cluster_log_->feed(1 + random() % 3); }); });
    }
  } else if (log_->waiting() > 0) {
    choices.push_back([this, &random] { feed([&] { log_->commit_next(1 + random() % 3); }); });
  }
  choices.push_back([this] { feed([&] { pump_log(0); }); });
  if (hooks_.waiting() > 0) choices.push_back([this, &random] { hooks_.answer(&random); });
  choices[random() % choices.size()]();
  std::erase_if(wires_, [](const auto& wire) { return wire->dead(); });
  return true;
}

// Runs what was posted, and what the log has to do for up to so many batches. Whether any came back.
bool World::pump_log(size_t batches_max) {
  if (!options_.etcd) return log_->pump(batches_max) > 0;
  if (batches_max > 0) cluster_log_->commit(batches_max);
  return cluster_log_->feed(batches_max) > 0;
}

bool World::log_has_work() const {
  if (!options_.etcd) return log_->waiting() > 0 && log_->state().accepting;
  return cluster_log_->commits() || cluster_log_->behind();
}

void World::read() {
  for (size_t i = 0; i < wires_.size(); ++i) {
    const auto wire = wires_[i];
    while (wire->deliver()) {
    }
  }
}

void World::settle() {
  for (bool busy = true; busy;) {
    busy = false;
    for (uint32_t s = 0; s < options_.shards; ++s) {
      busy |= drain_mail(s, SIZE_MAX);
      for (size_t i = 0; i < wires_.size(); ++i) {
        const auto wire = wires_[i];
        while (wire->shard() == s && wire->deliver()) busy = true;
      }
      end_turn(s);
    }
    while (!workers_.empty()) {
      run_worker();
      busy = true;
    }
    for (; hooks_.waiting() > 0; busy = true) hooks_.answer(mean_);
    busy |= log_has_work();
    pump_log();
    for (const auto& mail : mail_) busy |= !mail.empty();
  }
  std::erase_if(wires_, [](const auto& wire) { return wire->dead(); });
}

void World::quiesce() {
  for (bool busy = true; busy;) {
    busy = pump_log();
    for (uint32_t s = 0; s < options_.shards; ++s) busy |= drain_mail(s, SIZE_MAX);
    for (; !workers_.empty(); busy = true) run_worker();
  }
}

void World::turn(uint32_t shard) {
  drain_mail(shard, SIZE_MAX);
  for (size_t i = 0; i < wires_.size(); ++i) {
    const auto wire = wires_[i];
    while (wire->shard() == shard && wire->deliver()) continue;
  }
  end_turn(shard);
}

void World::advance(int64_t ms) {
  clock_.advance(ms);
  settle();
}

void World::checkpoint() {
  node_->checkpoint();
  settle();
}

}  // namespace courier::sim
