#include "admin/node_control.h"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>

#include "admin/errc.h"
#include "admin/limits.h"
#include "admission/errc.h"
#include "record/record.h"
#include "store/errc.h"

namespace courier::admin {
namespace {

std::string protocol_of(mqtt::Version version) {
  switch (version) {
    case mqtt::Version::v3_1:
      return "3.1";
    case mqtt::Version::v3_1_1:
      return "3.1.1";
    case mqtt::Version::v5:
      return "5.0";
  }
  return "";
}

ClientSummary summary_of(const broker::Client& client) {
  const session::Session& session = client.session;
  ClientSummary summary;
  summary.name = {session.mountpoint, session.client_id.str()};
  summary.username = session.username.view();
  summary.protocol = protocol_of(session.version);
  summary.subscription_count = session.subscription_count;
  summary.inbox_messages = session.inbox.count();
  summary.inbox_bytes = session.inbox.bytes();
  if (const broker::Connection* connection = client.connection) {
    summary.protocol = protocol_of(connection->version);
    summary.connection = ConnectionFacts{.peer = connection->peer.address.str(),
                                         .listener = connection->peer.listener,
                                         .connected_at = connection->connected_at,
                                         .keep_alive_seconds = connection->keep_alive_seconds,
                                         .window = connection->window,
                                         .in_flight = connection->in_flight,
                                         .messages_in = connection->messages_in,
                                         .messages_out = connection->messages_out,
                                         .bytes_in = connection->bytes_in,
                                         .bytes_out = connection->bytes_out,
                                         .dropped = connection->dropped};
  } else {
    summary.detached_at = session.detached_at;
  }
  return summary;
}

LimitFacts limits_of(const quota::Allowance& allowance, MonoNs now) {
  LimitFacts facts;
  for (const quota::Allowance::Share& share : allowance.shares()) {
    const quota::Rule& rule = share.limit->rule;
    facts.limits.push_back({rule.name, std::string(quota::name(rule.per))});
  }
  facts.delayed_ms = std::max<MonoNs>(allowance.delayed_until - now, 0) / kNsPerMs;
  facts.delayed_seconds = static_cast<double>(allowance.delayed_ns) * 1e-9;
  facts.delays = allowance.delays;
  facts.refusals = allowance.refusals;
  return facts;
}

ClientDetail detail_of(const broker::Client& client, MonoNs now) {
  const session::Session& session = client.session;
  ClientDetail detail;
  detail.summary = summary_of(client);
  if (client.connection && client.connection->limited) {
    detail.limits = limits_of(*client.connection->extra->allowance, now);
  }
  detail.session_id = session.id.value;
  detail.stored = !session.id.ephemeral();
  const uint32_t expiry = client.connection ? client.connection->expiry_seconds : session.expiry_seconds;
  if (expiry != session::kNeverExpires) detail.expiry_seconds = expiry;
  if (const WallMs at = session.expires_at(); at != session::Session::kNever) detail.expires_at = at;
  detail.attach_position = session.attach.value;
  detail.inbox_first = session.inbox.first();
  detail.inbox_next = session.inbox.next();
  detail.inbox_in_memory = session.inbox.memory_entries();
  detail.next_packet_id = session::packet_id_of(session.inbox.next()).value;
  detail.qos2_unreleased = static_cast<uint32_t>(session.taken.size());
  if (session.will) {
    const mqtt::Message& message = *session.will->message;
    detail.will = WillFacts{.topic = std::string(message.topic),
                            .qos = static_cast<int>(message.qos),
                            .retain = message.retain,
                            .delay_seconds = session.will->delay_seconds,
                            .payload_bytes = message.payload.size()};
  }
  return detail;
}

// The first clients of one shard behind a name, gathered in pieces.
struct Walk {
  ClientQuery query;
  broker::Post& post;
  std::function<void(std::map<ClientName, ClientSummary>)> done;
  broker::ClientTable::Walk place;
  std::map<ClientName, ClientSummary> first;  // at most limit + 1: the one too many says that there are more

