#include "load/worker.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "base/check.h"
#include "load/errc.h"
#include "load/limits.h"
#include "load/sources.h"

namespace courier::load {

namespace {

constexpr double kNeverUs = std::numeric_limits<double>::infinity();
constexpr double kWaitUsMax = 1e12;
constexpr int64_t kTurnUs = 1'000;  // between two that something that is not late begins

// All its addresses as one server's: a client tries them in turn.
Result<std::shared_ptr<const client::Endpoint>> endpoint_of(const Broker& broker) {
  client::Endpoint all{.name = broker.text, .addresses = {}};
  for (const Broker::Address& each : broker.addresses) {
    auto endpoint = client::Endpoint::resolve(each.host, each.port);
    if (!endpoint || broker.addresses.size() == 1) return endpoint;
    std::ranges::copy((*endpoint)->addresses, std::back_inserter(all.addresses));
  }
  return std::make_shared<const client::Endpoint>(std::move(all));
}

// Whether somebody listens there: before thousands of clients find out.
Result<void> knock(const client::Endpoint& endpoint) {
  Result<void> outcome = fail(errc::unreachable, fmt::format("{} has no address", endpoint.name));
  for (const net::SocketAddress& address : endpoint.addresses) {
    auto socket = net::connect_start(address);
    if (!socket) {
      outcome = fail(errc::unreachable, std::move(socket.error().message));
      continue;
    }
    pollfd waited{.fd = socket->get(), .events = POLLOUT, .revents = 0};
    if (::poll(&waited, 1, kKnockMs) == 0) {
      outcome = fail(errc::unreachable,
                     fmt::format("{} did not answer within {} s", address.to_string(), kKnockMs / 1000));
      continue;
    }
    auto connected = net::connect_outcome(socket->get(), address);
    if (connected) return {};
    outcome = fail(errc::unreachable, std::move(connected.error().message));
  }
  return outcome;
}

int64_t process_cpu_us() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return spent.tv_sec * 1'000'000 + spent.tv_nsec / 1000;
}

}  // namespace

Worker::Worker(const Scenario& scenario, Part part, client::ClientLoop& loop)
    : scenario_(scenario),
      part_(part),
      loop_(loop),
      clock_(system_clock()),
      audience_(scenario),
      players_((audience_.clients() + part.count - 1 - part.index) / part.count),
      groups_(scenario.groups.size()),
      ledger_(players_.size() + audience_.shares()),
      connected_(scenario.groups.size()),
      ready_(scenario.groups.size()),
      shares_here_(audience_.shares()),
      shares_elsewhere_(audience_.shares()),
      letters_(part.count),
      timer_([this] { tick(); }),
      cpu_us_(process_cpu_us()) {
  std::vector<int64_t> lingers_us(scenario.groups.size(), kUnacknowledgedUs);
  for (const Stage& stage : scenario.stages) {
    for (const Step& step : stage.steps) {
      const auto* flap = std::get_if<FlapStep>(&step.what);
      if (flap == nullptr ||
          std::find(flap->how.begin(), flap->how.end(), FlapHow::silent) == flap->how.end())
        continue;
      // The server hears of it by the keep alive, if it does.
      const int64_t seconds = scenario.groups[flap->group].mqtt.keep_alive_seconds;
      const int64_t noticed_us = seconds > 0 ? seconds * 1'500'000 : kDurationMsMax * 1000;
      lingers_us[flap->group] = std::max(lingers_us[flap->group], noticed_us);
    }
  }
  std::vector<Ledger::Terms> share_terms(audience_.shares(), {.ordered = false});
  for (size_t g = 0; g < scenario.groups.size(); ++g) {
    const MqttOptions& mqtt = scenario.groups[g].mqtt;
    for (size_t s = 0; s < scenario.groups[g].subscribe.size(); ++s) {
      const uint32_t share = audience_.share_of(g, s);
      if (share == Audience::Receivers::kNoShare) continue;
      share_terms[share].stored |= mqtt.stored();
      share_terms[share].members_end |= !mqtt.stored() || mqtt.expires();
      share_terms[share].lingers_us = std::max(share_terms[share].lingers_us, lingers_us[g]);
    }
  }
  for (uint32_t local = 0; local < players_.size(); ++local) {
    const auto member = audience_.member(number_of(local));
    groups_[member.group].locals.push_back(local);
    ledger_.set_terms(local, {.stored = scenario.groups[member.group].mqtt.stored(), .ordered = true});
  }
  for (uint32_t share = 0; share < audience_.shares(); ++share) {
    ledger_.set_terms(share_receiver(share), share_terms[share]);
  }
}

