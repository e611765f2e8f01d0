// Leads a run: stages in their order, figures second by second, thresholds, the end.
//
//              every stage over, or abort            nothing awaited, or drain over         all gone
//   playing ───────────────────────────► draining ───────────────────────────► leaving ────────► over
//      │                                                                          ▲
//      └──────────────────────────────── interrupt() ─────────────────────────────┘
//
// It is asked to tick() about ten times a second and asks its workers then. Owned by one thread.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "load/result.h"
#include "load/worker.h"

namespace courier::load {

// A worker, wherever it is.
class Hand {
 public:
  virtual ~Hand() = default;
  // At that moment of the run's clock, in microseconds.
  virtual void begin_stage(size_t stage, int64_t began_us) = 0;
  virtual void end_stage() = 0;
  virtual void hang_up() = 0;
  virtual bool gone() = 0;
  // Since the last one. Nothing: none has come meanwhile.
  virtual std::optional<WorkerReport> report() = 0;
  virtual std::vector<Letters> take_letters() = 0;
  virtual void deliver(const Letters& letters) = 0;
  // Who holds a shared subscription at the other workers.
  virtual void set_share_members(uint32_t share, const ShareMembers& elsewhere) = 0;
  // What was still awaited when it was told to hang up, in words, at most kMissingShown. Once it is gone.
  virtual std::vector<std::string> missing() = 0;
  // Why it can play no longer; empty while it can.
  virtual std::string trouble() const { return {}; }
};

class Conductor {
 public:
  enum class Phase : uint8_t { playing, draining, leaving, over };

  // The scenario outlives it.
  Conductor(const Scenario& scenario, std::vector<std::unique_ptr<Hand>> hands, const Clock& clock);

  void start();
  void tick();
  void interrupt();
  bool over() const { return phase_ == Phase::over; }
  // When it is over; also before, for a report of what there is.
  RunResult result() const;

  // For the line that shows how it goes. One finished second at a time, when there is one.
  std::function<void(const Second&, const Conductor&)> on_second;
  std::function<void(const StageResult&)> on_stage;

  Phase phase() const { return phase_; }
  size_t stage() const { return stage_; }
  MonoNs started_ns() const { return started_ns_; }
  double stage_seconds() const { return std::max(0.0, seconds() - stage_began_); }
  const Scenario& scenario() const { return scenario_; }

 private:
  struct Place {
    std::vector<uint32_t> connected, ready;
    uint64_t awaited = 0, absent = 0, replies = 0, unsettled = 0;
    std::vector<uint32_t> missing_by_stage, overdue_by_stage;
    std::vector<ShareMembers> shares;
    bool steps_done = false;
  };
  double seconds() const { return static_cast<double>(clock_.mono_ns() - started_ns_) / 1e9; }
  void gather();
  void close_second(double now);
  void begin_stage(size_t stage);
  void end_stage(std::string trouble);
  bool stage_is_over(double now, std::string& trouble);
  bool holds(const Until& until) const;
  std::string shortfall(const Until& until) const;
  std::pair<uint64_t, uint64_t> ready_of(const Until& until) const;
  bool settled(double now) const;
  void judge_early(double now);
  void drain();
  // `overdue_only`: in the middle of things, what is on its way is not lost.
  void leave(std::string trouble, bool overdue_only = false);
  void give_up(const std::string& trouble);
  void finish();
  Tally judged(const Threshold& threshold) const;
  uint64_t sum(uint64_t Place::*member) const;
  // Of one stage, or of all.
  uint64_t sum(std::vector<uint32_t> Place::*by_stage, std::optional<size_t> stage = {}) const;
  void tell_share_members(size_t worker, const std::vector<ShareMembers>& before);

  const Scenario& scenario_;
  std::vector<std::unique_ptr<Hand>> hands_;
  const Clock& clock_;
  MonoNs started_ns_ = 0;
  Phase phase_ = Phase::playing;
  size_t stage_ = 0;
  double stage_began_ = 0, phase_began_ = 0, letter_at_ = 0;
  std::vector<Place> places_;
  Tally second_, total_;
  int64_t cpu_us_ = 0;  // of this second
  double second_ends_ = 1;
  std::vector<StageResult> stages_;
  std::vector<Second> series_;
  std::vector<double> broken_since_;  // by threshold, for its grace; negative: it holds
  RunResult result_;
};

}  // namespace courier::load
