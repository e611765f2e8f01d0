#include "cluster_node.h"

#include <algorithm>
#include <filesystem>
#include <future>
#include <thread>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "assembly.h"
#include "base/log.h"
#include "cluster/errc.h"
#include "cluster/etcd/hold_log.h"
#include "cluster/etcd/open_cluster.h"
#include "cluster/state_stream.h"
#include "net/socket_address.h"
#include "state_fetch.h"
#include "store/rocksdb/data_directory.h"
#include "store/rocksdb/schema.h"

namespace courier::courierd {

namespace {

// How long clients are kept that nothing can be promised to, when nobody else could serve them either.
constexpr MonoNs kDeafNsMax = 120 * kNsPerSecond;
// How long a start waits for the time at least, after the leases of those who are gone: for links, and
// answers.
constexpr int64_t kTimeMsMin = 3000;
constexpr MonoNs kTimeLineNs = kNsPerSecond;  // before it is worth a line in the log
constexpr size_t kTimeShownMax = 40;          // of an answer that is none
constexpr MonoNs kTimeAnswerNs = kNsPerSecond;
constexpr auto kTimePause = std::chrono::milliseconds(20);

// Of random bits that nobody outside the cluster knows; the same for every node of it.
uint64_t key_of(const std::string& log_id) {
  return XXH3_64bits(log_id.data(), log_id.size());
}

}  // namespace

Result<std::unique_ptr<ClusterNode>> ClusterNode::open(const config::Settings& settings,
                                                       cluster::ClusterClock& clock, Registry& registry) {
  const config::Cluster& from = settings.cluster;
  std::unique_ptr<ClusterNode> self(new ClusterNode(clock, registry));
  self->name_ = from.name;
  self->node_name_ = from.node;
  auto keys = cluster::etcd::Keys::of(from.name);
  if (!keys) return fail(std::move(keys).error());
  self->keys_ = *std::move(keys);
  auto options = etcd_options_of(settings);
  if (!options) return fail(std::move(options).error());
  auto client = cluster::etcd::Client::open(*std::move(options));
  if (!client) return fail(std::move(client).error());
  self->client_ = *std::move(client);
  const int64_t patience_ms = from.patience.count();
  auto engine = cluster::etcd::check_engine(*self->client_, patience_ms);
  if (!engine) return fail(std::move(engine).error());
  // What this node has stored is of some log, or is to be: a new one must not be made beside it by a mistake
  // in a name.
  const auto there = [&](const char* name) {
    std::error_code ignored;
    return std::filesystem::exists(std::filesystem::path(settings.data_dir) / name, ignored);
  };
  const bool has_store = there(store::schema::kFormatFile);
  if (!has_store && there(store::schema::kImportFolder))
    return fail(cluster::etcd::errc::other_cluster, store::unfinished_import(settings.data_dir));
  if (has_store) {
    auto found = cluster::etcd::find_cluster(*self->client_, *self->keys_, patience_ms);
    if (!found) return fail(std::move(found).error());
    if (!found->meta) {
      return fail(
          cluster::etcd::errc::other_cluster,
          "there is no cluster \"" + from.name + "\" in etcd, and " + settings.data_dir +
              " holds the state of another, or of a node alone. Check cluster.name and cluster.etcd, or "
              "begin the new cluster with an empty data_dir");
    }
  }
  auto meta = cluster::etcd::open_cluster(
      *self->client_, *self->keys_,
      {cluster::etcd::random_id(), from.partitions, system_clock().wall_ms(), {}}, patience_ms);
  if (!meta) return fail(std::move(meta).error());
  self->meta_ = *std::move(meta);
  log::info("the cluster is there", {{"cluster", from.name},
                                     {"log", self->meta_.id},
                                     {"partitions", self->meta_.partitions},
                                     {"etcd", engine->version},
                                     {"etcd_members", engine->members}});
  return self;
}

ClusterNode::~ClusterNode() {
  stop_log();
  stop_mesh();
  log_.reset();
  membership_.reset();
  if (client_) client_->stop();
  mesh_.reset();
}

Result<void> ClusterNode::join(const config::Settings& settings, size_t shards,
                               const std::function<bool()>& go_on) {
  const config::Cluster& from = settings.cluster;
  auto bind = net::SocketAddress::parse(from.mesh_bind);
  if (!bind) return fail(bind.error().within("cluster.mesh_bind"));
  mesh::Options options;
  options.node_id = from.node;
  options.bind = *std::move(bind);
  options.cluster = from.name;
  options.log_id = meta_.id;
  options.shards = shards;
  if (!from.mesh_certificate_file.empty())
    options.tls = {from.mesh_certificate_file, from.mesh_key_file, from.mesh_ca_file, from.mesh_name};
  auto mesh = mesh::Mesh::open(std::move(options), registry_);
  if (!mesh) return fail(mesh.error().within("the mesh (cluster.mesh_bind)"));
  mesh_ = *std::move(mesh);

  const std::string mesh_address =
      from.mesh_address.empty() ? mesh_->address().to_string() : from.mesh_address;
  const std::string admin_address = from.admin_address.empty() ? settings.admin.bind : from.admin_address;
  auto membership = cluster::etcd::Membership::join(
      *client_, *keys_, {from.node, mesh_address, admin_address, from.client_address}, from.lease.count(),
      from.patience.count(), *this);
  if (!membership) return fail(std::move(membership).error());
  membership_ = *std::move(membership);
  auto roster = std::make_unique<cluster::Roster>(
      from.node, membership_->epoch(),
      record::Partitioning{static_cast<uint16_t>(meta_.partitions), key_of(meta_.id)});
  mesh_->start(membership_->epoch(), *this);
  {
    const std::lock_guard lock(mutex_);
    roster_ = std::move(roster);
  }
  tell_members();
  registry_.gauge_callback("courier_cluster_clock_correction_seconds",
                           "What is added to this machine's clock to have the time of the cluster.", {},
                           [&clock = clock_] { return static_cast<double>(clock.correction_ms()) / 1000; });
  return agree_on_time(from.patience.count(), go_on);
}

// Nobody goes on without: what this node wrote would be by a time of its own, and it would tell that to
// others.
Result<void> ClusterNode::agree_on_time(int64_t patience_ms, const std::function<bool()>& go_on) {
  using Kind = cluster::TimeVerdict::Kind;
  const bool stepped_back =
      time_.exchange(cluster::TimeAnswer::Kind::asks) == cluster::TimeAnswer::Kind::after_you;
  const MonoNs patience = std::max(patience_ms, membership_->lease_ms() + kTimeMsMin) * kNsPerMs;
  const MonoNs began = system_clock().mono_ns();
  MonoNs until = began + patience;
  bool said_that_it_waits = false;
  while (true) {
    const Result<TimeRound> round = ask_all_for_time(stepped_back, go_on);
    if (!round) return fail(round.error());
    if (round->verdict.kind == Kind::told) {
      clock_.set(round->verdict.time);
      time_ = cluster::TimeAnswer::Kind::time;
      return {};
    }
    if (round->verdict.kind == Kind::first) {
      if (!cluster::is_plausible(clock_.wall_ms()))
        return fail(cluster::errc::cut,
                    "this machine's clock cannot be right, and no other node has the time: set it, by NTP "
                    "for example");
      time_ = cluster::TimeAnswer::Kind::soon;
      return {};
    }
    const MonoNs now = system_clock().mono_ns();
    if (round->under_way) until = now + patience;
    if (now >= until)
      return fail(
          cluster::errc::cut,
          "no other node said what time it is in the cluster, within " + std::to_string(patience / kNsPerMs) +
              " ms; no answer over the mesh of " + round->silent +
              ". See that nodes reach one another there (cluster.mesh_address, certificates, firewalls)");
    if (now - began > kTimeLineNs && !std::exchange(said_that_it_waits, true))
      log::warn("waiting for another node to say what time it is", {{"no_answer_of", round->silent}});
    std::this_thread::sleep_for(kTimePause);
  }
}

Result<ClusterNode::TimeRound> ClusterNode::ask_all_for_time(bool stepped_back,
                                                             const std::function<bool()>& go_on) {
  using Kind = cluster::TimeAnswer::Kind;
  const NodeEpoch self = membership_->epoch();
  std::vector<cluster::Member> members;
  {
    const std::lock_guard lock(mutex_);
    members = members_;
  }
  const bool asks = stepped_back || std::any_of(members.begin(), members.end(),
                                                [&](const cluster::Member& one) { return one.epoch < self; });
  TimeRound round;
  std::vector<cluster::TimePeer> others;
  for (const cluster::Member& member : members) {
    if (const auto why = lost()) return fail(cluster::errc::cut, *why);
    if (!go_on()) return fail(cluster::errc::cut, "this node was told to stop before it had the time");
    if (!asks || member.epoch == self) continue;
    const auto said = mesh_->reachable(member.epoch) ? ask_for_time(member.epoch) : std::nullopt;
    others.push_back({member.epoch, said});
    if (!said) {
      round.silent += (round.silent.empty() ? "" : ", ") + member.id + " (" + member.mesh + ")";
    } else if (said->kind == Kind::time) {
      break;
    } else {
      // Who only comes behind waits for this one, perhaps in vain.
      round.under_way |= said->kind == Kind::soon || (said->kind == Kind::asks && member.epoch < self);
    }
  }
  if (!members.empty()) round.verdict = cluster::judge_time(self, stepped_back, others);
  return round;
}

// Nothing: it did not answer, or what cannot be believed.
std::optional<cluster::TimeAnswer> ClusterNode::ask_for_time(NodeEpoch of) {
  using Said = std::optional<cluster::TimeAnswer>;
  const auto said = std::make_shared<std::promise<Said>>();
  std::future<Said> answer = said->get_future();
  mesh_->request(of, cluster::kTimeRequest, {}, kTimeAnswerNs,
                 [this, of, said, over = false](mesh::Answer one) mutable {
                   if (std::exchange(over, true)) return;
                   if (one.kind != mesh::Answer::Kind::piece) return said->set_value(std::nullopt);
                   Said what = cluster::parse_time_answer(one.piece);
                   static log::Limit limit{{.per_second = 1}};
                   if (!what)
                     log::error(limit, "what a node says the time is cannot be, and is not believed",
                                {{"node", name_of(of)}, {"said", one.piece.substr(0, kTimeShownMax)}});
                   said->set_value(what);
                 });
  return answer.get();
}

// The first node's time is the log's newest if its clock is behind that: deadlines were written by it.
void ClusterNode::log_was_read(WallMs newest) {
  if (time_ != cluster::TimeAnswer::Kind::soon) return;
  if (newest > clock_.wall_ms()) clock_.set(newest);
  time_ = cluster::TimeAnswer::Kind::time;
}

Result<void> ClusterNode::open_log(const config::Settings& settings, const store::StateStore& state) {
  const config::Cluster& from = settings.cluster;
  cluster::etcd::EtcdLog::Options log_options;
  log_options.log_id = meta_.id;
  log_options.position = state.position();
  log_options.cursor = state.cursor();
  log_options.last_clock = state.clock();
  log_options.clock = &clock_;
  log_options.quota_bytes = from.etcd_quota_bytes;
  log_options.patience_ms = from.patience.count();
  log_options.metrics = &registry_;
  log_options.on_end = [this](const Error& error) { on_lost(error.message); };
  auto opened = cluster::etcd::EtcdLog::open(*client_, *keys_, *membership_, std::move(log_options));
  if (!opened) return fail(std::move(opened).error());
  log_ = *std::move(opened);
  return {};
}

Result<void> ClusterNode::fetch_state(const config::Settings& settings, std::function<bool()> go_on) {
  const auto others = [this] {
    const std::lock_guard lock(mutex_);
    std::vector<StateFetch::Source> sources;
    for (const cluster::Member& member : members_) {
      if (member.epoch != membership_->epoch()) sources.push_back({member.id, member.epoch});
    }
    return sources;
  };
  const int64_t patience_ms = settings.cluster.patience.count();
  // Whose state is to come must not wait for this node's time.
  auto soon = cluster::TimeAnswer::Kind::soon;
  const bool first = time_.compare_exchange_strong(soon, cluster::TimeAnswer::Kind::after_you);
  const Result<void> fetched = courierd::fetch_state(
      {.mesh = *mesh_,
       .log_id = meta_.id,
       .data_dir = settings.data_dir,
       .patience = settings.cluster.patience,
       .others = others,
       .hold =
           [this, patience_ms](uint64_t cursor) {
             return cluster::etcd::hold_log(*client_, *keys_, *membership_, cursor, patience_ms);
           },
       .go_on = [this, &go_on] { return !lost() && go_on(); }});
  if (!fetched || !first) return fetched;
  return agree_on_time(patience_ms, go_on);
}

void ClusterNode::stop_log() {
  if (log_) log_->stop();
}

void ClusterNode::stop_mesh() {
  if (mesh_) mesh_->stop();
  giver_.stop();
}

void ClusterNode::set_draining(bool draining) {
  membership_->set_state(draining ? cluster::MemberState::draining : cluster::MemberState::active);
}

std::vector<std::string> ClusterNode::others_for_clients() const {
  std::vector<std::string> addresses;
  for (const cluster::Member& member : roster_->members()) {
    const bool other = member.epoch != membership_->epoch() && member.state == cluster::MemberState::active;
    if (other && !member.clients.empty()) addresses.push_back(member.clients);
  }
  return addresses;
}

admin::ClusterFacts ClusterNode::facts() const {
  admin::ClusterFacts facts;
  facts.name = name_;
  facts.node = node_name_;
  facts.log_id = meta_.id;
  facts.epoch = membership_->epoch().value;
  const std::vector<cluster::Member> members = roster_->members();
  for (const cluster::Member& member : members) {
    const bool self = member.epoch == membership_->epoch();
    facts.members.push_back({member.id, member.epoch.value, member.mesh, member.admin,
                             member.state == cluster::MemberState::draining, self,
                             self || mesh_->reachable(member.epoch), 0});
  }
  for (uint32_t partition = 0; partition < meta_.partitions; ++partition)
    facts.partitions.push_back({"", cluster::Roster::owner_of(static_cast<uint16_t>(partition), members)});
  return facts;
}

void ClusterNode::leave() {
  membership_->leave();
  client_->stop();
}

std::optional<std::string> ClusterNode::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

// Etcd alone knows who lives, and it does not answer. If it answers the others, they have taken this node for
// dead and let go of its links; then its clients must not be kept. If they still hold on to it they do not
// hear of etcd either, and nobody has a better place for a client.
void ClusterNode::listen_for_etcd(MonoNs now) {
  if (membership_->holds()) {
    deaf_since_ = 0;
    return;
  }
  if (deaf_since_ == 0) deaf_since_ = now;
  bool others = false, linked = false;
  for (const cluster::Member& member : roster_->members()) {
    if (member.epoch == membership_->epoch()) continue;
    others = true;
    linked |= mesh_->reachable(member.epoch);
  }
  const MonoNs patience = others && !linked ? membership_->lease_ms() * kNsPerMs : kDeafNsMax;
  if (now - deaf_since_ < patience) return;
  on_lost(linked || !others
              ? "etcd has not answered for two minutes"
              : "etcd has not answered for longer than the lease, and no other node holds on to this one");
}

void ClusterNode::on_lost(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (!lost_) lost_ = reason;
}

void ClusterNode::on_members(const std::vector<cluster::Member>& members, uint64_t revision) {
  {
    const std::lock_guard lock(mutex_);
    if (revision < members_revision_) return;
    members_ = members;
    members_revision_ = revision;
  }
  tell_members();
}

// To the roster and the mesh, as soon as they are there. A list that is told twice changes nothing.
void ClusterNode::tell_members() {
  const std::lock_guard telling(telling_);
  std::vector<cluster::Member> members;
  uint64_t revision = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!roster_) return;
    members = members_;
    revision = members_revision_;
  }
  roster_->set_members(members, revision);
  std::vector<mesh::Member> peers;
  for (const cluster::Member& member : members) {
    const auto address = net::SocketAddress::parse(member.mesh);
    if (!address) {
      log::error("the mesh cannot reach a node: its address makes no sense",
                 {{"node", member.id}, {"address", member.mesh}});
      continue;
    }
    peers.push_back({member.id, member.epoch, *address});
  }
  mesh_->set_members(std::move(peers));
}