Worker::~Worker() {
  loop_.cancel(timer_);
}

Result<std::unique_ptr<Worker>> Worker::make(const Scenario& scenario, Part part, client::ClientLoop& loop,
                                             const TransportSource& transports) {
  std::unique_ptr<Worker> worker(new Worker(scenario, part, loop));
  for (const Broker& broker : scenario.target.brokers) {
    auto endpoint = endpoint_of(broker);
    if (!endpoint) return fail(errc::unreachable, std::move(endpoint.error().message));
    if (part.index == 0) {
      if (auto there = knock(**endpoint); !there) return fail(std::move(there.error()));
    }
    worker->endpoints_.push_back(std::move(*endpoint));
    auto transport = broker.scheme == client::Scheme::mqtt ? client::TransportMaker()
                                                           : transports(broker, scenario.target.tls);
    if (!transport) {
      return fail(errc::invalid_scenario, fmt::format("{}: {}", broker.text, transport.error().message));
    }
    worker->transports_.push_back(*std::move(transport));
  }
  auto sources = parse_sources(scenario.target.sources);
  if (!sources) return fail(std::move(sources.error()));
  worker->sources_ = std::move(*sources);
  for (const Group& group : scenario.groups) {
    if (!group.jwt) continue;
    const char* key = std::getenv(group.jwt->key_env.c_str());
    if (key == nullptr || *key == '\0') {
      return fail(errc::invalid_scenario,
                  fmt::format("the key of group \"{}\" is not there: set the environment variable {}",
                              group.name, group.jwt->key_env));
    }
    auto secret = jose::Key::secret(key);
    if (!secret) return fail(errc::invalid_scenario, secret.error().within(group.jwt->key_env).message);
    worker->keys_.try_emplace(group.jwt->key_env, std::move(*secret));
  }
  return worker;
}

// --- the stage ---

Tally& Worker::tally(int64_t due_us) {
  const auto after = std::upper_bound(stages_began_us_.rbegin(), stages_began_us_.rend(), due_us,
                                      [](int64_t due, int64_t began) { return due >= began; });
  const auto stage = static_cast<uint32_t>(std::max<ptrdiff_t>(stages_began_us_.rend() - after, 1) - 1);
  for (WorkerReport::StageTally& each : tallies_) {
    if (each.stage == stage) return each.tally;
  }
  return tallies_.emplace_back(WorkerReport::StageTally{.stage = stage, .tally = {}}).tally;
}

