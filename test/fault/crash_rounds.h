// The crash test: a broker that is killed at random moments while clients publish and subscribe, and a ledger
// that is reconciled after each time.
//
// A round: everybody publishes; the broker is struck; it starts again on the same data and port; everybody
// comes back and goes on; then publishing stops, and whatever was promised must be there. Sessions, their
// backlogs and the clients live through all rounds.
//
// What chance decides follows from the seed. What the machine decides, when exactly the blow falls, does not:
// a failing seed is likely to fail again, not certain.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker_process.h"
#include "cast.h"

namespace courier::fault {

enum class Disk {
  kept,              // kill -9: what was written stays in the kernel's cache
  forgets_unsynced,  // power cut: what was not synced is gone
  fills_up,          // and is empty again some time later
};

class CrashRounds {
 public:
  struct Options {
    std::string program;  // courierd; for anything but Disk::kept one with the faulty disk
    std::string folder;
    uint16_t port = 0;
    uint64_t seed = 1;
    Disk disk = Disk::kept;
  };
  explicit CrashRounds(Options options);
  ~CrashRounds();

  // Starts the broker, and waits until every subscription is granted.
  void begin();
  // One round; `number` is for the sentences.
  void round(int number);

  // Something was wrong: no more rounds.
  bool failed() const { return !ledger_.faults().empty(); }
  // The faults, the reconciliation table, the end of the broker's log.
  std::string report() const;
  std::string summary() const;

 private:
  using Condition = std::function<bool()>;
  // Turns of the loop for so long; the broker must live meanwhile, if it runs.
  void run_for(int64_t ms);
  // Whether the condition came true.
  bool run_until(int64_t limit_ms, const Condition& condition);
  void check_broker();

  void cast();
  void start_broker();
  void kill_broker();
  void stir();  // what clients do on their own: break off, come back, subscribe to more
  void play(bool on);
  bool everybody_online() const;

  // The ways in which a broker is struck.
  void strike();
  void strike_during_start();
  void stop_in_order(bool impatient);
  void fill_disk();
  void free_disk();
  void start_on_full_disk();

  void settle();
  void check_retained();

  const Options options_;
  std::mt19937_64 random_;
  std::unique_ptr<client::ClientLoop> loop_;
  Ledger ledger_;
  BrokerProcess broker_;
  Stage stage_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<std::unique_ptr<Subscriber>> subscribers_;
  std::vector<std::unique_ptr<WillBearer>> will_bearers_;
  Subscriber* sleeper_ = nullptr;   // there only when a round is reconciled
  Subscriber* changing_ = nullptr;  // subscribes to more now and then
  std::unique_ptr<RetainedViewer> viewer_;
  std::unique_ptr<Echo> echo_, newcomer_;
  bool stirring_ = false;
  bool disk_is_full_ = false;
  int round_ = 0;
  std::map<std::string, int> strikes_;
  int64_t away_ms_max_ = 0;  // longest time from a start to everybody being back
};

}  // namespace courier::fault
