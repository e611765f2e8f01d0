#include "relay/lanes.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"

namespace courier::relay {

Lanes::Lanes(const LaneRules& rules, const RequestMaker& maker, Format format, Hands& hands, uint64_t seed)
    : rules_(rules), maker_(maker), format_(format), hands_(hands), random_(seed), lanes_(rules.lanes) {}

// What has no key has no order.
size_t Lanes::lane_of(const Parcel& parcel) const {
  const kafka::Message& message = parcel.message;
  const size_t hash =
      message.has_key ? std::hash<std::string>()(message.key) : static_cast<size_t>(message.offset);
  return hash % lanes_.size();
}

void Lanes::offer(Parcel parcel) {
  Lane& lane = lanes_[lane_of(parcel)];
  parcel.number = ++last_number_;
  parcel.bytes = sizeof(Parcel) + parcel.message.bytes();
  ++events_;
  bytes_ += parcel.bytes;
  lane.waiting_bytes += parcel.bytes;
  lane.waiting.push_back(std::move(parcel));
}

std::optional<MonoNs> Lanes::due(const Lane& lane) const {
  if (stopping_) return std::nullopt;
  if (lane.state == State::pausing) return lane.due;
  if (lane.state != State::idle || lane.waiting.empty()) return std::nullopt;
  const Parcel& first = lane.waiting.front();
  const bool full = lane.waiting.size() >= maker_.batch_events_max() ||
                    lane.waiting_bytes >= rules_.batch_bytes_max || first.alone || !first.target;
  return full ? 0 : first.arrived_at + rules_.linger_ns;
}

std::optional<MonoNs> Lanes::due() const {
  std::optional<MonoNs> soonest;
  for (const Lane& lane : lanes_) {
    const auto at = due(lane);
    if (at && (!soonest || *at < *soonest)) soonest = at;
  }
  return soonest;
}

void Lanes::run(MonoNs now) {
  for (Lane& lane : lanes_) {
    while (const auto at = due(lane)) {
      if (*at > now) break;
      if (lane.state == State::idle) {
        begin(lane, now);
      } else if (lane.cause) {
        bury(lane, *std::exchange(lane.cause, std::nullopt), now);
      } else {
        send(lane);
      }
    }
  }
}

// Takes from the front what may go in one request.
void Lanes::begin(Lane& lane, MonoNs now) {
  const TargetPtr target = lane.waiting.front().target;
  const bool alone = lane.waiting.front().alone || !target;
  const size_t most = alone ? 1 : maker_.batch_events_max();
  size_t bytes = 0;
  while (!lane.waiting.empty() && lane.flight.size() < most) {
    Parcel& next = lane.waiting.front();
    if (!lane.flight.empty()) {
      if (next.alone || !next.target || (next.target != target && *next.target != *target)) break;
      if (bytes >= rules_.batch_bytes_max) break;
    }
    bytes += next.message.value.size();
    lane.waiting_bytes -= next.bytes;
    lane.flight.push_back(std::move(next));
    lane.waiting.pop_front();
  }
  lane.failures = 0;
  if (target) return send(lane);
  bury(lane, {"unfit", 0, lane.flight.front().unfit}, now);
}

// False, and the lane is idle: nothing of the flight is ours any more.
bool Lanes::keep_live(Lane& lane) {
  std::erase_if(lane.flight, [&](const Parcel& each) {
    if (hands_.is_live(*each.track)) return false;
    forget(each);
    return true;
  });
  if (lane.flight.empty()) leave(lane);
  return !lane.flight.empty();
}

// The flight from there on waits again.
void Lanes::put_back(Lane& lane, size_t from) {
  while (lane.flight.size() > from) {
    lane.waiting_bytes += lane.flight.back().bytes;
    lane.waiting.push_front(std::move(lane.flight.back()));
    lane.flight.pop_back();
  }
}

void Lanes::send(Lane& lane) {
  if (!keep_live(lane)) return;
  std::string body;
  size_t count = 0;
  for (const Parcel& each : lane.flight) {
    const auto event = Event::read(each.message, format_);
    CHECK(event);
    if (!maker_.append(body, each.message, *event)) break;
    ++count;
  }
  put_back(lane, count);  // as JSON they are larger than they came
  lane.state = State::sending;
  hands_.send(number_of(lane), maker_.request(*lane.flight.front().target, std::move(body)));
}

void Lanes::answered(size_t number, const Outcome& outcome, MonoNs now) {
  Lane& lane = lanes_[number];
  CHECK(lane.state == State::sending);
  switch (outcome.verdict) {
    case Verdict::taken:
      return leave(lane);
    case Verdict::retry:
      if (rules_.attempts > 0 && lane.failures + 1 >= rules_.attempts && rules_.may_bury)
        return bury(lane, {"tried", outcome.status, outcome.why}, now);
      return pause(lane, outcome, now);
    case Verdict::refused:
      break;
  }
  if (lane.flight.size() == 1) {
    if (rules_.may_bury) return bury(lane, {"refused", outcome.status, outcome.why}, now);
    Outcome again = outcome;
    again.reason = "refused";
    return pause(lane, again, now);
  }
  for (Parcel& each : lane.flight) each.alone = true;
  put_back(lane, 0);
  lane.state = State::idle;
}

// All at once: Kafka's producer keeps their order.
void Lanes::bury(Lane& lane, Cause cause, MonoNs now) {
  if (!keep_live(lane)) return;
  lane.cause = std::move(cause);
  if (!rules_.may_bury)
    return pause(lane, {.verdict = Verdict::retry, .reason = "refused", .why = lane.cause->why}, now);
  lane.state = State::burying;
  lane.unburied = lane.flight.size();
  for (const Parcel& each : lane.flight) hands_.bury(number_of(lane), each, *lane.cause);
}

void Lanes::buried(size_t number, uint64_t parcel, const Result<void>& done, MonoNs now) {
  Lane& lane = lanes_[number];
  CHECK(lane.state == State::burying && lane.unburied > 0);
  --lane.unburied;
  if (done) {
    const auto place = std::ranges::lower_bound(lane.flight, parcel, {}, &Parcel::number);
    CHECK(place != lane.flight.end() && place->number == parcel);
    hands_.finished(*place, &*lane.cause);
    forget(*place);
    place->left = true;
  } else {
    lane.trouble = done.error().message;
  }
  if (lane.unburied > 0) return;
  std::erase_if(lane.flight, [](const Parcel& each) { return each.left; });
  if (lane.flight.empty()) return leave(lane);
  pause(lane, {.verdict = Verdict::retry, .reason = "dead_letter", .why = lane.trouble}, now);
}

// Twice as long each time, less up to a half by chance, so that lanes do not come back together.
void Lanes::pause(Lane& lane, const Outcome& outcome, MonoNs now) {
  const MonoNs grown = lane.failures >= 30
                           ? rules_.retry_max_ns
                           : std::min(rules_.retry_max_ns, rules_.retry_first_ns << lane.failures);
  const MonoNs wait = std::max(std::uniform_int_distribution<MonoNs>(grown / 2, grown)(random_),
                               std::min(outcome.wait_ms * kNsPerMs, rules_.retry_max_ns));
  ++lane.failures;
  lane.state = State::pausing;
  lane.due = now + wait;
  hands_.retrying(number_of(lane), outcome, wait);
}

void Lanes::leave(Lane& lane) {
  for (const Parcel& each : lane.flight) {
    hands_.finished(each, nullptr);
    forget(each);
  }
  lane.flight.clear();
  lane.cause.reset();
  lane.state = State::idle;
}

void Lanes::forget(const Parcel& parcel) {
  --events_;
  bytes_ -= parcel.bytes;
}

void Lanes::drop() {
  for (Lane& lane : lanes_) {
    std::erase_if(lane.waiting, [&](const Parcel& each) {
      if (hands_.is_live(*each.track)) return false;
      lane.waiting_bytes -= each.bytes;
      forget(each);
      return true;
    });
  }
}

size_t Lanes::under_way() const {
  return static_cast<size_t>(std::ranges::count_if(
      lanes_, [](const Lane& lane) { return lane.state == State::sending || lane.state == State::burying; }));
}

}  // namespace courier::relay