void Worker::begin_stage(size_t stage, int64_t began_us) {
  stage_ = stage;
  plans_.clear();
  publishing_.clear();
  flapping_ = false;
  const int64_t now = began_us;
  stages_began_us_.resize(stage + 1, now);
  const uint64_t seed = derived(scenario_.seed, stage, 100);
  uint64_t place = 0;
  for (const Step& step : scenario_.stages[stage].steps) {
    ++place;
    if (const auto* connect = std::get_if<ConnectStep>(&step.what)) {
      Plan plan;
      uint64_t all = 0, rank = 0;
      for (const size_t g : connect->groups) all += scenario_.groups[g].count;
      for (const size_t g : connect->groups) {
        for (const uint32_t local : groups_[g].locals) {
          if (players_[local].wanted) continue;
          const uint64_t at = rank + audience_.member(number_of(local)).number;
          plan.when.push_back(
              {static_cast<double>(now) + connect_time_ms(*connect, at, all, seed + place) * 1e3, local});
        }
        rank += scenario_.groups[g].count;
      }
      // So that the groups come together and not one after the other.
      if (connect->groups.size() > 1 && connect->shape != Shape::poisson) {
        for (size_t i = 0; i < plan.when.size(); ++i) {
          const auto member = audience_.member(number_of(plan.when[i].local));
          const uint64_t count = scenario_.groups[member.group].count;
          plan.when[i].at_us =
              static_cast<double>(now) + connect_time_ms(*connect, member.number, count, seed + place) * 1e3;
        }
      }
      std::stable_sort(plan.when.begin(), plan.when.end());
      plans_.push_back(std::move(plan));
    } else if (const auto* disconnect = std::get_if<DisconnectStep>(&step.what)) {
      Plan plan;
      plan.connects = false;
      const ConnectStep evenly{.groups = {}, .over_ms = disconnect->over_ms, .shape = Shape::linear};
      for (const size_t g : disconnect->groups) {
        for (const uint32_t local : groups_[g].locals) {
          const auto member = audience_.member(number_of(local));
          if (derived_part(seed + place, number_of(local)) >= disconnect->share) continue;
          plan.when.push_back({static_cast<double>(now) +
                                   connect_time_ms(evenly, member.number, scenario_.groups[g].count, 0) * 1e3,
                               local});
        }
      }
      std::stable_sort(plan.when.begin(), plan.when.end());
      plans_.push_back(std::move(plan));
    } else if (const auto* publish = std::get_if<PublishStep>(&step.what)) {
      const GroupPart& group = groups_[publish->group];
      if (group.locals.empty()) continue;
      Publishing publishing;
      publishing.step = publish;
      publishing.started_us = static_cast<double>(now);
      publishing.share = static_cast<double>(group.locals.size()) /
                         static_cast<double>(scenario_.groups[publish->group].count);
      publishing.first = static_cast<double>(part_.index + 1) / part_.count;
      if (publish->count) {
        const uint64_t first = audience_.first_of(publish->group);
        const uint64_t all = scenario_.groups[publish->group].count;
        uint64_t before = 0;  // of the group's clients, those of the workers before this one
        for (uint32_t worker = 0; worker < part_.index; ++worker) {
          const uint64_t rest = part_.count - 1 - worker;
          before += (first + all + rest) / part_.count - (first + rest) / part_.count;
        }
        publishing.sent_max = part_of_count(*publish->count, before, group.locals.size(), all);
        publishing.done = publishing.sent_max == 0;
      }
      if (publish->pick) {
        publishing.picker.emplace(*publish->pick, scenario_.groups[publish->pick->group].count, seed + place,
                                  part_.index, part_.count);
      }
      const size_t size = publish->payload.size_bytes.value_or(publish->payload.text.empty() ? 64 : 0);
      publishing.payload.assign(size, 'x');
      publishing_.push_back(std::move(publishing));
    } else if (const auto* flap = std::get_if<FlapStep>(&step.what)) {
      flapping_ = true;
      for (const uint32_t local : groups_[flap->group].locals) {
        if (derived_part(seed + place, number_of(local)) >= flap->share) continue;
        Player& player = players_[local];
        player.flaps = true;
        player.flap = flap;
        const auto span = static_cast<double>(flap->up.to_ms - flap->up.from_ms);
        const double wait =
            static_cast<double>(flap->up.from_ms) + span * derived_part(seed + place, number_of(local), 1);
        appointments_.push({.at_us = now + static_cast<int64_t>(wait * 1e3),
                            .local = local,
                            .what = Appointment::What::flap_down,
                            .stage = stage});
      }
    }
  }
  arm(now_us());
}

