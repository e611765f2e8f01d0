#include "cluster/etcd/health.h"

#include <utility>

namespace courier::cluster::etcd {

Health::Health(Client& client, const Keys& keys, const Membership& membership, uint64_t quota_bytes,
               Registry* metrics)
    : client_(client), keys_(keys), membership_(membership), quota_bytes_(quota_bytes) {
  if (metrics == nullptr) return;
  db_bytes_ = &metrics->gauge("courier_etcd_db_bytes", "Size of etcd's database, as it counts for its quota");
  db_used_bytes_ = &metrics->gauge("courier_etcd_db_in_use_bytes",
                                   "What of etcd's database is in use; the rest is free pages");
  quota_ = &metrics->gauge("courier_etcd_quota_bytes", "etcd's space quota as configured; 0: not known");
  quota_->set(static_cast<int64_t>(quota_bytes_));
}

void Health::start() {
  alive_ = std::make_shared<int>();
  started_ns_ = boot_ns();
  running_ = true;
  probe();
  ask_status();
}

void Health::stop() {
  running_ = false;
  alive_.reset();
  client_.engine().cancel(std::exchange(probe_timer_, 0));
  client_.engine().cancel(std::exchange(status_timer_, 0));
}

void Health::on_trouble(const std::string& trouble, bool no_space) {
  if (no_space) no_space_ = true;
  if (trouble.empty()) {
    trouble_since_ns_ = 0;
    return;
  }
  const std::lock_guard lock(mutex_);
  trouble_ = trouble;
  if (trouble_since_ns_ == 0) trouble_since_ns_ = boot_ns();
}

void Health::end(std::string reason) {
  const std::lock_guard lock(mutex_);
  if (ended_.empty()) ended_ = std::move(reason);
}

// A read that needs a quorum; a busy log has its answers anyway.
void Health::probe() {
  const auto again = [this] { probe_timer_ = client_.engine().after(kProbeMs, [this] { probe(); }); };
  if (boot_ns() - client_.answered_at() < kProbeMs * kNsPerMs) return again();
  api::RangeRequest request;
  request.set_key(keys_.meta());
  request.set_count_only(true);
  client_.range(std::move(request), [again, alive = std::weak_ptr<void>(alive_)](Result<api::RangeResponse>) {
    if (!alive.expired()) again();
  });
}

void Health::ask_status() {
  const std::weak_ptr<void> alive = alive_;
  client_.status([this, alive](Result<api::StatusResponse> status) {
    if (alive.expired()) return;
    if (status) on_status(*status);
    status_timer_ = client_.engine().after(kStatusMs, [this] { ask_status(); });
  });
}

void Health::on_status(const api::StatusResponse& status) {
  bool alarm = false;
  for (const std::string& error : status.errors())
    alarm = alarm || error.find("NOSPACE") != std::string::npos;
  // A put that was refused counts until no alarm is raised any more.
  no_space_ = alarm;
  // 3.4 says what is in use; one that does not has that much in use.
  const int64_t used = status.db_size_in_use() > 0 ? status.db_size_in_use() : status.db_size();
  if (db_bytes_ != nullptr) {
    db_bytes_->set(status.db_size());
    db_used_bytes_->set(used);
  }
  if (quota_bytes_ == 0) return;
  const double share = static_cast<double>(used) / static_cast<double>(quota_bytes_);
  if (share >= kQuotaSoft) over_quota_ = true;
  if (share < kQuotaSoftEnd) over_quota_ = false;
  const std::lock_guard lock(mutex_);
  used_bytes_ = static_cast<uint64_t>(used);
}

store::LogState Health::state() const {
  const auto no = [](std::string reason) { return store::LogState{false, std::move(reason)}; };
  {
    const std::lock_guard lock(mutex_);
    if (!ended_.empty()) return no(ended_);
  }
  if (!running_) return {};
  if (no_space_) {
    return no(
        "etcd has used up its space quota (alarm NOSPACE) and takes nothing; compact, defragment and "
        "disarm the alarm (docs/operations)");
  }
  const MonoNs now = boot_ns();
  const MonoNs silent_ns = now - std::max(client_.answered_at(), started_ns_);
  const MonoNs trouble_since = trouble_since_ns_;
  if (silent_ns > kUnreachableMs * kNsPerMs) {
    return no("etcd at " + client_.endpoints_text() + " does not answer, or has no quorum");
  }
  if (trouble_since != 0 && now - trouble_since > kUnreachableMs * kNsPerMs) {
    const std::lock_guard lock(mutex_);
    return no(trouble_);
  }
  if (over_quota_) {
    const std::lock_guard lock(mutex_);
    return no("etcd uses more than " + std::to_string(static_cast<int>(kQuotaSoft * 100)) +
              "% of its space quota; nothing new is taken until the log is shorter");
  }
  if (!membership_.holds()) return no("this node cannot be sure of its lease: etcd answers no keep-alive");
  return {};
}

}  // namespace courier::cluster::etcd
