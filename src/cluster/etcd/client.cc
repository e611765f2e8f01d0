#include "cluster/etcd/client.h"

#include <grpc/support/log.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"

namespace courier::cluster::etcd {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMsMin);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMsMax);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMsFirst);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingAnswerMs);
  // etcd closes a connection on which pings come while nothing is asked.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Two clients of one process do not share a connection: each has its own token, and dies alone.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A watch that was away brings up to a thousand revisions at once.
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return arguments;
}

Result<std::string> file(const std::string& path, const char* what) {
  if (path.empty()) return std::string();
  Result<std::string> bytes = read_file(path, kFileBytesMax);
  if (!bytes) return fail(errc::bad_options, std::string("etcd's ") + what + ": " + bytes.error().message);
  return bytes;
}

bool says(const grpc::Status& status, std::string_view part) {
  return status.error_message().find(part) != std::string::npos;
}

}  // namespace

namespace internal {
void sleep_ms(int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}
}  // namespace internal

// One call to one member. Deletes itself.
template <typename Request, typename Response>
class Client::Call : public Operation {
 public:
  Call(Client& client, const char* what, Begin<Request, Response> begin, Request request, Then<Response> then,
       int64_t ms, bool again, std::optional<size_t> endpoint)
      : client_(client),
        what_(what),
        begin_(begin),
        request_(std::move(request)),
        then_(std::move(then)),
        ms_(ms),
        again_(again),
        chosen_(endpoint) {}

  void start() {
    endpoint_ = chosen_.value_or(client_.current());
    context_.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms_, GPR_TIMESPAN)));
    const bool begun = client_.enter(context_, [this] {
      rpc_ = begin_(client_.endpoint(endpoint_), &context_, request_, &client_.engine_.queue());
      rpc_->Finish(&response_, &status_, static_cast<Operation*>(this));
    });
    if (begun) return;  // and perhaps over already: done() ran
    std::unique_ptr<Call> self(this);
    then_(fail(errc::unavailable, "the connection to etcd was closed"));
  }

  void done(bool) override {
    std::unique_ptr<Call> self(this);
    client_.left(context_);
    if (status_.ok()) {
      if constexpr (!std::is_same_v<Response, api::StatusResponse> &&
                    !std::is_same_v<Response, api::AlarmResponse>) {
        client_.answered();
      }
      return then_(std::move(response_));
    }
    const bool token_is_old =
        status_.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
        (status_.error_code() == grpc::StatusCode::INVALID_ARGUMENT && says(status_, "auth store is old"));
    if (token_is_old && !again_ && !client_.options_.user.empty()) {
      client_.forget_token();
      return client_.call(what_, begin_, std::move(request_), std::move(then_), ms_, true, chosen_);
    }
    Error error = client_.error_of(status_, endpoint_);
    if (error.code == make_error_code(errc::unavailable) && !chosen_) client_.suspect(endpoint_);
    then_(fail(error.within(what_)));
  }

 private:
  Client& client_;
  const char* what_;
  const Begin<Request, Response> begin_;
  Request request_;
  Then<Response> then_;
  const int64_t ms_;
  const bool again_;
  const std::optional<size_t> chosen_;  // none: the current one
  size_t endpoint_ = 0;
  grpc::ClientContext context_;
  Response response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> rpc_;
};

namespace {
// gRPC's own complaints about connections: ours say the same with a reason and an end.
void quieten_grpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function([](gpr_log_func_args* said) {
      log::debug("grpc", {{"said", std::string_view(said->message)}, {"line", said->line}});
    });
  });
}
}  // namespace

Result<std::unique_ptr<Client>> Client::open(Options options) {
  quieten_grpc();
  for (std::string& endpoint : options.endpoints) {
    for (const std::string_view scheme : {"http://", "https://"}) {
      if (endpoint.starts_with(scheme)) endpoint.erase(0, scheme.size());
    }
    while (endpoint.ends_with('/')) endpoint.pop_back();
    const size_t colon = endpoint.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == endpoint.size() ||
        endpoint.find_first_not_of("0123456789", colon + 1) != std::string::npos ||
        endpoint.find_first_of("/,% \t\n") != std::string::npos) {
      return fail(errc::bad_options,
                  "\"" + endpoint + "\" is not an endpoint of etcd: it takes the form host:port");
    }
  }
  if (options.endpoints.empty() || options.endpoints.size() > kEndpointsMax) {
    return fail(errc::bad_options, "etcd needs between one and " + std::to_string(kEndpointsMax) +
                                       " endpoints; " + std::to_string(options.endpoints.size()) +
                                       " are given");
  }
  std::unique_ptr<Client> client(new Client(std::move(options)));
  if (Result<void> connected = client->connect(); !connected) return fail(connected.error());
  client->engine_.start();
  return client;
}