void Worker::end_stage() {
  const int64_t now = now_us();
  tidy_ledger(now);
  // How many messages were due before now, by a millisecond at least, and have not been looked at.
  const auto left_behind = [&](const Publishing& p) -> uint64_t {
    if (p.done) return 0;
    const double due = p.step->rate.events_until((static_cast<double>(now) - p.started_us) / 1e6 - 0.001);
    const double of_ours = std::min(std::floor(due * p.share - p.first) + 1, static_cast<double>(p.sent_max));
    return of_ours <= static_cast<double>(p.sent) ? 0 : static_cast<uint64_t>(of_ours) - p.sent;
  };
  for (Publishing& publishing : publishing_) {
    // What is due goes out still; what was due and is too much for that is not passed over in silence.
    run_publishing(publishing, now);
    tally(now)[Count::publish_unsent] += left_behind(publishing);
  }
  publishing_.clear();
  plans_.clear();
  flapping_ = false;
  for (uint32_t local = 0; local < players_.size(); ++local) {
    Player& player = players_[local];
    if (!player.flaps) continue;
    player.flaps = false;
    if (player.down && player.wanted) come(local, now);
    player.down = false;
  }
}

void Worker::hang_up() {
  end_stage();
  hanging_up_ = true;
  // The books are closed: what is acknowledged from now on is promised to nobody.
  for (const auto& [key, published] : published_) ++tally(published.due_us)[Count::publish_unanswered];
  published_.clear();
  unacknowledged_.clear();
  for (const auto& [key, awaited] : replies_) {
    if (awaited.until_us <= now_us()) ++tally(awaited.due_us)[Count::reply_missing];
  }
  replies_.clear();
  tidy_ledger(now_us());
  for (Player& player : players_) {
    player.wanted = false;
    if (!player.client || player.client->state() == client::Client::State::closed) continue;
    ++leaving_;
    player.client->close();
  }
}

// --- time ---

void Worker::tick() {
  const int64_t now = ticked_us_ = now_us();
  run_plans(now);
  for (Publishing& publishing : publishing_) run_publishing(publishing, now);
  keep_appointments(now);
  settle_unacknowledged(now);
  settle_replies(now);
  arm(now_us());
}

void Worker::arm(int64_t now) {
  double next = kNeverUs;
  for (const Plan& plan : plans_) {
    if (plan.next < plan.when.size()) next = std::min(next, plan.when[plan.next].at_us);
  }
  for (const Publishing& publishing : publishing_) {
    if (publishing.done) continue;
    const double n = (static_cast<double>(publishing.sent) + publishing.first) / publishing.share;
    next = std::min(next, publishing.started_us + publishing.step->rate.time_of(n) * 1e6);
  }
  if (!appointments_.empty()) next = std::min(next, static_cast<double>(appointments_.top().at_us));
  if (!unacknowledged_.empty()) next = std::min(next, static_cast<double>(unacknowledged_.front().at_us));
  if (!reply_deadlines_.empty()) {
    const int64_t later = part_.count > 1 ? kLetterDelayUs : 0;
    next = std::min(next, static_cast<double>(reply_deadlines_.front().first + later));
  }
  if (next == kNeverUs) return loop_.cancel(timer_);
  double wait_us = std::clamp(next - static_cast<double>(now), 0.0, kWaitUsMax);
  // A crowd shares turns: to wake for each would take from the broker beside us what we mean to measure.
  if (wait_us > 0) wait_us = std::max(wait_us, static_cast<double>(ticked_us_ + kTurnUs - now));
  loop_.arm_at(timer_, clock_.mono_ns() + static_cast<MonoNs>(wait_us * 1e3));
}

