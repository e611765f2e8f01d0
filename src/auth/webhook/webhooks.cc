#include "auth/webhook/webhooks.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "auth/webhook/errc.h"
#include "auth/webhook/limits.h"
#include "base/log.h"
#include "http/cache_control.h"
#include "http/errc.h"

namespace courier::auth::webhook {

namespace {

log::Limit failure_lines{{.per_second = 5}};

// In the order of Webhooks::End.
constexpr std::array<std::string_view, 11> kEndNames = {
    "ok",      "refused",     "next",         "bad_modifier", "not_json", "status",
    "timeout", "unreachable", "circuit_open", "queue_full",   "cancelled"};

// "Nothing is to be changed", for a hook's kind of question.
Changes no_changes(const Question& question) {
  struct Of {
    Changes operator()(const RegisterQuestion&) const { return RegisterChanges{}; }
    Changes operator()(const PublishQuestion&) const { return PublishChanges{}; }
    Changes operator()(const SubscribeQuestion&) const { return SubscribeChanges{}; }
    Changes operator()(const UnsubscribeQuestion&) const { return UnsubscribeChanges{}; }
    Changes operator()(const DeliverQuestion&) const { return DeliverChanges{}; }
    Changes operator()(const AuthQuestion&) const { return AuthChanges{}; }
  };
  return std::visit(Of{}, question);
}

// What a client is told when nobody could be asked: a CONNACK can say that it may be better later.
mqtt::ReasonCode failure_reason(Hook hook) {
  switch (hook) {
    case Hook::auth_on_register:
    case Hook::auth_on_register_m5:
    case Hook::on_auth_m5:
      return mqtt::ReasonCode::server_unavailable;
    case Hook::auth_on_publish:
    case Hook::auth_on_publish_m5:
    case Hook::auth_on_subscribe:
    case Hook::auth_on_subscribe_m5:
    case Hook::on_unsubscribe:
    case Hook::on_unsubscribe_m5:
    case Hook::on_deliver:
    case Hook::on_deliver_m5:
      return mqtt::ReasonCode::implementation_specific_error;
  }
  return mqtt::ReasonCode::implementation_specific_error;
}

// Whether something else than hooks may still decide when no endpoint did: the next authenticator.
bool others_may_decide(Hook hook) {
  return hook == Hook::auth_on_register || hook == Hook::auth_on_register_m5;
}

bool is_our_failure(int status) {
  return status < 400 || status >= 500 || status == 408 || status == 429;
}

bool is_open(const CircuitBreaker& breaker) {
  return breaker.state() != CircuitBreaker::State::closed;
}

std::string text_of(const jose::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

struct Webhooks::Asking {
  Question question;
  Hook hook{};
  std::function<void(Reply, bool failed)> done;
  size_t step = 0;           // of whoever moves it on: one thread at a time
  Flight* flight = nullptr;  // guarded by mutex_: what it waits for, and is among the waiters of
  bool ended = false;        // guarded by mutex_
};

struct Webhooks::Endpoint {
  Endpoint(const HookOptions& hook, const Options& options)
      : url(hook.endpoint),
        ca_file(hook.ca_file),
        certificate_file(hook.certificate_file),
        key_file(hook.key_file),
        shown_url(http::without_secrets(url)),
        breaker(options.circuit_failures, options.circuit_open_ms * kNsPerMs) {}

  bool is_of(const HookOptions& hook) const {
    return url == hook.endpoint && ca_file == hook.ca_file && certificate_file == hook.certificate_file &&
           key_file == hook.key_file;
  }

  const std::string url, ca_file, certificate_file, key_file, shown_url;
  CircuitBreaker breaker;                    // guarded by mutex_
  uint32_t running = 0;                      // guarded by mutex_
  std::list<std::shared_ptr<Flight>> queue;  // guarded by mutex_
};

// One endpoint of one hook.
struct Webhooks::Step {
  Step(const HookOptions& hook, Endpoint& place, Registry& registry)
      : options(hook),
        endpoint(place),
        seconds(registry.histogram("courier_hook_seconds", "How long endpoints of hooks take to answer",
                                   {{"hook", std::string(name(hook.name))}})),
        remembered(registry.counter("courier_hook_cache_hits_total",
                                    "Questions of hooks that a remembered answer answered",
                                    {{"hook", std::string(name(hook.name))}})),
        joined(registry.counter("courier_hook_coalesced_total",
                                "Questions of hooks that waited for the answer to the same one",
                                {{"hook", std::string(name(hook.name))}})) {
    for (const std::string_view end : kEndNames) {
      ends.push_back(&registry.counter(
          "courier_hook_requests_total", "Questions of hooks to their endpoints, by how they ended",
          {{"hook", std::string(name(hook.name))}, {"result", std::string(end)}}));
    }
  }
  void count(End end) const { ends[static_cast<size_t>(end)]->add(1); }

  const HookOptions options;
  Endpoint& endpoint;
  Histogram& seconds;
  Counter& remembered;
  Counter& joined;
  std::vector<Counter*> ends;
};

// One request, and who waits for it.
struct Webhooks::Flight {
  Flight(const Step& of, Asked asker, const Wording& wording, MonoNs now)
      : step(of),
        first(std::move(asker)),
        body(wording.body()),
        deadline(now + of.options.timeout_ms * kNsPerMs) {
    if (!may_be_remembered(of.options.name)) return;
    lasting = wording.lasting();
    whole = wording.whole();
    joinable = true;
  }

  const Step& step;
  const Asked first;  // its question is the one that is asked
  std::string body;
  const MonoNs deadline;
  jose::Digest lasting{}, whole{};
  bool joinable = false;

  // Guarded by mutex_.
  std::vector<Asked> waiters;
  MonoNs began = 0;  // 0: in the queue
  std::list<std::shared_ptr<Flight>>::iterator place;
  http::Sender::Id id = 0;
};

// Those whose question never left the queue.
struct Webhooks::Late {
  const Step* step = nullptr;
  std::vector<Asked> waiters;
};

struct Webhooks::Judged {
  End end = End::next;
  Reply reply;
  std::string why;  // of a failure or a bad answer
  std::optional<int64_t> max_age_seconds;
  bool large = false;

  bool failed() const {
    switch (end) {
      case End::ok:
      case End::refused:
      case End::next:
      case End::bad_modifier:
      case End::cancelled:
        return false;
      case End::not_json:
      case End::status:
      case End::timeout:
      case End::unreachable:
      case End::circuit_open:
      case End::queue_full:
        return true;
    }
    return true;
  }
};

Webhooks::Webhooks(const Options& options, Registry& registry, const Clock& clock,
                   std::unique_ptr<http::Sender> sender)
    : options_(options),
      clock_(clock),
      open_circuits_(registry.gauge("courier_hook_circuit_open",
                                    "Endpoints of hooks that are left alone because they failed")),
      waiting_(registry.gauge("courier_hook_requests_waiting",
                              "Questions of hooks that wait for a connection to their endpoint")),
      good_(options.cache_entries_max),
      refused_(options.refusals_kept_ms > 0 ? kRefusalsMax : 0),
      random_(std::random_device()()),
      sender_(std::move(sender)) {
  for (const HookOptions& hook : options.hooks) {
    auto known = std::find_if(endpoints_.begin(), endpoints_.end(),
                              [&](const auto& each) { return each->is_of(hook); });
    if (known == endpoints_.end())
      known = endpoints_.insert(known, std::make_unique<Endpoint>(hook, options));
    Endpoint& endpoint = **known;
    steps_[static_cast<size_t>(hook.name)].push_back(std::make_unique<Step>(hook, endpoint, registry));
  }
}

Webhooks::~Webhooks() {
  stop();
  // Its own part: the one that comes after it, or went before, counts there too.
  for (const auto& endpoint : endpoints_) {
    open_circuits_.add(-int64_t{is_open(endpoint->breaker)});
    waiting_.add(-static_cast<int64_t>(endpoint->queue.size()));
  }
}

void Webhooks::stop() {
  std::unique_ptr<http::Sender> sender;
  {
    const std::lock_guard lock(mutex_);
    sender = std::move(sender_);
  }
  sender.reset();  // not under the lock: it waits for finished()
}

Result<std::unique_ptr<Webhooks>> Webhooks::open(const Options& options, Registry& registry,
                                                 const Clock& clock, std::unique_ptr<http::Sender> sender) {
  if (auto good = check_options(options); !good) return fail(good.error());
  if (!sender) {
    auto requests = http::Requests::open(options.connections_max * std::max<size_t>(1, options.hooks.size()));
    if (!requests) return fail(requests.error());
    sender = std::move(*requests);
  }
  return std::unique_ptr<Webhooks>(new Webhooks(options, registry, clock, std::move(sender)));
}

std::vector<std::string> Webhooks::who(HookPoint point, bool m5) const {
  const Hook hook = hook_at(point, m5);
  std::vector<std::string> out;
  for (const auto& step : steps_[static_cast<size_t>(hook)])
    out.push_back(fmt::format("{} at {}", name(hook), step->endpoint.shown_url));
  return out;
}

template <typename What, typename Kind>
Webhooks::Asked Webhooks::begin(Kind question, std::function<void(HookAnswer<What>)> done) {
  const Asked asking = std::make_shared<Asking>();
  asking->question = std::move(question);
  asking->hook = hook_of(asking->question);
  asking->done = [done = std::move(done)](Reply reply, bool failed) {
    HookAnswer<What> answer{reply.outcome, reply.reason, std::move(reply.why), failed, {}};
    if (What* changes = std::get_if<What>(&reply.changes)) answer.changes = std::move(*changes);
    done(std::move(answer));
  };
  advance(asking);
  return asking;
}

Webhooks::Ticket Webhooks::ask(RegisterQuestion question, std::function<void(RegisterAnswer)> done) {
  return begin(std::move(question), std::move(done));
}
Webhooks::Ticket Webhooks::ask(PublishQuestion question, std::function<void(PublishAnswer)> done) {
  return begin(std::move(question), std::move(done));
}
Webhooks::Ticket Webhooks::ask(SubscribeQuestion question, std::function<void(SubscribeAnswer)> done) {
  return begin(std::move(question), std::move(done));
}
Webhooks::Ticket Webhooks::ask(UnsubscribeQuestion question, std::function<void(UnsubscribeAnswer)> done) {
  return begin(std::move(question), std::move(done));
}
Webhooks::Ticket Webhooks::ask(DeliverQuestion question, std::function<void(DeliverAnswer)> done) {
  return begin(std::move(question), std::move(done));
}
Webhooks::Ticket Webhooks::ask(AuthQuestion question, std::function<void(AuthAnswer)> done) {
  return begin(std::move(question), std::move(done));
}

// Asks the endpoint whose turn it is, and goes on while answers are known.
void Webhooks::advance(const Asked& asking) {
  const auto& steps = steps_[static_cast<size_t>(asking->hook)];
  if (asking->step == steps.size()) {
    Reply reply;
    if (!steps.empty() && must_be_allowed(asking->hook) && !others_may_decide(asking->hook)) {
      reply.outcome = HookOutcome::refused;
      reply.why = "no endpoint said ok";
    }
    return conclude(asking, std::move(reply), false);
  }
  const Step& step = *steps[asking->step];
  const auto wording = Wording::of(asking->question, step.options);
  if (!wording) {
    // Not a failure of the endpoint, which on_failure could let pass: clients could bring it about.
    return conclude(
        asking, {HookOutcome::refused, mqtt::ReasonCode::not_authorized, wording.error().message, {}}, false);
  }
  if (may_be_remembered(asking->hook) && answer_from_memory(asking, step, *wording)) return;

  const auto flight = std::make_shared<Flight>(step, asking, *wording, clock_.mono_ns());
  Endpoint& endpoint = step.endpoint;
  std::string why;
  {
    const std::lock_guard lock(mutex_);
    if (asking->ended || !sender_) return;
    if (flight->joinable) {
      const auto [place, added] = flights_.try_emplace(text_of(flight->whole), flight);
      if (!added) {
        place->second->waiters.push_back(asking);
        asking->flight = place->second.get();
        step.joined.add(1);
        return;
      }
    }
    const MonoNs now = clock_.mono_ns();
    if (endpoint.running >= options_.connections_max && endpoint.queue.size() >= options_.queue_max) {
      step.count(End::queue_full);
      why = fmt::format("{} requests wait for it already", endpoint.queue.size());
    } else if (!endpoint.breaker.admit(now)) {
      step.count(End::circuit_open);
      why = "it is left alone for a moment, because it failed";
    } else {
      flight->waiters.push_back(asking);
      asking->flight = flight.get();
      if (endpoint.running < options_.connections_max) {
        start(flight, now);
      } else {
        flight->place = endpoint.queue.insert(endpoint.queue.end(), flight);
        waiting_.add(1);
      }
    }
    if (!why.empty() && flight->joinable) flights_.erase(text_of(flight->whole));
  }
  if (!why.empty()) conclude_failed(asking, step, why);
}

bool Webhooks::answer_from_memory(const Asked& asking, const Step& step, const Wording& wording) {
  const MonoNs now = clock_.mono_ns();
  auto reply = good_.find(wording.lasting(), 0, now);
  if (!reply) reply = refused_.find(wording.whole(), 0, now);
  if (!reply) return false;
  step.remembered.add(1);
  conclude(asking, *reply, false);
  return true;
}

void Webhooks::start(const std::shared_ptr<Flight>& flight, MonoNs now) {
  Endpoint& endpoint = flight->step.endpoint;
  ++endpoint.running;
  flight->began = now;
  http::Request request;
  request.url = endpoint.url;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"},
                     {"vernemq-hook", std::string(name(flight->step.options.name))}};
  request.body = std::move(flight->body);
  request.timeout_ms = std::max<int64_t>(1, (flight->deadline - now) / kNsPerMs);
  request.body_bytes_max = kAnswerBytesMax;
  request.ca_file = endpoint.ca_file;
  request.certificate_file = endpoint.certificate_file;
  request.key_file = endpoint.key_file;
  request.link_local = true;  // where a node's own sidecar may be; nothing of the answer is shown to anybody
  flight->id = sender_->send(std::move(request), [this, flight](Result<http::Response> response) {
    finished(flight, std::move(response));
  });
}

Webhooks::Judged Webhooks::judge(const Flight& flight, Result<http::Response> response) const {
  Judged judged;
  if (!response) {
    judged.why = response.error().message;
    judged.end = response.error().code == http::errc::timeout     ? End::timeout
                 : response.error().code == http::errc::cancelled ? End::cancelled
                                                                  : End::unreachable;
    return judged;
  }
  if (response->status != 200) {
    judged.why = fmt::format("it answered with status {}, where only 200 counts", response->status);
    judged.end = is_our_failure(response->status) ? End::status : End::refused;
    judged.reply = {HookOutcome::refused, mqtt::ReasonCode::not_authorized, judged.why, {}};
    return judged;
  }
  auto reply = read_reply(response->body, flight.first->question, flight.step.options, clock_.wall_ms());
  if (!reply) {
    judged.why = reply.error().message;
    judged.end = reply.error().code == errc::not_json ? End::not_json : End::bad_modifier;
    judged.reply = {HookOutcome::refused,
                    mqtt::ReasonCode::not_authorized,
                    fmt::format("its answer is not valid: {}", judged.why),
                    {}};
    return judged;
  }
  judged.reply = std::move(*reply);
  judged.large = response->body.size() > kRememberedBytesMax;
  if (const std::string* text = response->header("cache-control"))
    judged.max_age_seconds = http::max_age_seconds(*text);
  switch (judged.reply.outcome) {
    case HookOutcome::ok:
      judged.end = End::ok;
      break;
    case HookOutcome::refused:
      judged.end = End::refused;
      break;
    case HookOutcome::next:
      judged.end = End::next;
      break;
  }
  return judged;
}

void Webhooks::finished(const std::shared_ptr<Flight>& flight, Result<http::Response> response) {
  const Step& step = flight->step;
  Endpoint& endpoint = step.endpoint;
  const Judged judged = judge(*flight, std::move(response));
  const MonoNs now = clock_.mono_ns();
  step.count(judged.end);
  if (judged.end != End::cancelled)
    step.seconds.observe(static_cast<double>(now - flight->began) / kNsPerSecond);
  remember(*flight, judged, now);

  std::vector<Asked> waiters;
  std::vector<Late> late;
  CircuitBreaker::State before{}, after{};
  {
    const std::lock_guard lock(mutex_);
    --endpoint.running;
    waiters = land(*flight);
    if (flight->joinable) {
      const auto place = flights_.find(text_of(flight->whole));
      if (place != flights_.end() && place->second == flight) flights_.erase(place);
    }
    before = endpoint.breaker.state();
    const bool was_open = is_open(endpoint.breaker);
    if (judged.end == End::cancelled) {
      endpoint.breaker.abandoned(now);
    } else if (judged.failed()) {
      endpoint.breaker.failed(now);
    } else {
      endpoint.breaker.answered();
    }
    after = endpoint.breaker.state();
    open_circuits_.add(is_open(endpoint.breaker) - was_open);
    if (sender_) late = pump(endpoint, now);
  }
  if (before == CircuitBreaker::State::closed && after == CircuitBreaker::State::open) {
    log::error("an endpoint of hooks failed again and again and is left alone for a moment",
               {{"endpoint", endpoint.shown_url}, {"why", judged.why}});
  } else if (before != CircuitBreaker::State::closed && after == CircuitBreaker::State::closed) {
    log::info("an endpoint of hooks answers again", {{"endpoint", endpoint.shown_url}});
  } else if (judged.failed() || judged.end == End::bad_modifier) {
    log::warn(failure_lines, "an endpoint of hooks gave no valid answer",
              {{"hook", name(step.options.name)}, {"endpoint", endpoint.shown_url}, {"why", judged.why}});
  }
  tell(std::move(waiters), step, judged);
  for (auto& [late_step, waiting] : late) {
    Judged failed;
    const bool left_alone = after == CircuitBreaker::State::open;
    failed.end = left_alone ? End::circuit_open : End::timeout;
    failed.why = left_alone ? "it is left alone for a moment, because it failed"
                            : "no connection to it became free in time";
    late_step->count(failed.end);
    tell(std::move(waiting), *late_step, failed);
  }
}

// From here on nothing that is asked or cancelled finds the flight by those that wait for it.
std::vector<Webhooks::Asked> Webhooks::land(Flight& flight) {
  std::vector<Asked> waiters = std::exchange(flight.waiters, {});
  for (const Asked& each : waiters) each->flight = nullptr;
  return waiters;
}

// Gives free connections to those that wait; returns those for whom it is too late.
std::vector<Webhooks::Late> Webhooks::pump(Endpoint& endpoint, MonoNs now) {
  std::vector<Late> late;
  const bool open = endpoint.breaker.state() == CircuitBreaker::State::open;
  while (!endpoint.queue.empty()) {
    const std::shared_ptr<Flight> next = endpoint.queue.front();
    const bool too_late = open || now >= next->deadline;
    if (!too_late && endpoint.running >= options_.connections_max) break;
    endpoint.queue.pop_front();
    waiting_.add(-1);
    if (too_late) {
      if (next->joinable) flights_.erase(text_of(next->whole));
      endpoint.breaker.abandoned(now);  // it may have been the one that was to try
      late.push_back({&next->step, land(*next)});
    } else {
      start(next, now);
    }
  }
  return late;
}

void Webhooks::remember(const Flight& flight, const Judged& judged, MonoNs now) {
  if (!flight.joinable || judged.large) return;
  if (judged.end == End::refused && options_.refusals_kept_ms > 0) {
    int64_t kept_ms = options_.refusals_kept_ms;
    {
      const std::lock_guard lock(mutex_);
      kept_ms += std::uniform_int_distribution<int64_t>(0, kept_ms)(random_);
    }
    refused_.put(flight.whole, 0, now + kept_ms * kNsPerMs, std::make_shared<const Reply>(judged.reply));
    return;
  }
  if (judged.end != End::ok || judged.max_age_seconds.value_or(0) <= 0) return;
  if (!fits_other_payloads(judged.reply)) return;
  int64_t kept_ms = std::min(*judged.max_age_seconds, kMaxAgeSecondsMax) * 1000;
  if (const auto* changes = std::get_if<RegisterChanges>(&judged.reply.changes);
      changes != nullptr && changes->expires_at)
    kept_ms = std::min(kept_ms, *changes->expires_at - clock_.wall_ms());
  good_.put(flight.lasting, 0, now + kept_ms * kNsPerMs, std::make_shared<const Reply>(judged.reply));
}

void Webhooks::tell(std::vector<Asked> waiters, const Step& step, const Judged& judged) {
  for (const Asked& asking : waiters) {
    if (judged.failed()) {
      conclude_failed(asking, step, judged.why);
    } else if (judged.end == End::next) {
      ++asking->step;
      advance(asking);
    } else {
      conclude(asking, judged.reply, false);
    }
  }
}

void Webhooks::conclude_failed(const Asked& asking, const Step& step, const std::string& why) {
  Reply reply{HookOutcome::refused,
              failure_reason(asking->hook),
              fmt::format("the endpoint {} cannot be asked: {}", step.endpoint.shown_url, why),
              {}};
  if (step.options.on_failure == OnFailure::allow)
    reply = {HookOutcome::ok, {}, {}, no_changes(asking->question)};
  conclude(asking, std::move(reply), true);
}

void Webhooks::conclude(const Asked& asking, Reply reply, bool failed) {
  std::function<void(Reply, bool)> done;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(asking->ended, true)) return;
    done.swap(asking->done);
  }
  if (!must_be_allowed(asking->hook) && reply.outcome == HookOutcome::refused) reply = Reply{};
  done(std::move(reply), failed);
}

bool Webhooks::cancel(const Ticket& ticket) {
  const Asked asking = std::static_pointer_cast<Asking>(ticket);
  std::function<void(Reply, bool)> done;  // what it holds ends outside of the lock
  const std::lock_guard lock(mutex_);
  if (std::exchange(asking->ended, true)) return false;
  done.swap(asking->done);
  Flight* flight = std::exchange(asking->flight, nullptr);
  if (flight == nullptr) return true;
  std::erase(flight->waiters, asking);
  if (!flight->waiters.empty()) return true;
  const Step& step = flight->step;
  // Whoever runs it holds it, or the queue does; what the table holds is not the last of it.
  if (flight->joinable) flights_.erase(text_of(flight->whole));
  if (flight->began != 0) {
    if (sender_) sender_->cancel(flight->id);
    return true;
  }
  step.endpoint.queue.erase(flight->place);
  step.endpoint.breaker.abandoned(clock_.mono_ns());
  step.count(End::cancelled);
  waiting_.add(-1);
  return true;
}

}  // namespace courier::auth::webhook