void ClusterNode::on_deliver(NodeEpoch, std::span<mesh::Deliver> messages) {
  broker::Node* const node = node_;
  if (node == nullptr) return;  // nobody is connected here yet
  std::vector<broker::FromPeer> arrived;
  arrived.reserve(messages.size());
  for (mesh::Deliver& one : messages) {
    broker::FromPeer& to = arrived.emplace_back();
    to.message = std::move(one.message);
    to.after = one.after;
    to.to.reserve(one.to.size());
    for (const mesh::Receiver& receiver : one.to) {
      to.to.push_back({receiver.session, mqtt::Qos::at_most_once, receiver.retain, false,
                       record::extras_of(receiver.subscription_identifiers)});
    }
  }
  node->from_peer(arrived);
}

void ClusterNode::on_request(NodeEpoch from, uint16_t kind, std::string_view body, mesh::Reply reply) {
  if (kind == cluster::kTimeRequest) {
    (void)reply.send(cluster::to_text({time_, clock_.wall_ms()}));  // the first piece has room
    return reply.end();
  }
  if (kind == cluster::kStateRequest) return giver_.on_request(name_of(from), body, std::move(reply));
  reply.fail("this node does not know requests of kind " + std::to_string(kind));
}

std::string ClusterNode::name_of(NodeEpoch epoch) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const cluster::Member& member) { return member.epoch == epoch; });
  return found == members_.end() ? "epoch " + std::to_string(epoch.value) : found->id;
}

void ClusterNode::on_link(NodeEpoch peer, bool up) {
  if (up) {
    log::info("another node is reached", {{"epoch", peer.value}});
  } else {
    log::warn("another node is not reached any more", {{"epoch", peer.value}});
  }
}

void ClusterNode::deliver(uint32_t shard, NodeEpoch node, Position after, const mqtt::MessagePtr& message,
                          std::vector<record::Delivery::To> to) {
  mesh::Deliver one{{}, message, after, {}};
  for (size_t at = 0; at < to.size();) {
    one.to.clear();
    for (; at < to.size() && one.to.size() < mesh::kReceiversMax; ++at) {
      mesh::Receiver& receiver = one.to.emplace_back();
      receiver.session = to[at].session;
      receiver.retain = to[at].retain;
      if (to[at].extras) receiver.subscription_identifiers = to[at].extras->subscription_identifiers;
    }
    static_cast<void>(mesh_->sender(shard).deliver(node, one));  // what is dropped is counted there
  }
}

void ClusterNode::flush(uint32_t shard) {
  mesh_->sender(shard).flush();
}

}  // namespace courier::courierd
