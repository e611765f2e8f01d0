// Who takes part in a crash test: publishers, subscribers, bearers of wills, one who looks at retained
// messages.
//
// All on one ClientLoop and its thread, each a client of the library, each telling the ledger what it was
// promised and what it got. Reconnecting is quick: the broker is away often and for moments.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "client/client.h"
#include "ledger.h"

namespace courier::fault {

// What all of them share; outlives them.
struct Stage {
  client::ClientLoop& loop;
  Ledger& ledger;
  std::shared_ptr<const client::Endpoint> server;
  std::mt19937_64& random;
  size_t budget = 0;               // messages that may still be published in this round
  bool broker_is_leaving = false;  // it was told to stop: nobody can say which wills it still publishes
  uint64_t connections_lost = 0;

  bool chance(uint32_t in) { return random() % in == 0; }
};

// A client that comes back by itself and remembers whether the broker knew it.
class Actor : public client::ClientHandler {
 public:
  Actor(Stage& stage, const std::string& id, mqtt::Version version, bool stored,
        client::ConnectOptions options = {});
  virtual ~Actor() = default;

  void open();
  // As if the network had failed; come back with open().
  void cut() {
    up_ = false;  // no connection that the broker lost
    client_.cut(stage_.chance(2) ? client::Cut::reset : client::Cut::close);
  }
  bool online() const { return client_.online(); }
  bool closed() const { return client_.state() == client::Client::State::closed; }
  const std::string& name() const { return name_; }
  mqtt::Version version() const { return version_; }

 protected:
  void on_connected(client::Client&, const mqtt::Connack&, bool session_present) override;
  void on_disconnected(client::Client&, const client::Ending&, std::optional<int64_t>) override;

  Stage& stage_;
  const std::string name_;
  const mqtt::Version version_;
  const bool stored_;
  bool known_ = false;  // a CONNACK came: the broker must know a stored session from now on
  bool up_ = false;     // a connection stands
  client::Client client_;
};

// Publishes numbered messages to topics of its own, a few in flight, while it plays and the budget lasts.
class Publisher final : public Actor {
 public:
  Publisher(Stage& stage, const std::string& id, mqtt::Version version, bool stored);
  ~Publisher() override { stage_.loop.cancel(after_refusal_); }

  void play(bool on);
  // Everything it published has been answered or given up.
  bool idle() const { return client_.unfinished() == 0; }
  uint64_t accepted() const { return accepted_; }
  uint64_t refused() const { return refused_; }
  // More in flight than before: what is on its way when the log stalls fills the usual window.
  void widen();
  void narrow() { inflight_max_ = kInflightMax; }
  // While the disk is known to be full, whatever is sent must not be acknowledged.
  void forbid_acceptance(bool on);

 private:
  static constexpr size_t kInflightMax = 24;
  static constexpr int64_t kPauseAfterRefusalMs = 20;

  void on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) override;
  void on_published(client::Client&, const client::Completion& completion) override;
  void pump();

  struct Outstanding {
    Ledger::MessageId id = 0;
    bool forbidden = false;
  };
  struct Channel {
    Ledger::TopicIndex topic = 0;
    std::string name;
    mqtt::Qos qos{};
    bool retain = false;
  };
  std::vector<Channel> channels_;
  std::unordered_map<uint64_t, Outstanding> outstanding_;  // by request
  client::Timer after_refusal_;
  size_t inflight_max_ = kInflightMax;
  bool playing_ = false;
  bool waiting_ = false;
  bool pumping_ = false;
  bool forbidden_ = false;
  uint64_t accepted_ = 0, refused_ = 0;
};

// A stored session with subscriptions; alone, or as a member of a group.
class Subscriber final : public Actor {
 public:
  struct Role {
    std::string id;
    mqtt::Version version{};
    mqtt::Qos qos{};
    std::vector<std::string> filters;
    std::string group;  // it subscribes to $share/GROUP/filter
    uint16_t receive_maximum = 0;
  };
  Subscriber(Stage& stage, const Role& role, Ledger::ReceiverIndex receiver);

  // Every filter is granted: from then on its messages are owed to it.
  bool subscribed() const { return granted_ == filters_.size(); }
  // Takes one more filter on, or off again.
  void toggle(const std::string& filter);

 private:
  void on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) override;
  void on_message(client::Client&, const mqtt::Publish& publish) override;
  void on_subscribed(client::Client&, const client::Completion& completion) override;
  void on_unsubscribed(client::Client&, const client::Completion& completion) override;
  void subscribe(const std::string& filter);

  const Ledger::ReceiverIndex receiver_;
  const mqtt::Qos qos_;
  const std::string prefix_;
  const std::vector<std::string> filters_;
  size_t granted_ = 0;
  std::unordered_map<uint64_t, std::string> asked_;  // by request
  bool extra_on_ = false, extra_pending_ = false;
};

// Connects with a will of its own number each time, and never says goodbye.
class WillBearer final : public Actor {
 public:
  WillBearer(Stage& stage, const std::string& id, mqtt::Version version, bool stored, mqtt::Qos qos);
  ~WillBearer() override { stage_.loop.cancel(again_); }

  void begin();
  // cut(), with the will then due.
  void break_off();

 private:
  void on_connected(client::Client& client, const mqtt::Connack& connack, bool session_present) override;
  void on_disconnected(client::Client& client, const client::Ending& ending, std::optional<int64_t>) override;
  void end_of_connection();

  const mqtt::Qos qos_;
  const std::string topic_name_;
  const Ledger::TopicIndex topic_;
  Ledger::MessageId will_ = 0;  // 0: none is on its way
  bool armed_ = false;          // CONNACK came
  client::Timer again_;
};

// Clean: subscribes to what is retained, tells the ledger, and is gone.
class RetainedViewer final : public client::ClientHandler {
 public:
  explicit RetainedViewer(Stage& stage);
  void open();
  void close() { client_.cut(); }
  bool subscribed() const { return subscribed_; }

 private:
  void on_connected(client::Client& client, const mqtt::Connack&, bool) override;
  void on_subscribed(client::Client&, const client::Completion& completion) override;
  void on_message(client::Client&, const mqtt::Publish& publish) override;

  Stage& stage_;
  bool subscribed_ = false;
  client::Client client_;
};

// Clean, QoS 0, to itself: whether a broker that can promise nothing still passes on what needs no promise.
class Echo final : public client::ClientHandler {
 public:
  Echo(Stage& stage, const std::string& id);
  void open();
  void close() { client_.cut(); }
  bool online() const { return client_.online(); }
  bool subscribed() const { return subscribed_; }
  void ask();
  bool heard() const { return heard_; }

 private:
  void on_connected(client::Client& client, const mqtt::Connack&, bool) override;
  void on_subscribed(client::Client&, const client::Completion& completion) override {
    subscribed_ = completion.ok();
  }
  void on_message(client::Client&, const mqtt::Publish&) override { heard_ = true; }

  Stage& stage_;
  bool subscribed_ = false, heard_ = false;
  client::Client client_;
};

}  // namespace courier::fault
