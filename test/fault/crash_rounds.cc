#include "crash_rounds.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "base/check.h"
#include "net/socket_address.h"

namespace courier::fault {

namespace {

using mqtt::Qos;
using mqtt::Version;

// Before the blow as many as the broker takes, so that it always falls under load; after it so many more.
constexpr size_t kUnlimited = 1'000'000'000;
constexpr size_t kMessagesAfterBlow = 500;
constexpr int64_t kComeBackLimitMs = 60'000;
// A broker that owes something and sends nothing for so long has lost it.
constexpr int64_t kNothingMoreMs = 10'000;
constexpr int kLogLinesShown = 25;
constexpr int kCannotUseStore = 4;  // courierd's exit code when the disk is full

int64_t now_ms() {
  return system_clock().mono_ns() / 1'000'000;
}

std::string full_marker(const std::string& folder) {
  return folder + "/disk_is_full";
}

std::string hang_marker(const std::string& folder) {
  return folder + "/disk_hangs";
}

std::map<std::string, std::string> environment_of(const CrashRounds::Options& options) {
  if (options.disk == Disk::kept) return {};
  return {{"COURIER_FAULTY_DISK", "discard_unsynced"},
          {"COURIER_DISK_FULL_FILE", full_marker(options.folder)},
          {"COURIER_DISK_HANGS_FILE", hang_marker(options.folder)}};
}

std::unique_ptr<client::ClientLoop> make_loop(uint64_t seed) {
  auto loop = client::ClientLoop::open(seed);
  CHECK(loop);
  return std::move(*loop);
}

}  // namespace

CrashRounds::CrashRounds(Options options)
    : options_(std::move(options)),
      random_(options_.seed),
      loop_(make_loop(options_.seed)),
      broker_({options_.program, options_.folder, options_.port, environment_of(options_)}),
      stage_{*loop_, ledger_,
             client::Endpoint::of(*net::SocketAddress::parse(fmt::format("127.0.0.1:{}", options_.port))),
             random_} {
  cast();
}

CrashRounds::~CrashRounds() = default;

void CrashRounds::cast() {
  publishers_.push_back(std::make_unique<Publisher>(stage_, "p5", Version::v5, true));
  publishers_.push_back(std::make_unique<Publisher>(stage_, "p4", Version::v3_1_1, true));
  publishers_.push_back(std::make_unique<Publisher>(stage_, "p5clean", Version::v5, false));
  publishers_.push_back(std::make_unique<Publisher>(stage_, "p4clean", Version::v3_1_1, false));
  publishers_.push_back(std::make_unique<Publisher>(stage_, "p3", Version::v3_1, true));

  const auto alone = [&](Subscriber::Role role) {
    const auto receiver = ledger_.add(Receiver{role.id, role.qos, true});
    subscribers_.push_back(std::make_unique<Subscriber>(stage_, role, receiver));
    return subscribers_.back().get();
  };
  alone({.id = "s5", .version = Version::v5, .qos = Qos::exactly_once, .filters = {"c/#", "w/#"}});
  alone({.id = "s4", .version = Version::v3_1_1, .qos = Qos::exactly_once, .filters = {"c/#"}});
  alone({.id = "s5one", .version = Version::v5, .qos = Qos::at_least_once, .filters = {"c/#", "w/#"}});
  alone({.id = "s5narrow",
         .version = Version::v5,
         .qos = Qos::exactly_once,
         .filters = {"c/p5/+", "c/p4/2"},
         .receive_maximum = 3});
  sleeper_ =
      alone({.id = "sleeper", .version = Version::v5, .qos = Qos::exactly_once, .filters = {"c/#", "w/#"}});
  changing_ =
      alone({.id = "changing", .version = Version::v3_1_1, .qos = Qos::at_least_once, .filters = {"c/p5/1"}});

  for (const Qos qos : {Qos::at_least_once, Qos::exactly_once}) {
    const std::string group = fmt::format("g{}", static_cast<int>(qos));
    const auto receiver = ledger_.add(Receiver{"$share/" + group, qos, false});
    for (const Version version : {Version::v5, Version::v3_1_1}) {
      subscribers_.push_back(std::make_unique<Subscriber>(
          stage_,
          Subscriber::Role{.id = fmt::format("{}m{}", group, static_cast<int>(version)),
                           .version = version,
                           .qos = qos,
                           .filters = {"c/#"},
                           .group = group},
          receiver));
    }
  }

  will_bearers_.push_back(std::make_unique<WillBearer>(stage_, "w5", Version::v5, true, Qos::exactly_once));
  will_bearers_.push_back(
      std::make_unique<WillBearer>(stage_, "w4", Version::v3_1_1, true, Qos::at_least_once));
  will_bearers_.push_back(
      std::make_unique<WillBearer>(stage_, "w5clean", Version::v5, false, Qos::at_least_once));
  will_bearers_.push_back(
      std::make_unique<WillBearer>(stage_, "w4clean", Version::v3_1_1, false, Qos::exactly_once));

  viewer_ = std::make_unique<RetainedViewer>(stage_);
  echo_ = std::make_unique<Echo>(stage_, "echo");
  newcomer_ = std::make_unique<Echo>(stage_, "newcomer");
}

// --- the loop ---

void CrashRounds::check_broker() {
  if (!broker_.running()) return;
  if (const auto code = broker_.ended()) {
    ledger_.wrong(fmt::format("courierd ended by itself, with {} {}", *code < 0 ? "signal" : "exit code",
                              std::abs(*code)));
  }
}

bool CrashRounds::run_until(int64_t limit_ms, const Condition& condition) {
  const int64_t until = now_ms() + limit_ms;
  for (int64_t now = now_ms(); !condition(); now = now_ms()) {
    if (now >= until || failed()) return false;
    loop_->run_once(std::min<int64_t>(until - now, 20) * 1'000'000);
    if (stirring_) stir();
    check_broker();
  }
  return true;
}

void CrashRounds::run_for(int64_t ms) {
  run_until(ms, [] { return false; });
}

void CrashRounds::stir() {
  if (!stage_.chance(60)) return;
  switch (random_() % 6) {
    case 0:
      will_bearers_[random_() % will_bearers_.size()]->break_off();
      break;
    case 1:
      changing_->toggle("c/p4clean/#");
      break;
    default: {
      Actor* actor = random_() % 3 == 0
                         ? static_cast<Actor*>(publishers_[random_() % publishers_.size()].get())
                         : subscribers_[random_() % subscribers_.size()].get();
      if (actor != sleeper_ && actor->online()) actor->cut();
      break;
    }
  }
  for (const auto& each : publishers_) {
    if (each->closed() && stage_.chance(2)) each->open();
  }
  for (const auto& each : subscribers_) {
    if (each.get() != sleeper_ && each->closed() && stage_.chance(2)) each->open();
  }
}

void CrashRounds::play(bool on) {
  for (const auto& each : publishers_) each->play(on);
}

bool CrashRounds::everybody_online() const {
  const auto online = [](const auto& actor) { return actor->online(); };
  return std::all_of(publishers_.begin(), publishers_.end(), online) &&
         std::all_of(subscribers_.begin(), subscribers_.end(),
                     [&](const auto& each) { return each.get() == sleeper_ || each->online(); });
}

// --- the broker ---

void CrashRounds::start_broker() {
  // A checkpoint is often under way when the blow falls.
  const char* intervals[] = {"100ms", "100ms", "500ms", "2s"};
  const BrokerProcess::Settings settings{
      {"", {fmt::format("threads = {}", 1 + random_() % 3), "drain_timeout = \"5s\""}},
      {"limits",
       {"inbox_messages_max = 1000000", "inbox_bytes_max = \"1GB\"", "shared_inbox_messages_max = 1000000",
        "shared_inbox_bytes_max = \"1GB\""}},
      {"store",
       {fmt::format("checkpoint_interval = \"{}\"", intervals[random_() % 4]),
        fmt::format("log_bytes_max = \"{}\"", stage_.chance(2) ? "1MB" : "64MB")}},
      {"sys", {"interval = 0"}}};
  stage_.broker_is_leaving = false;
  if (auto started = broker_.start(settings); !started) ledger_.wrong(started.error().message);
}

void CrashRounds::kill_broker() {
  if (options_.disk == Disk::forgets_unsynced) {
    // The disk goes before the rest: no sync ends any more. What is acknowledged from here on is lost.
    std::ofstream(hang_marker(options_.folder)).put('\n');
    run_for(static_cast<int64_t>(random_() % 20));
  }
  // The clients share this thread. Without a pause the blow would always fall when they have just spoken and
  // the broker has not yet heard it.
  std::this_thread::sleep_for(std::chrono::microseconds(random_() % 2500));
  broker_.kill();
  std::filesystem::remove(hang_marker(options_.folder));
}

void CrashRounds::begin() {
  start_broker();
  for (const auto& each : publishers_) each->open();
  for (const auto& each : subscribers_) each->open();
  for (const auto& each : will_bearers_) each->begin();
  const bool ready = run_until(kComeBackLimitMs, [&] {
    return everybody_online() && std::all_of(subscribers_.begin(), subscribers_.end(),
                                             [](const auto& each) { return each->subscribed(); });
  });
  if (!ready) ledger_.wrong("the broker did not take everybody in at the beginning");
  sleeper_->cut();
}

// --- how it is struck ---

void CrashRounds::strike_during_start() {
  const int64_t patience = static_cast<int64_t>(random_() % 150);
  start_broker();
  run_for(patience);
  kill_broker();
}

void CrashRounds::stop_in_order(bool impatient) {
  stage_.broker_is_leaving = true;
  broker_.tell_to_stop();
  std::optional<int> code;
  const int64_t until = now_ms() + (impatient ? static_cast<int64_t>(random_() % 100) : 20'000);
  while (!code && now_ms() < until) {
    loop_->run_once(5'000'000);
    code = broker_.ended();
  }
  if (impatient) return broker_.kill();
  if (!code || *code != 0) {
    ledger_.wrong(fmt::format("courierd did not stop in order on SIGTERM: {}",
                              code ? fmt::format("exit code {}", *code) : "it goes on"));
  }
}

void CrashRounds::fill_disk() {
  const size_t log_before = broker_.log_size();
  stirring_ = false;
  // Those who were cut off come back first: from now on no connection may end.
  for (const auto& each : publishers_) each->open();
  for (const auto& each : subscribers_) {
    if (each.get() != sleeper_) each->open();
  }
  echo_->open();
  if (!run_until(kComeBackLimitMs, [&] { return everybody_online() && echo_->subscribed(); })) {
    return ledger_.wrong("not everybody came back before the disk filled up");
  }
  play(true);
  uint64_t refused_before = ledger_.refused_count();
  const uint64_t lost_before = stage_.connections_lost;
  std::ofstream(full_marker(options_.folder)).put('\n');
  disk_is_full_ = true;
  // The log has noticed, so that what is published from here on finds it stalled.
  const auto says = [&](const char* what) {
    return broker_.log_since(log_before).find(what) != std::string::npos;
  };
  if (!run_until(20'000, [&] { return says("the log cannot be written"); })) {
    return ledger_.wrong("courierd's log does not say that it cannot write");
  }
  bool refused = false;
  for (int i = 0; i < 20 && !refused && !failed(); ++i) {
    for (const auto& each : publishers_) each->widen();
    refused = run_until(1000, [&] { return ledger_.refused_count() > refused_before; });
  }
  if (!refused) return ledger_.wrong("the disk is full and no 5.0 publisher was refused");
  for (const auto& each : publishers_) each->forbid_acceptance(true);
  refused_before = ledger_.refused_count();
  run_for(100 + static_cast<int64_t>(random_() % 400));
  if (failed()) return;
  newcomer_->open();
  echo_->ask();
  if (!run_until(10'000, [&] { return echo_->heard() && newcomer_->online(); })) {
    ledger_.wrong("with the disk full clean clients cannot connect, or QoS 0 is not passed on");
  }
  echo_->close();
  newcomer_->close();
  if (stage_.connections_lost != lost_before) ledger_.wrong("a connection ended because the disk was full");
}

void CrashRounds::free_disk() {
  for (const auto& each : publishers_) {
    each->forbid_acceptance(false);
    each->narrow();
  }
  std::filesystem::remove(full_marker(options_.folder));
  disk_is_full_ = false;
}

// courierd may refuse to start without space, but only with the exit code that says "try again".
void CrashRounds::start_on_full_disk() {
  const size_t log_before = broker_.log_size();
  start_broker();
  std::optional<int> code;
  const auto wait = [&](int64_t ms, auto condition) {
    for (const int64_t until = now_ms() + ms; !code && !condition() && now_ms() < until;) {
      loop_->run_once(5'000'000);
      code = broker_.ended();
    }
  };
  wait(300 + static_cast<int64_t>(random_() % 700), [] { return false; });
  free_disk();
  if (!code && stage_.chance(2)) kill_broker();
  // What it found while the disk was full it may say only now.
  if (broker_.running()) {
    wait(kComeBackLimitMs,
         [&] { return broker_.log_since(log_before).find("is ready") != std::string::npos; });
  }
  if (code && *code != kCannotUseStore) {
    ledger_.wrong(fmt::format("courierd ended on a full disk with exit code {}", *code));
  }
  if (!broker_.running()) start_broker();
}

void CrashRounds::strike() {
  std::string how;
  const uint64_t choice = random_() % 20;
  if (options_.disk == Disk::fills_up) {
    fill_disk();
    if (failed()) return;
    if (choice < 12) {
      how = "full, then space";
      const size_t log_before = broker_.log_size();
      free_disk();
      if (!run_until(30'000, [&] {
            return broker_.log_since(log_before).find("the log accepts again") != std::string::npos;
          })) {
        ledger_.wrong("space is back and courierd does not say that it goes on");
      }
    } else if (choice < 16) {
      how = "full, killed";
      kill_broker();
      free_disk();
      start_broker();
    } else {
      how = "full, started full";
      kill_broker();
      start_on_full_disk();
    }
  } else if (choice < 9) {
    how = "killed";
    kill_broker();
    start_broker();
  } else if (choice < 12) {
    how = "killed twice";
    kill_broker();
    start_broker();
    run_until(kComeBackLimitMs, [&] { return publishers_[0]->online(); });
    run_for(static_cast<int64_t>(random_() % 60));
    kill_broker();
    start_broker();
  } else if (choice < 16) {
    how = "killed while starting";
    kill_broker();
    for (uint64_t left = 1 + random_() % 2; left > 0; --left) strike_during_start();
    start_broker();
  } else {
    const bool impatient = choice < 18;
    how = impatient ? "killed while stopping" : "stopped";
    stop_in_order(impatient);
    start_broker();
  }
  ++strikes_[how];
}

// --- a round ---

void CrashRounds::round(int number) {
  round_ = number;
  stage_.budget = kUnlimited;
  stirring_ = true;
  play(true);
  run_for(50 + static_cast<int64_t>(random_() % 150));
  if (failed()) return;
  strike();
  if (failed()) return;
  const int64_t began = now_ms();
  stage_.budget = kMessagesAfterBlow;
  run_until(kComeBackLimitMs, [&] { return publishers_[0]->online(); });
  away_ms_max_ = std::max(away_ms_max_, now_ms() - began);
  run_for(20 + static_cast<int64_t>(random_() % 150));
  settle();
}

void CrashRounds::settle() {
  stirring_ = false;
  play(false);
  for (const auto& each : publishers_) each->open();
  for (const auto& each : subscribers_) each->open();
  if (!run_until(kComeBackLimitMs, [&] { return everybody_online() && sleeper_->online(); })) {
    if (failed()) return;
    std::string away;
    for (const auto& each : publishers_) away += each->online() ? "" : " " + each->name();
    for (const auto& each : subscribers_) away += each->online() ? "" : " " + each->name();
    return ledger_.wrong("not everybody could come back:" + away);
  }
  uint64_t seen = 0;
  int64_t since = now_ms();
  run_until(10 * kComeBackLimitMs, [&] {
    const uint64_t progress = ledger_.delivered_count() + ledger_.accepted_count() + ledger_.refused_count();
    if (progress != seen) {
      seen = progress;
      since = now_ms();
    }
    const bool idle =
        std::all_of(publishers_.begin(), publishers_.end(), [](const auto& p) { return p->idle(); });
    return (idle && ledger_.owed() == 0) || now_ms() - since > kNothingMoreMs;
  });
  if (failed()) return;
  for (const auto& each : publishers_) {
    if (!each->idle()) ledger_.wrong(each->name() + " waits for answers that do not come");
  }
  ledger_.judge_owed();
  if (failed()) return;
  check_retained();
  if (failed()) return;
  ledger_.settle();
  sleeper_->cut();
}

void CrashRounds::check_retained() {
  viewer_->open();
  run_until(kNothingMoreMs, [&] { return viewer_->subscribed() && ledger_.missing_retained() == 0; });
  ledger_.judge_retained();
  viewer_->close();
}

// --- what to say ---

std::string CrashRounds::summary() const {
  std::string how;
  for (const auto& [name, times] : strikes_)
    how += fmt::format("{}{} {}", how.empty() ? "" : ", ", times, name);
  return fmt::format(
      "{} rounds ({}): {} messages accepted, {} refused, {} delivered; back after {} ms at most", round_, how,
      ledger_.accepted_count(), ledger_.refused_count(), ledger_.delivered_count(), away_ms_max_);
}

std::string CrashRounds::report() const {
  std::string out =
      fmt::format("seed {}, round {}: {} faults\n", options_.seed, round_, ledger_.faults().size());
  for (size_t i = 0; i < ledger_.faults().size() && i < 12; ++i) out += "  " + ledger_.faults()[i] + '\n';
  out += '\n' + ledger_.reconciliation();
  const std::string log = broker_.log_since(0);
  size_t from = log.size();
  for (int lines = 0; from > 0 && lines <= kLogLinesShown; ++lines) {
    const size_t at = log.rfind('\n', from - 1);
    from = at == std::string::npos ? 0 : at;
  }
  out += "\nthe end of " + broker_.log_file() + ":\n" + log.substr(from) + '\n';
  return out;
}

}  // namespace courier::fault