void Worker::run_plans(int64_t now) {
  // A turn does not take for ever: sockets want to be read too.
  size_t left = kConnectsPerTurn;
  for (Plan& plan : plans_) {
    for (; plan.next < plan.when.size() && left > 0; ++plan.next, --left) {
      const Planned& planned = plan.when[plan.next];
      if (planned.at_us > static_cast<double>(now)) break;
      const auto due = static_cast<int64_t>(planned.at_us);
      if (plan.connects) {
        tally(due)[Latency::generator_lag].record((now - due) * 1000);
        come(planned.local, due);
      } else if (players_[planned.local].wanted) {
        players_[planned.local].wanted = false;
        leave(planned.local, FlapHow::disconnect);
      }
    }
  }
}

// Sends what is due; false when there was too much for one turn.
bool Worker::run_publishing(Publishing& p, int64_t now) {
  const PublishStep& step = *p.step;
  const GroupPart& group = groups_[step.group];
  for (size_t left = kMessagesPerTurn; !p.done && left > 0; --left) {
    const double n = (static_cast<double>(p.sent) + p.first) / p.share;
    if (p.sent >= p.sent_max) {
      p.done = true;
      break;
    }
    const double at = p.started_us + step.rate.time_of(n) * 1e6;
    if (at == kNeverUs) p.done = true;
    if (at > static_cast<double>(now)) return true;
    ++p.sent;
    // The next of the group that is there.
    std::optional<uint32_t> publisher;
    const size_t tries = std::min<size_t>(group.locals.size(), kPublisherTries);
    for (size_t i = 0; i < tries && !publisher; ++i) {
      const uint32_t local = group.locals[p.turn++ % group.locals.size()];
      if (players_[local].ready && players_[local].client->unfinished() < kUnansweredMax) publisher = local;
    }
    const uint64_t pick = p.picker ? p.picker->next() : 0;
    const auto due = static_cast<int64_t>(at);
    if (!publisher) {
      ++tally(due)[Count::publish_unsent];
      continue;
    }
    tally(due)[Latency::generator_lag].record((now_us() - due) * 1000);
    const uint32_t number = audience_.member(number_of(*publisher)).number;
    const TextTemplate::Values values{.number = number, .pick = pick, .sequence = p.sent};
    if (!send(*publisher, step.topic, step.payload.text, p.payload, step.qos, step.retain, values, due))
      continue;
    if (step.expect_reply && last_id_) {
      ++tally(due)[Count::reply_expected];
      const int64_t until = due + step.expect_reply->within_ms * 1000;
      const uint64_t key = reply_key(*last_id_);
      replies_[key] = {due, until};
      const auto place =
          std::upper_bound(reply_deadlines_.begin(), reply_deadlines_.end(), std::pair{until, UINT64_MAX});
      reply_deadlines_.insert(place, {until, key});
    }
  }
  return p.done;
}

