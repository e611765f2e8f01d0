#include "cluster/etcd/membership.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/shown_text.h"

namespace courier::cluster::etcd {
namespace {

constexpr int64_t kLookMs = 200;     // at the lease of another process that is this node
constexpr int64_t kExpiryMs = 2000;  // that etcd takes at most to end a lease that ran out

int64_t seconds_of(int64_t ms) {
  return (ms + 999) / 1000;
}

NodeValue value_of(const Membership::Self& self, MemberState state) {
  return {self.instance, self.mesh, self.admin, self.clients, state};
}

}  // namespace

Membership::Membership(Client& client, Keys keys, Self self, MembershipListener& listener)
    : client_(client), keys_(std::move(keys)), self_(std::move(self)), listener_(listener) {}

Result<std::unique_ptr<Membership>> Membership::join(Client& client, const Keys& keys, Self self,
                                                     int64_t lease_ms, int64_t patience_ms,
                                                     MembershipListener& listener) {
  if (Result<void> good = check_name("the node's id", self.id); !good) return fail(good.error());
  if (lease_ms < kLeaseMsMin || lease_ms > kLeaseMsMax) {
    return fail(errc::bad_options, "a lease of " + std::to_string(lease_ms) + " ms is not between " +
                                       std::to_string(kLeaseMsMin) + " and " + std::to_string(kLeaseMsMax));
  }
  const NodeValue value = value_of(self, MemberState::active);
  if (const auto readable = decode_node(encode(value)); !readable || !(*readable == value)) {
    return fail(errc::bad_options, "the node's addresses cannot be used: \"" + self.mesh + "\", \"" +
                                       self.admin + "\", \"" + self.clients + "\"");
  }
  std::unique_ptr<Membership> membership(new Membership(client, keys, std::move(self), listener));
  const MonoNs until = boot_ns() + patience_ms * kNsPerMs;
  while (true) {
    const int64_t left = std::max<int64_t>(0, (until - boot_ns()) / kNsPerMs);
    if (Result<void> absent = membership->wait_for_absence(left); !absent) return fail(absent.error());
    const Result<bool> put = membership->put_key(lease_ms);
    if (!put) return fail(put.error());
    if (*put) break;  // else another process was faster
  }
  client.engine().run([&] { membership->start(); });
  return membership;
}

Membership::~Membership() {
  client_.engine().run([this] { stop(); });
}

// Ours may be there already: another process's, that died and whose lease has not run out, or that lives.
// Nothing tells the two apart but waiting: the key of one that died goes.
Result<void> Membership::wait_for_absence(int64_t patience_ms) {
  const MonoNs began = boot_ns();
  int64_t seen = 0;  // the revision that created what is there
  MonoNs seen_at = 0;
  while (true) {
    api::RangeRequest request;
    request.set_key(keys_.node(self_.id));
    const auto found = client_.insist<api::RangeResponse>(
        std::max(patience_ms, kCallMs), [&](auto then) { client_.range(request, std::move(then)); });
    if (!found) return fail(found.error());
    if (found->kvs_size() == 0) return {};
    const api::KeyValue& kv = found->kvs(0);
    if (kv.create_revision() != seen) {
      seen = kv.create_revision();
      seen_at = boot_ns();
    }
    const auto lease = client_.insist<api::LeaseTimeToLiveResponse>(
        kCallMs, [&](auto then) { client_.time_to_live(kv.lease(), std::move(then)); });
    const int64_t granted_ms = lease ? lease->granted_ttl() * 1000 : 0;
    const Result<NodeValue> other = decode_node(kv.value());
    const std::string who = "node \"" + self_.id + "\" of the cluster \"" + keys_.cluster() + "\"" +
                            (other && !other->admin.empty() ? " (" + shown(other->admin) + ")" : "");
    const int64_t waited_ms = (boot_ns() - seen_at) / kNsPerMs;
    if (kv.lease() == 0 || (granted_ms > 0 && waited_ms > granted_ms + kExpiryMs)) {
      return fail(errc::node_id_taken,
                  "another process that is alive is " + who + "; every node needs an id of its own");
    }
    if ((boot_ns() - began) / kNsPerMs >= patience_ms) {
      return fail(errc::node_id_taken, "another process is " + who + ", or was and its lease of " +
                                           std::to_string(granted_ms / 1000) +
                                           " s has not run out yet; stop it, or give this "
                                           "node another id");
    }
    internal::sleep_ms(kLookMs);
  }
}

Result<bool> Membership::put_key(int64_t lease_ms) {
  const MonoNs asked_at = boot_ns();
  const auto lease = client_.insist<api::LeaseGrantResponse>(
      kCallMs, [&](auto then) { client_.grant(seconds_of(lease_ms), std::move(then)); });
  if (!lease) return fail(lease.error());
  // etcd gives more when its elections take longer than the lease. What counts is that it gives no less.
  lease_ = lease->id();
  lease_ns_ = std::min(seconds_of(lease_ms), lease->ttl()) * kNsPerSecond;

  api::TxnRequest request;
  api::Compare& absent = *request.add_compare();
  absent.set_key(keys_.node(self_.id));
  absent.set_target(api::Compare::CREATE);
  absent.set_create_revision(0);
  api::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(keys_.node(self_.id));
  put.set_value(encode(value_of(self_, MemberState::active)));
  put.set_lease(lease_);
  request.add_failure()->mutable_request_range()->set_key(keys_.node(self_.id));
  const auto answer =
      client_.insist<api::TxnResponse>(lease_ms, [&](auto then) { client_.txn(request, std::move(then)); });
  if (!answer) return fail(answer.error());
  if (answer->succeeded()) {
    epoch_ = NodeEpoch(static_cast<uint64_t>(answer->header().revision()));
  } else {
    const api::RangeResponse& found = answer->responses(0).response_range();
    const bool ours = found.kvs_size() == 1 && found.kvs(0).lease() == lease_;  // an answer had been lost
    if (!ours) {
      (void)client_.wait<api::LeaseRevokeResponse>(
          [&](auto then) { client_.revoke(lease_, std::move(then)); });
      return false;
    }
    epoch_ = NodeEpoch(static_cast<uint64_t>(found.kvs(0).create_revision()));
  }
  deadline_ns_.store(asked_at + lease_ns_, std::memory_order_release);
  return true;
}

std::vector<Member> Membership::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

void Membership::set_state(MemberState state) {
  const std::weak_ptr<void> alive = alive_;
  client_.engine().post([this, alive, state] {
    if (alive.expired()) return;
    wanted_ = state;
    assert_state();
  });
}

void Membership::leave() {
  if (!client_.engine().run([this] { stop(); })) return;
  deadline_ns_.store(0, std::memory_order_release);
  const auto revoked = client_.insist<api::LeaseRevokeResponse>(
      kCallMs, [&](auto then) { client_.revoke(lease_, std::move(then)); });
  if (revoked || revoked.error().code == make_error_code(errc::lease_gone)) return;
  log::warn("this node's lease could not be given back; it runs out by itself",
            {{"error", revoked.error().message}});
}

void Membership::lose_keep_alives(bool lose) {
  client_.engine().run([&] { losing_ = lose; });
}

// --- The engine thread ---

void Membership::start() {
  running_ = true;
  watcher_ = std::make_unique<Watcher>(
      client_, keys_.nodes(), true,
      Watcher::Callbacks{[this](api::WatchResponse& response) { on_events(response); },
                         [this] { read_members(); }});
  tick();
  read_members();
}

void Membership::stop() {
  running_ = false;
  ++reading_;
  if (watcher_) watcher_->stop();
  if (stream_) stream_->close();
  stream_.reset();
  client_.engine().cancel(std::exchange(tick_timer_, 0));
  client_.engine().cancel(std::exchange(read_timer_, 0));
}

void Membership::tick() {
  const int64_t third_ms = lease_ns_ / 3 / kNsPerMs;
  tick_timer_ = client_.engine().after(third_ms, [this] { tick(); });
  // No answer since the last tick: whoever has the stream is not the one to wait for.
  if (!sent_.empty() && stream_) {
    client_.suspect(stream_->endpoint());
    reopen_stream();
  }
  keep_alive();
  assert_state();
}

// What was sent before may come late, or never: the key has the last word, so it is put until it says so.
void Membership::assert_state() {
  const auto mine = by_id_.find(self_.id);
  if (!running_ || putting_ || mine == by_id_.end() || mine->second.state == wanted_) return;
  api::TxnRequest request;
  api::Compare& ours = *request.add_compare();
  ours.set_key(keys_.node(self_.id));
  ours.set_target(api::Compare::CREATE);
  ours.set_create_revision(static_cast<int64_t>(epoch_.value));
  api::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(keys_.node(self_.id));
  put.set_value(encode(value_of(self_, wanted_)));
  put.set_lease(lease_);
  putting_ = true;
  const std::weak_ptr<void> alive = alive_;
  client_.txn(request, [this, alive](const Result<api::TxnResponse>&) {
    if (!alive.expired()) putting_ = false;  // the watch tells what came of it
  });
}

void Membership::keep_alive() {
  if (losing_) return;
  if (!stream_) {
    stream_ = open_keep_alive(client_, {[this](api::LeaseKeepAliveResponse& response) { on_kept(response); },
                                        [this](Error) {
                                          reopen_stream();
                                          client_.engine().cancel(tick_timer_);
                                          tick_timer_ = client_.engine().after(kRetryMs, [this] { tick(); });
                                        }});
  }
  api::LeaseKeepAliveRequest request;
  request.set_id(lease_);
  sent_.push_back(boot_ns());
  stream_->send(std::move(request));
}

void Membership::reopen_stream() {
  if (stream_) stream_->close();
  stream_.reset();
  sent_.clear();
}

void Membership::on_kept(const api::LeaseKeepAliveResponse& response) {
  if (losing_ || sent_.empty()) return;
  const MonoNs sent_at = sent_.front();
  sent_.pop_front();
  if (response.ttl() <= 0) return lost("etcd has ended its lease: it was not kept alive in time");
  deadline_ns_.store(sent_at + std::min(lease_ns_, response.ttl() * kNsPerSecond), std::memory_order_release);
}

void Membership::read_members() {
  read_timer_ = 0;
  api::RangeRequest request;
  request.set_key(keys_.nodes());
  request.set_range_end(end_of(keys_.nodes()));
  const uint64_t number = ++reading_;
  // Of an older reading, or of one that stop() took back, nothing may be touched: not even `this`, later.
  const std::weak_ptr<void> alive = alive_;
  client_.range(std::move(request), [this, number, alive](Result<api::RangeResponse> response) {
    if (alive.expired() || number != reading_ || !running_) return;
    if (response) return on_range(*response);
    read_timer_ = client_.engine().after(kRetryMs, [this] { read_members(); });
  });
}

void Membership::on_range(const api::RangeResponse& response) {
  by_id_.clear();
  for (const api::KeyValue& kv : response.kvs()) put_member(kv);
  watcher_->start(response.header().revision() + 1);
  tell_members(static_cast<uint64_t>(response.header().revision()));
}

void Membership::on_events(const api::WatchResponse& response) {
  int64_t revision = 0;
  for (const api::Event& event : response.events()) {
    revision = std::max(revision, event.kv().mod_revision());
    const auto id = keys_.node_of(event.kv().key());
    if (!id) continue;
    if (event.type() == api::Event::DELETE) {
      by_id_.erase(*id);
      // Perhaps another takes its place at once: it is lost all the same.
      if (*id == self_.id) return lost("its key in etcd is gone: its lease ran out, or somebody deleted it");
    } else {
      put_member(event.kv());
    }
  }
  if (revision > 0) tell_members(static_cast<uint64_t>(revision));
}

void Membership::put_member(const api::KeyValue& kv) {
  const auto id = keys_.node_of(kv.key());
  if (!id) return;
  const Result<NodeValue> value = decode_node(kv.value());
  if (!value) {
    log::error("the key of a node in etcd cannot be read", {{"node", *id}, {"error", value.error().message}});
    // It lives, whatever it says of itself: its lease is there.
    by_id_[*id] = {
        *id, NodeEpoch(static_cast<uint64_t>(kv.create_revision())), "", "", "", MemberState::active};
    return;
  }
  by_id_[*id] = {*id,
                 NodeEpoch(static_cast<uint64_t>(kv.create_revision())),
                 value->mesh,
                 value->admin,
                 value->clients,
                 value->state};
}

void Membership::tell_members(uint64_t revision) {
  const auto mine = by_id_.find(self_.id);
  if (mine == by_id_.end() || mine->second.epoch != epoch_) {
    return lost("its key in etcd is not its own any more");
  }
  std::vector<Member> members;
  for (const auto& [id, member] : by_id_) members.push_back(member);
  {
    const std::lock_guard lock(mutex_);
    members_ = members;
  }
  listener_.on_members(members, revision);
  assert_state();
}

void Membership::lost(const std::string& reason) {
  stop();
  deadline_ns_.store(0, std::memory_order_release);
  listener_.on_lost("node \"" + self_.id + "\" is not in the cluster any more: " + reason);
}

}  // namespace courier::cluster::etcd
