// A client for programs that do one thing after another: commands, scripts, tests. Each call waits for its
// answer.
//
// Owns its loop and runs it on the caller's thread, inside the calls only: keep-alive works while one of them
// waits. Messages that arrive meanwhile are kept for receive(). Does not reconnect by itself; connect() again
// resumes the session.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "client/properties.h"

namespace courier::client {

// A message with strings of its own.
struct ReceivedMessage {
  std::string topic, payload;
  Qos qos{};
  bool retain = false, dup = false;
  PacketId packet_id;
  MessageProperties properties;
  std::vector<uint32_t> subscription_identifiers;

  static ReceivedMessage copy(const mqtt::Publish& publish);
};

class BlockingClient final : private ClientHandler {
 public:
  // Everything beyond this many unread messages is not acknowledged by reading on: errc::queue_full.
  static constexpr size_t kUnreadMax = 1'000'000;

  // `setup.reconnect` is not looked at.
  static Result<std::unique_ptr<BlockingClient>> create(ClientSetup setup);
  ~BlockingClient();

  // Every wait is limited by this; errc::timed_out beyond.
  void set_timeout_ms(int64_t timeout_ms) { timeout_ms_ = timeout_ms; }

  // Whether the server had the session. errc::refused with the server's reason in last_ending().
  Result<bool> connect();
  // Returns the server's reason; success for QoS 0, which is only written.
  Result<ReasonCode> publish(const OutgoingMessage& message);
  Result<std::vector<ReasonCode>> subscribe(std::vector<Subscription> subscriptions,
                                            std::optional<uint32_t> subscription_identifier = {});
  Result<std::vector<ReasonCode>> unsubscribe(std::vector<std::string> filters);
  // The next message, or errc::timed_out.
  Result<ReceivedMessage> receive();
  Result<ReceivedMessage> receive(int64_t timeout_ms);
  void close();
  // As if the network had gone.
  void cut() { client_.cut(); }
  // Waits until the server ends the connection, and says how it did.
  Result<Ending> wait_for_end();

  Client& client() { return client_; }
  const std::optional<Ending>& last_ending() const { return ending_; }
  // Of the last connection: kept as bytes would not live long enough.
  const ServerLimits& server_limits() const { return client_.server_limits(); }

 private:
  BlockingClient(std::unique_ptr<ClientLoop> loop, ClientSetup setup);

  template <typename Condition>
  bool run_until(Condition condition, int64_t timeout_ms);
  Result<void> wait_for(RequestId request, const char* what);

  void on_connected(Client&, const mqtt::Connack&, bool session_present) override;
  void on_disconnected(Client&, const Ending& ending, std::optional<int64_t>) override { ending_ = ending; }
  void on_message(Client&, const mqtt::Publish& publish) override;
  void on_published(Client&, const Completion& completion) override { completed(completion); }
  void on_subscribed(Client&, const Completion& completion) override { completed(completion); }
  void on_unsubscribed(Client&, const Completion& completion) override { completed(completion); }
  void on_closed(Client&) override { closed_ = true; }
  void completed(const Completion& completion);

  std::unique_ptr<ClientLoop> loop_;
  Client client_;
  int64_t timeout_ms_ = 10'000;
  bool session_present_ = false;
  bool closed_ = false;
  std::optional<Ending> ending_;
  RequestId awaited_;
  bool answered_ = false;
  std::error_code error_;
  ReasonCode reason_{};
  std::vector<ReasonCode> reasons_;
  std::deque<ReceivedMessage> unread_;
};

}  // namespace courier::client
