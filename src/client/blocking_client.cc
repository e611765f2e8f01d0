#include "client/blocking_client.h"

#include <fmt/format.h>

#include "client/errc.h"

namespace courier::client {

ReceivedMessage ReceivedMessage::copy(const mqtt::Publish& publish) {
  return {.topic = std::string(publish.topic),
          .payload = std::string(publish.payload),
          .qos = publish.qos,
          .retain = publish.retain,
          .dup = publish.dup,
          .packet_id = publish.packet_id,
          .properties = properties_of(publish),
          .subscription_identifiers = publish.subscription_identifiers};
}

Result<std::unique_ptr<BlockingClient>> BlockingClient::create(ClientSetup setup) {
  auto loop = ClientLoop::open();
  if (!loop) return fail(loop.error());
  setup.reconnect = false;
  return std::unique_ptr<BlockingClient>(new BlockingClient(std::move(*loop), std::move(setup)));
}

BlockingClient::BlockingClient(std::unique_ptr<ClientLoop> loop, ClientSetup setup)
    : loop_(std::move(loop)), client_(*loop_, std::move(setup), *this) {}

BlockingClient::~BlockingClient() = default;

template <typename Condition>
bool BlockingClient::run_until(Condition condition, int64_t timeout_ms) {
  const MonoNs deadline = system_clock().mono_ns() + timeout_ms * kNsPerMs;
  while (!condition()) {
    const MonoNs left = deadline - system_clock().mono_ns();
    if (left <= 0) return false;
    loop_->run_once(left);
  }
  return true;
}

Result<bool> BlockingClient::connect() {
  ending_.reset();
  if (auto opened = client_.open(); !opened) return fail(opened.error());
  if (!run_until([&] { return client_.online() || ending_; }, timeout_ms_)) {
    client_.cut();
    return fail(errc::timed_out, "no connection within the time limit");
  }
  if (ending_) return fail(Error(ending_->code, ending_->message));
  return session_present_;
}

Result<void> BlockingClient::wait_for(RequestId request, const char* what) {
  awaited_ = request;
  answered_ = false;
  const bool in_time = run_until([&] { return answered_ || ending_; }, timeout_ms_);
  awaited_ = {};
  if (answered_ && error_) return fail(Error(error_, fmt::format("{}: {}", what, error_.message())));
  if (answered_) return {};
  if (!in_time) return fail(errc::timed_out, fmt::format("{}: no answer within the time limit", what));
  return fail(Error(ending_->code, ending_->message));
}

Result<ReasonCode> BlockingClient::publish(const OutgoingMessage& message) {
  auto request = client_.publish(message);
  if (!request) return fail(request.error());
  if (!*request) {
    loop_->run_once(0);
    return ReasonCode::success;
  }
  if (auto answered = wait_for(*request, "PUBLISH"); !answered) return fail(answered.error());
  return reason_;
}

Result<std::vector<ReasonCode>> BlockingClient::subscribe(std::vector<Subscription> subscriptions,
                                                          std::optional<uint32_t> subscription_identifier) {
  auto request = client_.subscribe(std::move(subscriptions), subscription_identifier);
  if (!request) return fail(request.error());
  if (auto answered = wait_for(*request, "SUBSCRIBE"); !answered) return fail(answered.error());
  return reasons_;
}

Result<std::vector<ReasonCode>> BlockingClient::unsubscribe(std::vector<std::string> filters) {
  auto request = client_.unsubscribe(std::move(filters));
  if (!request) return fail(request.error());
  if (auto answered = wait_for(*request, "UNSUBSCRIBE"); !answered) return fail(answered.error());
  return reasons_;
}

Result<ReceivedMessage> BlockingClient::receive() {
  return receive(timeout_ms_);
}

Result<ReceivedMessage> BlockingClient::receive(int64_t timeout_ms) {
  const bool in_time = run_until([&] { return !unread_.empty() || ending_; }, timeout_ms);
  if (!unread_.empty()) {
    ReceivedMessage message = std::move(unread_.front());
    unread_.pop_front();
    return message;
  }
  if (!in_time) return fail(errc::timed_out, "no message within the time limit");
  return fail(Error(ending_->code, ending_->message));
}

void BlockingClient::close() {
  closed_ = false;
  client_.close();
  run_until([&] { return closed_; }, timeout_ms_);
}

Result<Ending> BlockingClient::wait_for_end() {
  if (!run_until([&] { return ending_.has_value(); }, timeout_ms_)) {
    return fail(errc::timed_out, "the server did not end the connection within the time limit");
  }
  return *ending_;
}

void BlockingClient::on_connected(Client&, const mqtt::Connack&, bool session_present) {
  session_present_ = session_present;
}

void BlockingClient::on_message(Client& client, const mqtt::Publish& publish) {
  if (unread_.size() >= kUnreadMax) {
    ending_ =
        Ending{.code = make_error_code(errc::queue_full), .message = "too many messages were not received"};
    return client.cut();
  }
  unread_.push_back(ReceivedMessage::copy(publish));
}

void BlockingClient::completed(const Completion& completion) {
  if (completion.request != awaited_) return;
  answered_ = true;
  error_ = completion.error;
  reason_ = completion.reason;
  reasons_.assign(completion.reasons.begin(), completion.reasons.end());
}

}  // namespace courier::client