Result<void> Client::connect() {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  grpc::ChannelArguments arguments = channel_arguments();
  if (options_.tls) {
    if (options_.tls->cert_file.empty() != options_.tls->key_file.empty()) {
      return fail(errc::bad_options, "etcd's client certificate needs both a certificate and its key");
    }
    grpc::SslCredentialsOptions ssl;
    const Result<std::string> ca = file(options_.tls->ca_file, "authorities");
    const Result<std::string> cert = file(options_.tls->cert_file, "client certificate");
    const Result<std::string> key = file(options_.tls->key_file, "key of the client certificate");
    for (const Result<std::string>* one : {&ca, &cert, &key}) {
      if (!*one) return fail(one->error());
    }
    ssl.pem_root_certs = *ca;
    ssl.pem_cert_chain = *cert;
    ssl.pem_private_key = *key;
    credentials = grpc::SslCredentials(ssl);
    if (!options_.tls->server_name.empty()) arguments.SetSslTargetNameOverride(options_.tls->server_name);
  }
  for (const std::string& address : options_.endpoints) {
    auto endpoint = std::make_unique<Endpoint>();
    endpoint->address = address;
    endpoint->channel = grpc::CreateCustomChannel(address, credentials, arguments);
    endpoint->kv = api::KV::NewStub(endpoint->channel);
    endpoint->watch = api::Watch::NewStub(endpoint->channel);
    endpoint->lease = api::Lease::NewStub(endpoint->channel);
    endpoint->auth = api::Auth::NewStub(endpoint->channel);
    endpoint->maintenance = api::Maintenance::NewStub(endpoint->channel);
    endpoint->cluster = api::Cluster::NewStub(endpoint->channel);
    endpoints_.push_back(std::move(endpoint));
  }
  return {};
}

Client::~Client() {
  stop();
}

void Client::stop() {
  engine_.stop(
      [this] {
        std::vector<std::function<void(Result<void>)>> waiting;
        {
          const std::lock_guard lock(mutex_);
          stopped_ = true;
          for (grpc::ClientContext* context : contexts_) context->TryCancel();
          waiting.swap(waiting_for_token_);
        }
        for (auto& then : waiting) then(fail(errc::unavailable, "the connection to etcd was closed"));
      },
      [this] {
        const std::lock_guard lock(mutex_);
        return contexts_.empty();
      });
}

std::string Client::endpoints_text() const {
  std::string text;
  for (const auto& endpoint : endpoints_) text += (text.empty() ? "" : ", ") + endpoint->address;
  return text;
}

void Client::suspect(size_t endpoint) {
  size_t now = current_.load(std::memory_order_relaxed);
  if (now % endpoints_.size() == endpoint) current_.compare_exchange_strong(now, now + 1);
}

void Client::prepare(grpc::ClientContext& context) {
  // A member that was cut off from the others says so instead of keeping us waiting.
  context.AddMetadata("hasleader", "true");
  if (!token_.empty()) context.AddMetadata("token", token_);
}

void Client::left(grpc::ClientContext& context) {
  const std::lock_guard lock(mutex_);
  contexts_.erase(&context);
}

void Client::forget_token() {
  const std::lock_guard lock(mutex_);
  token_.clear();
}

