// The main job, played with real processes and sockets: a backend publishes orders, phones that come and go
// show them and answer, and midway a node is killed. It is alone, and starts again on the same data; or it is
// one of a cluster, and its phones go to the others.
//
//   starting ──► gathering ──► publishing ──► recovering ──► finishing ──► over
//   a node       every phone    from here on    kill -9, until  until every
//   answers      subscribed     phones flap     all are served  answer is there
//
// One thread, one loop; blocks in run() until the job is over. It prints nothing but through its Narrator.
//
// 1. The backend publishes by the clock, whether a node runs or not, and latency counts from the scheduled
//    time: a stall is seen, not hidden.
// 2. Recovery is measured on connections made after the kill: what was still in a socket's buffer does not
//    count.
// 3. In a cluster a phone goes to its own node while that one answers, and otherwise to any. The backend is
// at
//    one that is not killed; that it is dropped is a failure.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/client.h"
#include "client/client_loop.h"
#include "courier/demo/broker.h"
#include "courier/demo/connections.h"
#include "courier/demo/ledger.h"
#include "courier/demo/orders.h"
#include "courier/interrupt.h"

namespace courier::cli::demo {

struct JobSettings {
  size_t phones = 200;
  double rate = 250;  // orders a second
  uint64_t seed = 1;
};

enum class Phase : uint8_t { starting, gathering, publishing, recovering, finishing, over };

// What there is to tell, now and at the end.
struct Progress {
  Phase phase = Phase::starting;
  double seconds = 0;
  size_t orders = 0, phones = 0, phones_connected = 0;
  uint64_t unanswered = 0;  // orders that the broker holds a promise for
  Counts counts;
  std::string_view victim;  // the node that is killed
};

// The kill waits until the broker holds so many promises. With too few orders for that it comes after the
// last or, in a cluster, before all have been published: there phones are to be connected then.
inline constexpr uint64_t kUnansweredAtKill = 100;

struct Crash {
  uint64_t unanswered = 0;                             // promised by the broker, not yet answered by a phone
  uint64_t on_their_way = 0;                           // published, not yet promised
  std::optional<MonoNs> first_puback, first_delivery;  // after the kill
};

class Narrator {
 public:
  virtual void progress(const Progress& progress) = 0;
  virtual void event(const std::string& sentence) = 0;

 protected:
  ~Narrator() = default;
};

class MainJob {
 public:
  // All of these outlive the job; the broker has been prepared and not started.
  MainJob(client::ClientLoop& loop, const JobSettings& settings, const Orders& orders, Broker& broker,
          Narrator& narrator);
  ~MainJob();

  // Empty when everything went as it should; otherwise what went wrong, as a sentence.
  std::optional<std::string> run();
  bool interrupted() const { return interrupted_; }

  const Ledger& ledger() const { return ledger_; }
  const Connections& connections() const { return connections_; }
  const std::optional<Crash>& crash() const { return crash_; }
  uint64_t flaps() const { return flaps_; }
  Progress progress() const;

 private:
  struct Phone final : client::ClientHandler {
    Phone(MainJob& job, size_t index);
    void on_connected(client::Client&, const mqtt::Connack&, bool session_present) override;
    void on_disconnected(client::Client&, const client::Ending&, std::optional<int64_t>) override;
    void on_message(client::Client&, const mqtt::Publish&) override;
    void on_published(client::Client&, const client::Completion&) override;
    void on_subscribed(client::Client&, const client::Completion&) override;
    void flap();
    void leave();

    MainJob& job;
    const size_t index;
    std::unique_ptr<client::Client> client;
    client::Timer timer;
    size_t subscriptions_awaited = 0;
    bool asked = false, subscribed = false;
    bool away = false;         // by its own will
    bool held = false;         // away until the kill
    bool since_crash = false;  // connected after the kill
  };

  struct Backend final : client::ClientHandler {
    explicit Backend(MainJob& owner) : job(owner) {}
    void on_connected(client::Client&, const mqtt::Connack&, bool session_present) override;
    void on_disconnected(client::Client&, const client::Ending&, std::optional<int64_t>) override;
    void on_message(client::Client&, const mqtt::Publish&) override;
    void on_published(client::Client&, const client::Completion&) override;
    void on_subscribed(client::Client&, const client::Completion&) override;

    MainJob& job;
    std::unique_ptr<client::Client> client;
    bool asked = false, subscribed = false;
    bool since_crash = false;
  };

  bool in_cluster() const { return broker_.nodes().size() > 1; }
  const std::string& victim() const { return broker_.nodes()[broker_.victim()].name; }
  size_t node_of(const client::Client& client) const;
  std::shared_ptr<const client::Endpoint> nodes_for(size_t phone) const;
  void gather();
  void begin_publishing();
  void publish_due();
  void watch();
  void hold(size_t every);
  void strike();
  bool served_again() const;
  std::string recovery() const;
  void advance();
  void look_for_dropped();
  void look_for_stall(MonoNs now);
  void fail(std::string sentence);
  void connection_failed(const std::string& who, const client::Client& client, const client::Ending& ending);
  int64_t between_ms(int64_t least, int64_t most);

  client::ClientLoop& loop_;
  const JobSettings settings_;
  const Orders& orders_;
  Broker& broker_;
  Narrator& narrator_;
  Ledger ledger_;
  std::mt19937_64 random_;
  Backend backend_;
  std::vector<std::unique_ptr<Phone>> phones_;
  Connections connections_;
  size_t phones_subscribed_ = 0;
  std::unordered_map<uint64_t, size_t>
      unsettled_;  // request ids of the backend's publishes, and their orders
  client::Timer publisher_, watcher_;
  Phase phase_ = Phase::starting;
  const MonoNs began_;
  MonoNs publishing_since_ = 0, killed_at_ = 0, told_at_ = 0;
  size_t next_order_ = 0;
  size_t held_every_ = 0;  // 2: every second phone is held; 0: none
  std::optional<Crash> crash_;
  uint64_t flaps_ = 0;
  uint64_t last_sum_ = 0;  // of all that only grows: when it stands still, nothing happens any more
  MonoNs moved_at_;
  std::optional<std::string> failure_;
  bool interrupted_ = false;
};

}  // namespace courier::cli::demo