  void visit(const broker::Client& client) {
    const session::Session& session = client.session;
    const auto name = std::pair<std::string_view, std::string_view>(session.mountpoint, session.client_id);
    const auto key = [](const ClientName& n) {
      return std::pair<std::string_view, std::string_view>(n.mountpoint, n.client_id);
    };
    if (query.mountpoint && session.mountpoint != *query.mountpoint) return;
    if (!session.client_id.view().starts_with(query.prefix)) return;
    if (query.connected && (client.connection != nullptr) != *query.connected) return;
    if (query.after && name <= key(*query.after)) return;
    if (first.size() > query.limit && name >= key(first.rbegin()->first)) return;
    first.insert_or_assign(ClientName{session.mountpoint, session.client_id.str()}, summary_of(client));
    if (first.size() > query.limit + 1) first.erase(std::prev(first.end()));
  }

  static void go_on(const std::shared_ptr<Walk>& walk, broker::Shard& shard) {
    const bool more =
        shard.for_some(walk->place, kWalkClients, [&](const broker::Client& client) { walk->visit(client); });
    if (!more) return walk->done(std::move(walk->first));
    // Behind whatever else waits for this shard.
    walk->post.post(shard.index(), broker::TaskMail{[walk](broker::Shard& next) { go_on(walk, next); }});
  }
};

// What `parts` threads contribute to one answer.
template <typename Answer>
struct Gathering {
  Gathering(uint32_t parts, std::function<void(Answer)> given) : missing(parts), done(std::move(given)) {}
  std::mutex mutex;
  uint32_t missing;  // guarded by mutex
  Answer answer;     // guarded by mutex
  const std::function<void(Answer)> done;

  template <typename Change>
  void add(Change&& change) {
    {
      const std::lock_guard lock(mutex);
      change(answer);
      if (--missing > 0) return;
    }
    done(std::move(answer));
  }
};

errc code_of(const std::error_code& code) {
  if (code == store::make_error_code(store::errc::already_there)) return errc::conflict;
  if (code == store::make_error_code(store::errc::disk_full)) return errc::storage_full;
  return errc::storage;
}

uint64_t bytes_below(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code vanished;
    const uint64_t size = at->is_regular_file(vanished) ? at->file_size(vanished) : 0;
    if (!vanished) bytes += size;
  }
  return bytes;
}

}  // namespace

// The API clients that watch one MQTT client.
class NodeControl::TraceHub {
 public:
  explicit TraceHub(const Clock& clock) : clock_(clock) {}
  void add(std::shared_ptr<TraceSink> sink) {
    const std::lock_guard lock(mutex_);
    sinks_.push_back(std::move(sink));
  }
  // Whether nobody is left.
  bool remove(const TraceSink& sink) {
    const std::lock_guard lock(mutex_);
    std::erase_if(sinks_, [&](const auto& each) { return each.get() == &sink; });
    return sinks_.empty();
  }
  void tell(bool inbound, std::string_view packet) {
    const TraceLine line{clock_.wall_ms(), inbound, std::string(packet)};
    std::vector<std::shared_ptr<TraceSink>> sinks;
    {
      const std::lock_guard lock(mutex_);
      sinks = sinks_;  // they have locks of their own
    }
    for (const auto& sink : sinks) sink->on_line(line);
  }

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<TraceSink>> sinks_;  // guarded by mutex_
};

NodeControl::NodeControl(Parts parts) : parts_(std::move(parts)), started_at_(parts_.clock.mono_ns()) {}

NodeControl::~NodeControl() = default;

uint32_t NodeControl::shard_of(const ClientName& name) const {
  return record::session_hash(name.mountpoint, name.client_id) % parts_.node.shard_count();
}

void NodeControl::on_shard(const ClientName& name, std::function<void(broker::Shard&)> task) {
  parts_.post.post(shard_of(name), broker::TaskMail{std::move(task)});
}

Health NodeControl::health() const {
  if (!parts_.node.ready() || (parts_.listeners && parts_.listeners().empty())) return {false, "starting"};
  if (parts_.node.draining()) return {false, "draining"};
  if (const store::LogState log = parts_.node.log_state(); !log.accepting) return {false, log.reason};
  return {true, ""};
}

