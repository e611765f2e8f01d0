// For tests: one node's way to a cluster in etcd, all in one: client, settings, membership and log. Without a
// broker; what comes back from the log is kept by a RecordingReader, or goes to a reader of the test's own.
//
//   TestEtcd etcd(3);
//   const Keys keys = test_keys();
//   TestNode one(etcd, keys, {.id = "one"});
//   one.start();
//   one.log().append(store::numbered_batch(0, 1));
//   one.reader().wait_for_batches(1);
//
// crash() ends it like a kill -9 (the lease stays until it runs out), leave() in good order.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/etcd/etcd_log.h"
#include "cluster/etcd/etcd_test_server.h"
#include "store/store_test_contract.h"

namespace courier::cluster::etcd {

class TestNode : public MembershipListener {
 public:
  struct Options {
    std::string id = "a";
    int64_t lease_ms = 2000;
    int64_t patience_ms = 15'000;
    uint32_t partitions = 16;
    Position position{};
    uint64_t cursor = 0;
    WallMs last_clock = 0;
    uint64_t quota_bytes = 0;
    Truncator::Options truncation{.every_ms = 100};
    const Clock* clock = &system_clock();
    Registry* metrics = nullptr;
    std::vector<std::string> endpoints = {};  // other than the servers' own
  };

  TestNode(const TestEtcd& etcd, const Keys& keys, Options options)
      : keys_(keys), options_(std::move(options)) {
    client_ = options_.endpoints.empty() ? etcd.client() : TestEtcd::client_of(options_.endpoints);
    const Result<Meta> meta =
        open_cluster(*client_, keys, {random_id(), options_.partitions, 1}, options_.patience_ms);
    if (!meta) {
      ADD_FAILURE() << meta.error().message;
      std::abort();
    }
    meta_ = *meta;
    auto membership =
        Membership::join(*client_, keys, {options_.id, options_.id + ".mesh:1", options_.id + ".admin:1"},
                         options_.lease_ms, options_.patience_ms, *this);
    if (!membership) {
      ADD_FAILURE() << membership.error().message;
      std::abort();
    }
    membership_ = std::move(*membership);
    Result<std::unique_ptr<EtcdLog>> log = try_open_log();
    if (log) {
      log_ = std::move(*log);
    } else {
      refusal_ = log.error();
    }
  }
  ~TestNode() override { crash(); }

  // Another log of the same run; what open() says to it.
  Result<std::unique_ptr<EtcdLog>> try_open_log() {
    return EtcdLog::open(*client_, keys_, *membership_,
                         {.log_id = meta_.id,
                          .position = options_.position,
                          .cursor = options_.cursor,
                          .last_clock = options_.last_clock,
                          .quota_bytes = options_.quota_bytes,
                          .truncation = options_.truncation,
                          .patience_ms = options_.patience_ms,
                          .clock = options_.clock,
                          .metrics = options_.metrics,
                          .on_end = [this](const Error& error) {
                            const std::lock_guard lock(mutex_);
                            ends_.push_back(error);
                          }});
  }

  // Replays what is there into the reader, then starts.
  void start() {
    if (refusal_) {
      ADD_FAILURE() << refusal_->message;
      std::abort();
    }
    std::vector<store::CommittedBatch> batches = store::replayed(*log_, options_.position);
    if (!batches.empty()) reader_.on_committed(batches);
    log_->start(reader_);
  }
  void crash() {
    if (log_) log_->stop();
    log_.reset();
    membership_.reset();
    if (client_) client_->stop();
    client_.reset();
  }
  void leave() {
    log_->stop();
    membership_->leave();
    crash();
  }

  Client& client() { return *client_; }
  Membership& membership() { return *membership_; }
  EtcdLog& log() { return *log_; }
  store::RecordingReader& reader() { return reader_; }
  const Meta& meta() const { return meta_; }
  // Why the log could not be opened.
  const std::optional<Error>& refusal() const { return refusal_; }
  std::vector<Error> ends() const {
    const std::lock_guard lock(mutex_);
    return ends_;
  }
  std::vector<std::string> lost() const {
    const std::lock_guard lock(mutex_);
    return lost_;
  }
  bool wait_for_batches(size_t count, double seconds = 15) {
    return eventually([&] { return reader_.count() >= count; }, seconds);
  }

  void on_members(const std::vector<Member>&, uint64_t) override {}
  void on_lost(const std::string& reason) override {
    const std::lock_guard lock(mutex_);
    lost_.push_back(reason);
  }

 private:
  const Keys keys_;
  const Options options_;
  Meta meta_;
  store::RecordingReader reader_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<EtcdLog> log_;
  std::optional<Error> refusal_;
  mutable std::mutex mutex_;
  std::vector<Error> ends_;        // guarded by mutex_
  std::vector<std::string> lost_;  // guarded by mutex_
};

}  // namespace courier::cluster::etcd