void Client::authenticated(std::function<void(Result<void>)> then) {
  {
    std::unique_lock lock(mutex_);
    if (stopped_) {
      lock.unlock();
      return then(fail(errc::unavailable, "the connection to etcd was closed"));
    }
    if (options_.user.empty() || !token_.empty()) {
      lock.unlock();
      return then({});
    }
    waiting_for_token_.push_back(std::move(then));
    if (std::exchange(authenticating_, true)) return;
  }
  api::AuthenticateRequest request;
  request.set_name(options_.user);
  request.set_password(options_.password);
  begin_call<api::AuthenticateRequest, api::AuthenticateResponse>(
      "cannot log in to etcd",
      [](Endpoint& endpoint, grpc::ClientContext* context, const api::AuthenticateRequest& r,
         grpc::CompletionQueue* queue) { return endpoint.auth->AsyncAuthenticate(context, r, queue); },
      std::move(request),
      [this](Result<api::AuthenticateResponse> answer) {
        std::vector<std::function<void(Result<void>)>> waiting;
        Result<void> result;
        if (!answer) result = fail(answer.error());
        // etcd without users takes calls of anybody.
        if (!answer && answer.error().message.find("authentication is not enabled") != std::string::npos) {
          result = fail(errc::refused, "etcd at " + endpoints_text() +
                                           " has no users (authentication is not enabled), but user \"" +
                                           options_.user + "\" is configured");
        }
        {
          const std::lock_guard lock(mutex_);
          authenticating_ = false;
          if (answer) token_ = answer->token();
          waiting.swap(waiting_for_token_);
        }
        for (auto& one : waiting) one(result);
      },
      kCallMs, true);
}

template <typename Request, typename Response>
void Client::begin_call(const char* what, Begin<Request, Response> begin, Request request,
                        Then<Response> then, int64_t ms, bool again, std::optional<size_t> endpoint) {
  (new Call<Request, Response>(*this, what, begin, std::move(request), std::move(then), ms, again, endpoint))
      ->start();
}

template <typename Request, typename Response>
void Client::call(const char* what, Begin<Request, Response> begin, Request request, Then<Response> then,
                  int64_t ms, bool again, std::optional<size_t> endpoint) {
  // All of a call happens on the engine thread, its beginning too.
  if (!engine_.here()) {
    const auto given =
        std::make_shared<std::pair<Request, Then<Response>>>(std::move(request), std::move(then));
    const bool posted = engine_.post([this, what, begin, given, ms, again, endpoint] {
      call(what, begin, std::move(given->first), std::move(given->second), ms, again, endpoint);
    });
    if (!posted) given->second(fail(errc::unavailable, "the connection to etcd was closed"));
    return;
  }
  if (options_.user.empty()) {
    return begin_call(what, begin, std::move(request), std::move(then), ms, again, endpoint);
  }
  authenticated([this, what, begin, request = std::move(request), then = std::move(then), ms, again,
                 endpoint](Result<void> ready) mutable {
    if (!ready) return then(fail(ready.error()));
    begin_call(what, begin, std::move(request), std::move(then), ms, again, endpoint);
  });
}

Error Client::error_of(const grpc::Status& status, size_t endpoint) const {
  const auto error = [&](errc code, const std::string& sentence) {
    return Error(make_error_code(code), "etcd at " + endpoints_[endpoint]->address + ": " + sentence);
  };
  const std::string said = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::ABORTED:
      return error(errc::unavailable, said.empty() ? "no answer" : said);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      if (says(status, "database space exceeded")) {
        return error(errc::no_space, "its space quota is used up (alarm NOSPACE)");
      }
      return error(errc::unavailable, said);
    case grpc::StatusCode::OUT_OF_RANGE:
      if (says(status, "compacted")) return error(errc::compacted, said);
      if (says(status, "future revision")) return error(errc::future_revision, said);
      return error(errc::protocol, said);
    case grpc::StatusCode::NOT_FOUND:
      if (says(status, "lease")) return error(errc::lease_gone, said);
      return error(errc::protocol, said);
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return error(errc::refused, said + "; check the user, the password and the rights to the keys");
    case grpc::StatusCode::INVALID_ARGUMENT:
      if (says(status, "authentication failed") || says(status, "user name")) {
        return error(errc::refused, said + "; check the user and the password");
      }
      return error(errc::protocol, said);
    case grpc::StatusCode::FAILED_PRECONDITION:
      if (says(status, "authentication is not enabled")) return error(errc::refused, said);
      return error(errc::unavailable, said);
    case grpc::StatusCode::UNIMPLEMENTED:
      return error(errc::unsupported,
                   "it does not speak the v3 API (" + said + "); etcd 3.4 or newer is needed");
    case grpc::StatusCode::OK:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::DO_NOT_USE:
      break;
  }
  return error(errc::protocol, said);
}

// --- The calls ---