void NodeControl::list_clients(ClientQuery query, std::function<void(ClientPage)> done) {
  using Names = std::map<ClientName, ClientSummary>;
  const size_t limit = query.limit;
  const uint32_t shards = parts_.node.shard_count();
  const auto merged = std::make_shared<Gathering<Names>>(shards, [limit, done = std::move(done)](Names all) {
    ClientPage page;
    page.more = all.size() > limit;
    for (auto& [name, client] : all) {
      if (page.clients.size() == limit) break;
      page.clients.push_back(std::move(client));
    }
    done(std::move(page));
  });
  for (uint32_t i = 0; i < shards; ++i) {
    const auto walk = std::make_shared<Walk>(
        Walk{query,
             parts_.post,
             [merged](Names first) { merged->add([&](Names& all) { all.merge(first); }); },
             {},
             {}});
    parts_.post.post(i, broker::TaskMail{[walk](broker::Shard& shard) { Walk::go_on(walk, shard); }});
  }
}

void NodeControl::show_client(ClientName name, std::function<void(Result<ClientDetail>)> done) {
  broker::Node& node = parts_.node;
  on_shard(name, [&node, &clock = parts_.clock, name, bans = parts_.bans,
                  done = std::move(done)](broker::Shard& shard) {
    const broker::Client* client = shard.find(name.mountpoint, name.client_id);
    if (!client) return done(fail(errc::not_found, "there is no client " + name.client_id));
    ClientDetail detail = detail_of(*client, clock.mono_ns());
    if (bans) {
      using Kind = admission::BanTarget::Kind;
      detail.ban = bans->find(Kind::client_id, name.mountpoint, name.client_id);
      if (!detail.ban) detail.ban = bans->find(Kind::username, name.mountpoint, client->session.username);
    }
    node.run_on_feed([id = client->session.id, detail = std::move(detail),
                      done](const record::Directory& directory) mutable {
      if (const auto subscriptions = directory.subscriptions(id)) {
        for (const record::Subscription& one : subscriptions->filters) {
          detail.subscriptions.push_back({.filter = one.filter,
                                          .qos = static_cast<int>(one.options.qos),
                                          .no_local = one.options.no_local,
                                          .retain_as_published = one.options.retain_as_published,
                                          .retain_handling = static_cast<int>(one.options.retain_handling),
                                          .identifier = one.subscription_identifier});
        }
      }
      done(std::move(detail));
    });
  });
}

void NodeControl::kick_client(ClientName name, std::function<void(Result<void>)> done) {
  on_shard(name, [name, done = std::move(done)](broker::Shard& shard) {
    if (!shard.find(name.mountpoint, name.client_id))
      return done(fail(errc::not_found, "there is no client " + name.client_id));
    if (!shard.kick(name.mountpoint, name.client_id, mqtt::ReasonCode::administrative_action))
      return done(fail(errc::conflict, "the client is not connected: " + name.client_id));
    done({});
  });
}

// One shard says whether and to which sessions, then each shard says whose they are.
void NodeControl::explain_access(ClientName name, auth::acl::Action action, std::string topic,
                                 std::function<void(Result<Why>)> done) {
  on_shard(name, [this, name, action, topic = std::move(topic),
                  done = std::move(done)](broker::Shard& shard) {
    auto found = shard.why(name.mountpoint, name.client_id, action, topic, kReceiversShown);
    if (!found) return done(fail(errc::not_found, "there is no client " + name.client_id));
    Why why{.explanation = std::move(found->explanation),
            .connected = found->connected,
            .receiver_count = found->receiver_count,
            .forbidden = found->forbidden,
            .hooks = std::move(found->hooks)};
    const uint32_t shards = parts_.node.shard_count();
    const auto merged = std::make_shared<Gathering<Why>>(shards, [done](Why all) { done(std::move(all)); });
    merged->answer = std::move(why);
    const auto sessions =
        std::make_shared<std::vector<broker::Shard::Access::Receiver>>(std::move(found->receivers));
    for (uint32_t i = 0; i < shards; ++i) {
      parts_.post.post(
          i, broker::TaskMail{[merged, sessions, i, shards](broker::Shard& holder) {
            std::vector<Why::Receiver> here;
            for (const auto& receiver : *sessions) {
              if (receiver.session.hash() % shards != i) continue;
              const broker::Client* client = holder.find_session(receiver.session);
              if (!client) continue;
              here.push_back({.name = {client->session.mountpoint.str(), client->session.client_id.str()},
                              .qos = static_cast<int>(receiver.qos),
                              .connected = client->connection != nullptr,
                              .shared = receiver.shared});
            }
            merged->add([&](Why& all) {
              all.receivers.insert(all.receivers.end(), here.begin(), here.end());
              std::ranges::sort(all.receivers, {}, &Why::Receiver::name);
            });
          }});
    }
  });
}