void Worker::keep_appointments(int64_t now) {
  while (!appointments_.empty() && appointments_.top().at_us <= now) {
    const Appointment appointment = appointments_.top();
    appointments_.pop();
    Player& player = players_[appointment.local];
    switch (appointment.what) {
      case Appointment::What::flap_down:
      case Appointment::What::flap_up: {
        if (!player.flaps || !player.wanted || appointment.stage != stage_) break;
        const bool down = appointment.what == Appointment::What::flap_down;
        const FlapStep& flap = *player.flap;
        const uint64_t draw =
            derived(scenario_.seed, number_of(appointment.local), 1'000 + player.connections * 2 + down);
        if (down) {
          player.down = true;
          const FlapHow how = flap.how.empty() ? FlapHow::tcp_reset : flap.how[draw % flap.how.size()];
          leave(appointment.local, how);
        } else {
          player.down = false;
          come(appointment.local, appointment.at_us);
        }
        const DurationRange& range = down ? flap.down : flap.up;
        const auto span = static_cast<uint64_t>(range.to_ms - range.from_ms) + 1;
        appointments_.push(
            {.at_us = appointment.at_us + (range.from_ms + static_cast<int64_t>((draw >> 8) % span)) * 1000,
             .local = appointment.local,
             .what = down ? Appointment::What::flap_up : Appointment::What::flap_down,
             .stage = stage_});
        break;
      }
      case Appointment::What::read_on:
        if (player.client && player.connections == appointment.connection) player.client->set_reading(true);
        break;
      case Appointment::What::answer: {
        const auto member = audience_.member(number_of(appointment.local));
        const Reaction& reaction = scenario_.groups[member.group].on_message[appointment.reaction];
        if (!player.ready) {
          ++tally(appointment.at_us)[Count::publish_unsent];
          break;
        }
        const TextTemplate::Values values{.number = member.number,
                                          .message_publisher = appointment.message_publisher,
                                          .message_id = appointment.message_id};
        const std::string filler(reaction.payload.size_bytes.value_or(reaction.payload.text.empty() ? 64 : 0),
                                 'x');
        send(appointment.local, reaction.topic, reaction.payload.text, filler, reaction.qos, false, values,
             appointment.at_us);
        break;
      }
    }
  }
}

void Worker::settle_unacknowledged(int64_t now) {
  while (!unacknowledged_.empty() && unacknowledged_.front().at_us <= now) {
    const Unacknowledged& front = unacknowledged_.front();
    const Player& player = players_[front.local];
    if (player.ready && player.connections == front.connection) promise(front.published);
    unacknowledged_.pop_front();
  }
}

void Worker::settle_replies(int64_t now) {
  // A reply that another worker's client got in time is heard of later.
  const int64_t settled = part_.count > 1 ? now - kLetterDelayUs : now;
  while (!reply_deadlines_.empty() && reply_deadlines_.front().first <= settled) {
    if (const auto late = replies_.find(reply_deadlines_.front().second); late != replies_.end()) {
      ++tally(late->second.due_us)[Count::reply_missing];
      replies_.erase(late);
    }
    reply_deadlines_.pop_front();
  }
}

void Worker::tidy_ledger(int64_t now) {
  tidied_us_ = now;
  for (const int64_t due_us : ledger_.tidy(now - kEarlyKeptUs)) ++tally(due_us)[Count::delivery_excused];
}

// --- what others hear ---

WorkerReport Worker::report() {
  const int64_t now = now_us();
  WorkerReport report;
  report.stage = static_cast<uint32_t>(stage_);
  report.connected = connected_;
  report.ready = ready_;
  report.awaited = ledger_.awaited();
  // These walk through all that is awaited.
  if (now - looked_back_us_ >= kLookBackEveryUs || report.awaited < kAwaitedFew) {
    looked_back_us_ = now;
    awaited_by_absent_ = ledger_.awaited_by_absent();
    overdue_by_stage_ = ledger_.overdue(now - part_.overdue_ms * 1000, stages_began_us_);
    missing_by_stage_ = ledger_.awaited_by_present(stages_began_us_);
  }
  report.awaited_by_absent = std::min<uint64_t>(awaited_by_absent_, report.awaited);
  report.steps_done = !flapping_ && std::all_of(plans_.begin(), plans_.end(), [](const Plan& plan) {
    return plan.next == plan.when.size();
  }) && std::all_of(publishing_.begin(), publishing_.end(), [](const Publishing& publishing) {
    return publishing.done;
  });
  report.missing_by_stage = missing_by_stage_;
  report.overdue_by_stage = overdue_by_stage_;
  report.replies_awaited = replies_.size();
  report.unsettled = published_.size() + unacknowledged_.size();
  const int64_t cpu_us = process_cpu_us();
  report.cpu_us = cpu_us - std::exchange(cpu_us_, cpu_us);
  report.shares = shares_here_;
  if (now - tidied_us_ > kTidyEveryUs) tidy_ledger(now);
  report.tallies = std::exchange(tallies_, {});
  return report;
}

std::vector<Letters> Worker::take_letters() {
  std::vector<Letters> out(part_.count);
  out.swap(letters_);
  return out;
}

void Worker::deliver(const Letters& letters) {
  for (const Letters::PromiseOf& p : letters.promises) {
    if (worker_of(p.client) != part_.index || local_of(p.client) >= players_.size()) continue;
    promise_here(local_of(p.client), p.id, p.qos, p.sent_us);
  }
  for (const Letters::ShareArrival& a : letters.arrivals) {
    if (a.share < audience_.shares())
      note(ledger_.arrived(share_receiver(a.share), a.id, a.at_us), a.id, a.at_us);
  }
  for (const Letters::Reply& reply : letters.replies) replied(reply.id, reply.at_us);
}

// Who holds a shared subscription has changed, here or elsewhere.
void Worker::share_changed(uint32_t share, const ShareMembers& before, const ShareMembers& now) {
  const uint32_t receiver = share_receiver(share);
  if (now.emptied != before.emptied || now.now == 0) {
    ledger_.gone(receiver);
  } else if (now.departures != before.departures) {
    ledger_.member_left(receiver, now_us());
  }
  if (now.expired != before.expired) ledger_.session_ended(receiver);
  if (now.now > 0) ledger_.subscribed(receiver, now_us());
}

void Worker::set_share_members(uint32_t share, const ShareMembers& elsewhere) {
  if (share >= shares_elsewhere_.size()) return;
  const ShareMembers before = shares_here_[share] + shares_elsewhere_[share];
  shares_elsewhere_[share] = elsewhere;
  share_changed(share, before, shares_here_[share] + elsewhere);
}

// It was away for longer than its session was to be kept, and is kept no longer.
void Worker::session_expired(uint32_t local) {
  ledger_.session_ended(local);
  const size_t group = audience_.member(number_of(local)).group;
  for (size_t s = 0; s < scenario_.groups[group].subscribe.size(); ++s) {
    const uint32_t share = audience_.share_of(group, s);
    if (share == Audience::Receivers::kNoShare) continue;
    const ShareMembers before = shares_here_[share] + shares_elsewhere_[share];
    if (before.now > 0) continue;  // the others have what it was to get
    ++shares_here_[share].expired;
    share_changed(share, before, shares_here_[share] + shares_elsewhere_[share]);
  }
}

// A client comes to its shared subscriptions, or leaves them.
void Worker::count_members(uint32_t local, bool comes) {
  const size_t group = audience_.member(number_of(local)).group;
  for (size_t s = 0; s < scenario_.groups[group].subscribe.size(); ++s) {
    const uint32_t share = audience_.share_of(group, s);
    if (share == Audience::Receivers::kNoShare) continue;
    ShareMembers& here = shares_here_[share];
    const ShareMembers before = here + shares_elsewhere_[share];
    if (comes) {
      ++here.now;
    } else {
      --here.now;
      ++here.departures;
      if (here.now + shares_elsewhere_[share].now == 0) ++here.emptied;
    }
    share_changed(share, before, here + shares_elsewhere_[share]);
  }
}

std::vector<std::string> Worker::describe_missing(size_t count) const {
  std::vector<std::string> out;
  for (const Ledger::Missing& each : ledger_.missing(count)) {
    std::string receiver;
    if (each.receiver >= players_.size()) {
      receiver = audience_.share_name(each.receiver - static_cast<uint32_t>(players_.size()));
    } else {
      const auto member = audience_.member(number_of(each.receiver));
      receiver = scenario_.groups[member.group].client_id.fill({.number = member.number});
    }
    const auto publisher = audience_.member(each.id.publisher);
    out.push_back(
        fmt::format("{} did not get message {} of {}", receiver, each.id.sequence,
                    scenario_.groups[publisher.group].client_id.fill({.number = publisher.number})));
  }
  return out;
}

}  // namespace courier::load
