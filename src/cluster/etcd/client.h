// The way to an etcd cluster: calls over gRPC to one of its members at a time, another when that one fails.
//
// Owned by main() (or a test); whoever calls is gone before it stops. One engine thread (engine.h) gets every
// answer. Calls may be made on any thread; `then` runs on the engine thread, once, also when the client is
// stopped. Calls that wait for their answer must not be made on the engine thread.
//
// 1. A call goes to one member, once, and has a deadline. Whether it was done when no answer came is not
//    known: errc::unavailable. The caller tries again; the next call goes to the next member.
// 2. With a user, calls carry a token, got by password when there is none and again when etcd does not know
//    it any more.
// 3. Members without a quorum or a leader refuse: what is answered was linearized (maintenance apart).
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/etcd/engine.h"
#include "cluster/etcd/errc.h"
#include "cluster/etcd/etcd_api.grpc.pb.h"
#include "cluster/etcd/limits.h"

namespace courier::cluster::etcd {

namespace api = ::etcdserverpb;

class Client {
 public:
  struct Tls {
    std::string ca_file;              // empty: the system's authorities
    std::string cert_file, key_file;  // both or neither
    std::string server_name;          // what certificates say, if not the endpoint's host
  };
  struct Options {
    std::vector<std::string> endpoints;  // host:port, each of a member
    std::string user, password;          // none: without
    std::optional<Tls> tls;              // none: plain
  };
  template <typename Response>
  using Then = std::function<void(Result<Response>)>;

  // Reads the files; does not connect. Errors: errc::bad_options.
  static Result<std::unique_ptr<Client>> open(Options options);
  ~Client();
  // Calls under way end with errc::unavailable. From here on calls fail at once, on their own thread.
  void stop();

  Engine& engine() { return engine_; }
  std::string endpoints_text() const;  // "a:1, b:2": for sentences
  // boot_ns() when etcd last answered something that needs a quorum; 0: never. Not keep-alives: a leader that
  // was cut off answers them for a while.
  MonoNs answered_at() const { return answered_at_.load(std::memory_order_relaxed); }

  // --- Calls; times in milliseconds ---
  void range(api::RangeRequest request, Then<api::RangeResponse> then, int64_t ms = kCallMs);
  void txn(api::TxnRequest request, Then<api::TxnResponse> then, int64_t ms = kCallMs);
  void delete_range(api::DeleteRangeRequest request, Then<api::DeleteRangeResponse> then,
                    int64_t ms = kCallMs);
  void compact(int64_t revision, Then<api::CompactionResponse> then, int64_t ms = kCallMs);
  void grant(int64_t ttl_seconds, Then<api::LeaseGrantResponse> then, int64_t ms = kCallMs);
  void revoke(int64_t lease, Then<api::LeaseRevokeResponse> then, int64_t ms = kCallMs);
  void time_to_live(int64_t lease, Then<api::LeaseTimeToLiveResponse> then, int64_t ms = kCallMs);
  // Of one member; without a quorum too.
  void status(Then<api::StatusResponse> then, int64_t ms = kCallMs);
  void alarms(Then<api::AlarmResponse> then, int64_t ms = kCallMs);
  void members(Then<api::MemberListResponse> then, int64_t ms = kCallMs);

  // Of each endpoint that answers in time, with its address. Waits; not on the engine thread.
  std::vector<std::pair<std::string, api::StatusResponse>> statuses(int64_t ms = kCallMs);

  // The same, waiting: client.wait<api::StatusResponse>([&](auto then) { client.status(std::move(then)); })
  template <typename Response, typename Start>
  Result<Response> wait(Start&& start);
  // Asks again, elsewhere, until there is an answer or `patience_ms` have passed.
  template <typename Response, typename Start>
  Result<Response> insist(int64_t patience_ms, Start&& start);

  // --- For Stream ---
  struct Endpoint {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<api::KV::Stub> kv;
    std::unique_ptr<api::Watch::Stub> watch;
    std::unique_ptr<api::Lease::Stub> lease;
    std::unique_ptr<api::Auth::Stub> auth;
    std::unique_ptr<api::Maintenance::Stub> maintenance;
    std::unique_ptr<api::Cluster::Stub> cluster;
  };
  size_t current() const { return current_.load(std::memory_order_relaxed) % endpoints_.size(); }
  Endpoint& endpoint(size_t index) { return *endpoints_[index]; }
  // Something went wrong there: the next call goes to the next one.
  void suspect(size_t endpoint);
  void answered() { answered_at_.store(boot_ns(), std::memory_order_relaxed); }
  // Runs `then` when there is a token, or at once when none is needed.
  void authenticated(std::function<void(Result<void>)> then);
  void forget_token();
  // Gives the context its token and runs `begin`, which begins the call on the engine's queue. The context is
  // cancelled when the client stops, until it is left(). False when the client has stopped: nothing was
  // begun.
  template <typename BeginCall>
  bool enter(grpc::ClientContext& context, BeginCall&& begin) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    prepare(context);
    begin();  // with the lock: the queue must not be shut meanwhile
    contexts_.insert(&context);
    return true;
  }
  void left(grpc::ClientContext& context);
  Error error_of(const grpc::Status& status, size_t endpoint) const;

 private:
  template <typename Request, typename Response>
  class Call;

  explicit Client(Options options) : options_(std::move(options)) {}
  Result<void> connect();
  void prepare(grpc::ClientContext& context);
  template <typename Request, typename Response>
  using Begin = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (*)(Endpoint&,
                                                                               grpc::ClientContext*,
                                                                               const Request&,
                                                                               grpc::CompletionQueue*);
  template <typename Request, typename Response>
  void call(const char* what, Begin<Request, Response> begin, Request request, Then<Response> then,
            int64_t ms, bool again = false, std::optional<size_t> endpoint = {});
  template <typename Request, typename Response>
  void begin_call(const char* what, Begin<Request, Response> begin, Request request, Then<Response> then,
                  int64_t ms, bool again, std::optional<size_t> endpoint = {});

  const Options options_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::atomic<size_t> current_{0};
  std::atomic<MonoNs> answered_at_{0};
  Engine engine_;

  mutable std::mutex mutex_;
  std::set<grpc::ClientContext*> contexts_;  // of what is under way; guarded by mutex_, like all below
  bool stopped_ = false;
  std::string token_;
  bool authenticating_ = false;
  std::vector<std::function<void(Result<void>)>> waiting_for_token_;
};

// --- Implementation of the templates ---

namespace internal {

// Where one thread waits for an answer that another brings.
template <typename Response>
class Answer {
 public:
  void set(Result<Response> result) {
    const std::lock_guard lock(mutex_);
    result_ = std::move(result);
    changed_.notify_one();
  }
  Result<Response> wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return result_.has_value(); });
    return std::move(*result_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<Response>> result_;
};

void sleep_ms(int64_t ms);

}  // namespace internal

template <typename Response, typename Start>
Result<Response> Client::wait(Start&& start) {
  internal::Answer<Response> answer;
  start(Then<Response>([&answer](Result<Response> result) { answer.set(std::move(result)); }));
  return answer.wait();
}

template <typename Response, typename Start>
Result<Response> Client::insist(int64_t patience_ms, Start&& start) {
  const MonoNs until = boot_ns() + patience_ms * kNsPerMs;
  while (true) {
    Result<Response> result = wait<Response>(start);
    if (result || result.error().code != make_error_code(errc::unavailable) || boot_ns() >= until) {
      return result;
    }
    internal::sleep_ms(kRetryMs);
  }
}

}  // namespace courier::cluster::etcd