BanPage NodeControl::list_bans(admission::BanId after, size_t limit) const {
  BanPage page;
  if (!parts_.bans) return page;
  page.bans = parts_.bans->list(after, limit + 1);
  page.more = page.bans.size() > limit;
  if (page.more) page.bans.pop_back();
  return page;
}

void NodeControl::add_ban(admission::BanTarget target, std::string reason, std::string made_by, WallMs until,
                          std::function<void(Result<admission::Ban>)> done) {
  if (!parts_.bans) return done(fail(errc::conflict, "this node keeps no bans"));
  auto ban = parts_.bans->add(std::move(target), std::move(reason), std::move(made_by), until);
  if (!ban) {
    const bool full = ban.error().code == admission::make_error_code(admission::errc::too_many);
    return done(fail(full ? errc::conflict : errc::bad_request, ban.error().message));
  }
  save_bans(*std::move(ban), std::move(done));
}

void NodeControl::remove_ban(admission::BanId id, std::function<void(Result<admission::Ban>)> done) {
  auto ban = parts_.bans ? parts_.bans->remove(id) : std::nullopt;
  if (!ban) return done(fail(errc::not_found, "there is no ban " + std::to_string(id)));
  save_bans(*std::move(ban), std::move(done));
}

// It holds already; whoever asked for it hears so when a restart would not forget it.
void NodeControl::save_bans(admission::Ban ban, std::function<void(Result<admission::Ban>)> done) {
  parts_.post.run_on_worker([bans = parts_.bans, ban = std::move(ban), done = std::move(done)] {
    if (const auto saved = bans->save(); !saved) {
      return done(fail(errc::storage, "it holds, but a restart would forget it: " + saved.error().message));
    }
    done(ban);
  });
}

void NodeControl::begin_trace(const ClientName& name, std::shared_ptr<TraceSink> sink) {
  std::shared_ptr<TraceHub>& hub = hubs_[name];
  if (!hub) hub = std::make_shared<TraceHub>(parts_.clock);
  hub->add(sink);
  on_shard(name, [name, hub = hub, sink = std::move(sink)](broker::Shard& shard) {
    sink->on_started(
        shard.trace(name.mountpoint, name.client_id,
                    std::make_shared<broker::Tracer>(
                        [hub](bool inbound, std::string_view packet) { hub->tell(inbound, packet); })));
  });
}

void NodeControl::end_trace(const ClientName& name, const TraceSink& sink) {
  const auto hub = hubs_.find(name);
  if (hub == hubs_.end() || !hub->second->remove(sink)) return;
  hubs_.erase(hub);
  on_shard(name,
           [name](broker::Shard& shard) { (void)shard.trace(name.mountpoint, name.client_id, nullptr); });
}

uint64_t NodeControl::begin_events(events::Kinds kinds, std::function<void(const events::EventPtr&)> each) {
  const uint64_t number =
      parts_.outbox->watch([kinds, each = std::move(each)](const events::EventPtr& event) {
        if (kinds.has(event->kind)) each(event);
      });
  watched_[number] = kinds;
  watch_all();
  return number;
}

void NodeControl::end_events(uint64_t number) {
  parts_.outbox->unwatch(number);
  watched_.erase(number);
  watch_all();
}

void NodeControl::watch_all() {
  events::Kinds all;
  for (const auto& [number, kinds] : watched_) all |= kinds;
  parts_.node.interest().watch(all);
}