#define BEGIN(stub, Method, Request)                                          \
  [](Endpoint& endpoint, grpc::ClientContext* context, const api::Request& r, \
     grpc::CompletionQueue* queue) { return endpoint.stub->Async##Method(context, r, queue); }

void Client::range(api::RangeRequest request, Then<api::RangeResponse> then, int64_t ms) {
  call<api::RangeRequest, api::RangeResponse>("cannot read keys", BEGIN(kv, Range, RangeRequest),
                                              std::move(request), std::move(then), ms);
}
void Client::txn(api::TxnRequest request, Then<api::TxnResponse> then, int64_t ms) {
  call<api::TxnRequest, api::TxnResponse>("cannot write keys", BEGIN(kv, Txn, TxnRequest), std::move(request),
                                          std::move(then), ms);
}
void Client::delete_range(api::DeleteRangeRequest request, Then<api::DeleteRangeResponse> then, int64_t ms) {
  call<api::DeleteRangeRequest, api::DeleteRangeResponse>("cannot delete keys",
                                                          BEGIN(kv, DeleteRange, DeleteRangeRequest),
                                                          std::move(request), std::move(then), ms);
}
void Client::compact(int64_t revision, Then<api::CompactionResponse> then, int64_t ms) {
  api::CompactionRequest request;
  request.set_revision(revision);
  call<api::CompactionRequest, api::CompactionResponse>(
      "cannot compact", BEGIN(kv, Compact, CompactionRequest), std::move(request), std::move(then), ms);
}
void Client::grant(int64_t ttl_seconds, Then<api::LeaseGrantResponse> then, int64_t ms) {
  api::LeaseGrantRequest request;
  request.set_ttl(ttl_seconds);
  call<api::LeaseGrantRequest, api::LeaseGrantResponse>("cannot get a lease",
                                                        BEGIN(lease, LeaseGrant, LeaseGrantRequest),
                                                        std::move(request), std::move(then), ms);
}
void Client::revoke(int64_t lease, Then<api::LeaseRevokeResponse> then, int64_t ms) {
  api::LeaseRevokeRequest request;
  request.set_id(lease);
  call<api::LeaseRevokeRequest, api::LeaseRevokeResponse>("cannot give the lease back",
                                                          BEGIN(lease, LeaseRevoke, LeaseRevokeRequest),
                                                          std::move(request), std::move(then), ms);
}
void Client::time_to_live(int64_t lease, Then<api::LeaseTimeToLiveResponse> then, int64_t ms) {
  api::LeaseTimeToLiveRequest request;
  request.set_id(lease);
  call<api::LeaseTimeToLiveRequest, api::LeaseTimeToLiveResponse>(
      "cannot look at a lease", BEGIN(lease, LeaseTimeToLive, LeaseTimeToLiveRequest), std::move(request),
      std::move(then), ms);
}
void Client::status(Then<api::StatusResponse> then, int64_t ms) {
  call<api::StatusRequest, api::StatusResponse>(
      "cannot ask for the state", BEGIN(maintenance, Status, StatusRequest), {}, std::move(then), ms);
}
void Client::alarms(Then<api::AlarmResponse> then, int64_t ms) {
  call<api::AlarmRequest, api::AlarmResponse>(
      "cannot ask for alarms", BEGIN(maintenance, Alarm, AlarmRequest), {}, std::move(then), ms);
}
void Client::members(Then<api::MemberListResponse> then, int64_t ms) {
  call<api::MemberListRequest, api::MemberListResponse>(
      "cannot ask for the members", BEGIN(cluster, MemberList, MemberListRequest), {}, std::move(then), ms);
}

std::vector<std::pair<std::string, api::StatusResponse>> Client::statuses(int64_t ms) {
  std::vector<std::unique_ptr<internal::Answer<api::StatusResponse>>> answers;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    answers.push_back(std::make_unique<internal::Answer<api::StatusResponse>>());
    call<api::StatusRequest, api::StatusResponse>(
        "cannot ask for the state", BEGIN(maintenance, Status, StatusRequest), {},
        [answer = answers.back().get()](Result<api::StatusResponse> result) {
          answer->set(std::move(result));
        },
        ms, false, i);
  }
  std::vector<std::pair<std::string, api::StatusResponse>> statuses;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    Result<api::StatusResponse> status = answers[i]->wait();
    if (status) statuses.emplace_back(endpoints_[i]->address, std::move(*status));
  }
  return statuses;
}

#undef BEGIN

}  // namespace courier::cluster::etcd
