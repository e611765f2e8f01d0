#include "load/conductor.h"

#include <algorithm>

#include <fmt/format.h>

#include "load/limits.h"
#include "load/thresholds.h"

namespace courier::load {

Conductor::Conductor(const Scenario& scenario, std::vector<std::unique_ptr<Hand>> hands, const Clock& clock)
    : scenario_(scenario),
      hands_(std::move(hands)),
      clock_(clock),
      places_(hands_.size()),
      broken_since_(scenario.thresholds.size(), -1) {
  for (Place& place : places_) {
    place.connected.resize(scenario.groups.size());
    place.ready.resize(scenario.groups.size());
  }
}

void Conductor::start() {
  started_ns_ = clock_.mono_ns();
  result_.scenario = scenario_.name;
  result_.seed = scenario_.seed;
  result_.clients = scenario_.clients();
  result_.vars = scenario_.vars;
  result_.started_at_ms = clock_.wall_ms();
  begin_stage(0);
}

void Conductor::begin_stage(size_t stage) {
  stage_ = stage;
  if (stage >= scenario_.stages.size()) return drain();
  // Several workers begin together, when the last has heard of it.
  const MonoNs began_ns = clock_.mono_ns() + (hands_.size() > 1 ? kStageLeadNs : 0);
  stage_began_ = static_cast<double>(began_ns - started_ns_) / 1e9;
  stages_.push_back({.name = scenario_.stages[stage].name, .began = stage_began_});
  for (const auto& hand : hands_) hand->begin_stage(stage, began_ns / 1000);
  for (Place& place : places_) place.steps_done = false;
}

void Conductor::end_stage(std::string trouble) {
  for (const auto& hand : hands_) hand->end_stage();
  stages_.back().ended = seconds();
  stages_.back().trouble = std::move(trouble);
  if (on_stage) on_stage(stages_.back());
}

void Conductor::tick() {
  gather();
  if (phase_ == Phase::playing || phase_ == Phase::draining) {
    for (const auto& hand : hands_) {
      if (!hand->trouble().empty()) return give_up(hand->trouble());
    }
  }
  const double now = seconds();
  switch (phase_) {
    case Phase::playing: {
      judge_early(now);
      if (phase_ != Phase::playing) break;
      std::string trouble;
      if (!stage_is_over(now, trouble)) break;
      const bool failed = !trouble.empty();
      end_stage(std::move(trouble));
      if (failed) {
        drain();
      } else {
        begin_stage(stage_ + 1);
      }
      break;
    }
    case Phase::draining:
      if (settled(now) ||
          (now - phase_began_) * 1e3 >= static_cast<double>(std::max(scenario_.drain_ms, kDrainMsMin))) {
        leave({});
      }
      break;
    case Phase::leaving:
      if (std::all_of(hands_.begin(), hands_.end(), [](const auto& hand) { return hand->gone(); }) ||
          now - phase_began_ > kLeaveSecondsMax) {
        finish();
      }
      break;
    case Phase::over:
      break;
  }
}

// What the workers have to say, to us and to one another.
void Conductor::gather() {
  const double now = seconds();
  for (size_t i = 0; i < hands_.size(); ++i) {
    auto letters = hands_[i]->take_letters();
    for (size_t to = 0; to < letters.size() && to < hands_.size(); ++to) {
      if (letters[to].empty()) continue;
      hands_[to]->deliver(letters[to]);
      letter_at_ = now;
    }
    auto report = hands_[i]->report();
    if (!report) continue;
    Place& place = places_[i];
    place.connected = std::move(report->connected);
    place.ready = std::move(report->ready);
    place.awaited = report->awaited;
    place.absent = report->awaited_by_absent;
    place.replies = report->replies_awaited;
    place.unsettled = report->unsettled;
    place.missing_by_stage = std::move(report->missing_by_stage);
    place.overdue_by_stage = std::move(report->overdue_by_stage);
    cpu_us_ += report->cpu_us;
    place.steps_done = report->steps_done && report->stage == stage_;
    for (const WorkerReport::StageTally& each : report->tallies) {
      second_.merge(each.tally);
      total_.merge(each.tally);
      if (each.stage < stages_.size()) stages_[each.stage].tally.merge(each.tally);
    }
    place.shares.swap(report->shares);
    tell_share_members(i, report->shares);
  }
  if (now >= second_ends_) close_second(now);
}

// Each of the others hears how many members there are beside its own.
void Conductor::tell_share_members(size_t worker, const std::vector<ShareMembers>& before) {
  const std::vector<ShareMembers>& now = places_[worker].shares;
  for (uint32_t share = 0; share < now.size(); ++share) {
    if (share < before.size() ? now[share] == before[share] : now[share] == ShareMembers{}) continue;
    for (size_t to = 0; to < hands_.size(); ++to) {
      if (to == worker) continue;
      ShareMembers elsewhere;
      for (size_t from = 0; from < places_.size(); ++from) {
        if (from != to && share < places_[from].shares.size())
          elsewhere = elsewhere + places_[from].shares[share];
      }
      hands_[to]->set_share_members(share, elsewhere);
    }
  }
}

void Conductor::close_second(double now) {
  Second second{.at = now, .stage = std::min(stage_, scenario_.stages.size())};
  for (const Place& place : places_) {
    for (const uint32_t n : place.connected) second.connected += n;
    for (const uint32_t n : place.ready) second.ready += n;
  }
  second.awaited = sum(&Place::awaited);
  second.overdue = sum(&Place::overdue_by_stage);
  second.tally = std::exchange(second_, {});
  second.generator_cpu_seconds = static_cast<double>(std::exchange(cpu_us_, 0)) / 1e6;
  series_.push_back(std::move(second));
  second_ends_ = std::max(second_ends_ + 1, now);
  if (on_second) on_second(series_.back(), *this);
}

uint64_t Conductor::sum(uint64_t Place::*member) const {
  uint64_t sum = 0;
  for (const Place& place : places_) sum += place.*member;
  return sum;
}

uint64_t Conductor::sum(std::vector<uint32_t> Place::*by_stage, std::optional<size_t> stage) const {
  uint64_t sum = 0;
  for (const Place& place : places_) {
    const std::vector<uint32_t>& counts = place.*by_stage;
    for (size_t s = 0; s < counts.size(); ++s) {
      if (!stage || *stage == s) sum += counts[s];
    }
  }
  return sum;
}

// Nothing is on its way any more: neither to the broker, nor from it, nor between workers.
bool Conductor::settled(double now) const {
  if (sum(&Place::awaited) + sum(&Place::replies) + sum(&Place::unsettled) > 0) return false;
  return hands_.size() == 1 || now - std::max(phase_began_, letter_at_) >= kHearsaySeconds;
}

std::pair<uint64_t, uint64_t> Conductor::ready_of(const Until& until) const {
  uint64_t ready = 0, all = 0;
  for (size_t g = 0; g < scenario_.groups.size(); ++g) {
    if (until.group && *until.group != g) continue;
    all += scenario_.groups[g].count;
    for (const Place& place : places_) ready += place.ready[g];
  }
  return {ready, all};
}

bool Conductor::holds(const Until& until) const {
  if (until.what == Until::What::drained) {
    return sum(&Place::awaited) == sum(&Place::absent) && sum(&Place::unsettled) == 0;
  }
  const auto [ready, all] = ready_of(until);
  return static_cast<double>(ready) >= until.share * static_cast<double>(all);
}

// How far it is from holding, in words.
std::string Conductor::shortfall(const Until& until) const {
  if (until.what == Until::What::drained) {
    return fmt::format("{} messages were unacknowledged, {} owed to connected clients had not arrived",
                       sum(&Place::unsettled), sum(&Place::awaited) - sum(&Place::absent));
  }
  const auto [ready, all] = ready_of(until);
  return fmt::format("{} of {} clients were connected and subscribed", ready, all);
}

bool Conductor::stage_is_over(double now, std::string& trouble) {
  const Stage& stage = scenario_.stages[stage_];
  const double spent_ms = (now - stage_began_) * 1e3;
  const bool steps_done =
      std::all_of(places_.begin(), places_.end(), [](const Place& p) { return p.steps_done; });
  if (stage.until) {
    // "All are connected" may only be said once they were asked to.
    if (holds(*stage.until) && (steps_done || stage.until->what == Until::What::connected)) return true;
    if (stage.timeout_ms && spent_ms >= static_cast<double>(*stage.timeout_ms)) {
      trouble = fmt::format("`until` did not hold within {:g} s: {}",
                            static_cast<double>(*stage.timeout_ms) / 1e3, shortfall(*stage.until));
      return true;
    }
    if (stage.duration_ms && spent_ms >= static_cast<double>(*stage.duration_ms)) return true;
    return false;
  }
  if (stage.duration_ms) return spent_ms >= static_cast<double>(*stage.duration_ms);
  return steps_done;
}

// What a threshold looks at: its stage, or everything; what is lost is known while it goes on.
Tally Conductor::judged(const Threshold& threshold) const {
  Tally tally;
  if (!threshold.stage) {
    tally = total_;
  } else if (*threshold.stage < stages_.size()) {
    tally = stages_[*threshold.stage].tally;
  }
  if (phase_ != Phase::over && phase_ != Phase::leaving) {
    tally[Count::delivery_lost] += sum(&Place::overdue_by_stage, threshold.stage);
  }
  return tally;
}

void Conductor::judge_early(double now) {
  for (size_t i = 0; i < scenario_.thresholds.size(); ++i) {
    const Threshold& threshold = scenario_.thresholds[i];
    if (!threshold.abort || (threshold.stage && *threshold.stage != stage_)) continue;
    const Tally tally = judged(threshold);
    if (!tally.has(threshold) || load::holds(threshold.comparison, tally.value(threshold), threshold.limit)) {
      broken_since_[i] = -1;
      continue;
    }
    if (broken_since_[i] < 0) broken_since_[i] = now;
    // Lost messages have had their grace before they count as lost.
    const bool grace_spent = threshold.metric == "delivery.lost" ||
                             (now - broken_since_[i]) * 1e3 >= static_cast<double>(threshold.grace_ms);
    if (!grace_spent) continue;
    end_stage(
        fmt::format("aborted: {} was {}", threshold.text, format_measure(threshold, tally.value(threshold))));
    return drain();
  }
}

void Conductor::drain() {
  phase_ = Phase::draining;
  phase_began_ = seconds();
}

void Conductor::leave(std::string trouble, bool overdue_only) {
  // What is still awaited by clients that are there is lost; in the stage in which it was due.
  const uint64_t awaited = sum(&Place::awaited), absent = std::min(awaited, sum(&Place::absent));
  const auto by_stage = overdue_only ? &Place::overdue_by_stage : &Place::missing_by_stage;
  const uint64_t lost = overdue_only ? sum(by_stage) : awaited - absent;
  total_[Count::delivery_lost] += lost;
  uint64_t left = lost;
  for (size_t s = 0; s < stages_.size(); ++s) {
    const uint64_t here = s + 1 == stages_.size() ? left : std::min(left, sum(by_stage, s));
    stages_[s].tally[Count::delivery_lost] += here;
    left -= here;
  }
  if (overdue_only && awaited > absent + lost) {
    result_.notes.push_back(
        fmt::format("{} messages were still on their way then; nobody can say whether they are lost",
                    awaited - absent - lost));
  }
  result_.lost_unknown = absent;
  result_.trouble = std::move(trouble);
  phase_ = Phase::leaving;
  phase_began_ = seconds();
  for (const auto& hand : hands_) hand->hang_up();
}

// Part of the clients is gone: what the others measure is another run than the one that was asked for.
void Conductor::give_up(const std::string& trouble) {
  if (phase_ == Phase::playing) end_stage("a worker was lost");
  result_.outcome = Outcome::invalid;
  leave("a worker was lost: " + trouble, true);
}

void Conductor::interrupt() {
  if (phase_ == Phase::leaving || phase_ == Phase::over) return;
  if (phase_ == Phase::playing && !stages_.empty()) end_stage("interrupted");
  result_.outcome = Outcome::interrupted;
  leave("this is what there was up to then", true);
}

void Conductor::finish() {
  for (const auto& hand : hands_) {
    for (std::string& each : hand->missing()) {
      if (total_[Count::delivery_lost] > 0 && result_.missing.size() < kMissingShown)
        result_.missing.push_back(std::move(each));
    }
  }
  close_second(seconds());
  phase_ = Phase::over;
  result_.seconds = seconds();
}

RunResult Conductor::result() const {
  RunResult result = result_;
  if (phase_ != Phase::over) result.seconds = seconds();
  result.stages = stages_;
  result.total = total_;
  result.series = series_;
  bool failed = false;
  for (const Threshold& threshold : scenario_.thresholds) {
    const Tally tally = judged(threshold);
    Verdict verdict{.stage = threshold.stage ? scenario_.stages[*threshold.stage].name : "all",
                    .condition = threshold.text};
    verdict.judged = tally.has(threshold) && (!threshold.stage || *threshold.stage < stages_.size());
    verdict.value = tally.value(threshold);
    verdict.held = verdict.judged && load::holds(threshold.comparison, verdict.value, threshold.limit);
    verdict.shown = verdict.judged ? format_measure(threshold, verdict.value) : "not measured";
    failed = failed || !verdict.held;
    result.verdicts.push_back(std::move(verdict));
  }
  for (const StageResult& stage : stages_) {
    if (stage.trouble.empty()) continue;
    failed = true;
    if (result.trouble.empty()) result.trouble = fmt::format("stage {}: {}", stage.name, stage.trouble);
  }
  if (result.outcome != Outcome::passed) return result;
  const double lag = total_[Latency::generator_lag].quantile(0.99);
  if (total_[Count::connect_ok] == 0 && total_[Count::connect_failed] > 0) {
    result.outcome = Outcome::unreachable;
    result.trouble =
        fmt::format("no connection to {} could be made",
                    scenario_.target.brokers.empty() ? "" : scenario_.target.brokers.front().text);
  } else if (lag * 1e3 > static_cast<double>(scenario_.lag_ms_max)) {
    result.outcome = Outcome::invalid;
    result.trouble = fmt::format(
        "this machine was too slow: every hundredth message left {:.0f} ms or more after it was due, and "
        "lag_max "
        "is {} ms; what was measured says nothing about the broker. Ask for less, or spread the load over "
        "more "
        "workers; a test that judges counts and no times may allow more lag",
        lag * 1e3, scenario_.lag_ms_max);
  } else {
    result.outcome = failed ? Outcome::failed : Outcome::passed;
  }
  return result;
}

}  // namespace courier::load