void NodeControl::describe_cluster(std::function<void(Result<ClusterFacts>)> done) {
  if (!parts_.cluster) {
    done(fail(errc::not_found, "this is a node alone: its settings name no cluster ([cluster] name)"));
    return;
  }
  auto facts = std::make_shared<ClusterFacts>(parts_.cluster());
  const auto whole = [&](std::string_view name) {
    return static_cast<uint64_t>(std::max(0.0, parts_.registry.total(name)));
  };
  facts->log_lag = whole("courier_log_feed_lag_revisions");
  facts->etcd_bytes = whole("courier_etcd_db_bytes");
  facts->etcd_quota_bytes = whole("courier_etcd_quota_bytes");
  if (!parts_.node.ready()) {  // what it has read so far says little
    done(std::move(*facts));
    return;
  }
  parts_.node.run_on_feed([facts, done = std::move(done)](const record::Directory& directory) {
    const std::vector<NodeEpoch>& owners = directory.attachments().owners();
    for (size_t i = 0; i < owners.size() && i < facts->partitions.size(); ++i) {
      for (ClusterFacts::Member& member : facts->members) {
        if (member.epoch != owners[i].value) continue;
        facts->partitions[i].owner = member.id;
        ++member.owns;
      }
    }
    done(std::move(*facts));
  });
}

void NodeControl::describe_node(std::function<void(NodeFacts)> done) {
  const uint32_t shards = parts_.node.shard_count();
  const auto gathering = std::make_shared<Gathering<NodeFacts>>(shards + 1, std::move(done));
  {
    const std::lock_guard lock(gathering->mutex);
    NodeFacts& facts = gathering->answer;
    facts.version = parts_.version;
    facts.uptime_seconds = (parts_.clock.mono_ns() - started_at_) / 1'000'000'000;
    facts.health = health();
    facts.draining = parts_.node.draining();
    facts.shards = shards;
    const auto whole = [&](std::string_view name) {
      return static_cast<uint64_t>(std::max(0.0, parts_.registry.total(name)));
    };
    facts.inbox_messages = whole("courier_queue_messages");
    facts.inbox_bytes = whole("courier_queue_bytes");
    const store::LogState log = parts_.node.log_state();
    facts.log_accepting = log.accepting;
    facts.log_reason = log.reason;
    facts.log_tail_bytes = parts_.log.tail_bytes();
    facts.checkpoint_position = parts_.state.position().value;
    facts.checkpoint_running = parts_.node.checkpoint_running();
  }
  if (!parts_.node.ready()) {
    // Shards and feed do not run yet, or recover: what they would count is not known.
    for (uint32_t i = 0; i < shards + 1; ++i) gathering->add([](NodeFacts&) {});
    return;
  }
  for (uint32_t i = 0; i < shards; ++i) {
    parts_.post.post(i, broker::TaskMail{[gathering](broker::Shard& shard) {
                       gathering->add([&](NodeFacts& facts) {
                         facts.connections += shard.connection_count();
                         facts.sessions += shard.client_count();
                       });
                     }});
  }
  parts_.node.run_on_feed([gathering](const record::Directory& directory) {
    gathering->add([&](NodeFacts& facts) {
      facts.subscriptions = directory.subscription_count();
      facts.retained_messages = directory.retained_count();
      facts.retained_bytes = directory.retained_bytes();
      facts.shared_groups = directory.groups().count();
    });
  });
}

void NodeControl::backup(std::string path, std::function<void(Result<BackupFacts>)> done) {
  if (backup_running_.exchange(true))
    return done(fail(errc::conflict, "a backup is being made already; wait for it to be done"));
  const bool taken = worker_.post([this, path = std::move(path), done] {
    const uint64_t position = parts_.state.position().value;
    const Result<void> made = parts_.state.backup(path);
    backup_running_ = false;
    if (!made) return done(fail(code_of(made.error().code), made.error().message));
    done(BackupFacts{.bytes = bytes_below(path), .position = position});
  });
  if (taken) return;
  backup_running_ = false;
  done(fail(errc::conflict, "the node is stopping"));
}

}  // namespace courier::admin
