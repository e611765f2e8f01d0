#include "events/webhook/webhook_sink.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/log.h"
#include "events/catalogue/fields.h"
#include "events/errc.h"
#include "events/webhook/signature.h"
#include "events/webhook/spans.h"
#include "http/retry_after.h"

namespace courier::events::webhook {
namespace {

constexpr int64_t kTurnMs = 100;
constexpr size_t kNotedMax = 16'384;
constexpr uint32_t kRestAfter = 10;  // failures in a row
constexpr uint32_t kTroubleAfter = 3;
constexpr uint32_t kPoisonAfter = 5, kRefusedAfter = 2;
constexpr int64_t kRetryAfterMsMax = 3'600'000;
constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr size_t kShownBytesMax = 256;

// It is the content that it does not like.
bool is_refusal(int status) {
  return status == 400 || status == 413 || status == 415 || status == 422;
}

std::string client_of(const Event& event) {
  return std::string(text_of(event.bytes, Field::client_id));
}

}  // namespace

WebhookSink::WebhookSink(WebhookSinkOptions options, Registry& metrics, std::unique_ptr<DeadLetters> letters,
                         std::unique_ptr<http::Sender> sender)
    : options_(std::move(options)),
      shown_url_(http::without_secrets(options_.url)),
      letters_(std::move(letters)),
      random_(static_cast<uint32_t>(system_clock().mono_ns())),
      requests_taken_(metrics.counter("courier_sink_requests_total", "Requests to endpoints of events.",
                                      {{"sink", options_.name}, {"result", "taken"}})),
      requests_failed_(metrics.counter("courier_sink_requests_total", "Requests to endpoints of events.",
                                       {{"sink", options_.name}, {"result", "failed"}})),
      given_up_total_(given_up_counter(metrics, options_.name)),
      seconds_(metrics.histogram("courier_sink_request_seconds",
                                 "How long endpoints of events take to answer.", {{"sink", options_.name}})),
      sender_(std::move(sender)) {
  metrics.gauge_callback("courier_sink_dead_letters", "Events on disk that the sink would not take.",
                         {{"sink", options_.name}},
                         [this] { return static_cast<double>(letters_->count()); });
}

WebhookSink::~WebhookSink() = default;

Result<std::unique_ptr<WebhookSink>> WebhookSink::open(WebhookSinkOptions options, Registry& metrics,
                                                       std::unique_ptr<http::Sender> sender) {
  auto letters = DeadLetters::open(options.dead_letters_path, options.dead_letters_bytes_max);
  if (!letters) return fail(letters.error().within("its dead letters"));
  if (!sender) {
    auto requests = http::Requests::open(options.parallel);
    if (!requests) return fail(std::move(requests.error()));
    sender = std::move(*requests);
  }
  return std::unique_ptr<WebhookSink>(
      new WebhookSink(std::move(options), metrics, std::move(*letters), std::move(sender)));
}

// --- what comes in ---

Result<Told> WebhookSink::tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) {
  std::unique_lock lock(mutex_);
  for (const EventPtr& event : noted) add(event, Origin::noted);
  for (const EventPtr& event : events) add(event, Origin::given);
  const MonoNs until = system_clock().mono_ns() + kTurnMs * kNsPerMs;
  Told told;
  for (;;) {
    if (stopped_) return fail(errc::stopped, "the sink is stopped");
    if (replay_wanted_) begin_replay();
    for (Answer& answer : std::exchange(answers_, {})) judge(answer);
    const MonoNs now = system_clock().mono_ns();
    send_what_can_be_sent(now);
    for (; !given_.empty() && given_.front()->finished; ++told.finished) given_.pop_front();
    const bool hungry = told.finished > 0 && ready_.empty() && under_way_.size() < options_.parallel;
    if (waiting_ == 0 || hungry || now >= until) break;
    MonoNs wake = until;
    if (!later_.empty()) wake = std::min(wake, std::max(later_.begin()->first, not_before_));
    if (not_before_ > now) wake = std::min(wake, not_before_);
    changed_.wait_for(lock, std::chrono::nanoseconds(std::max<MonoNs>(wake - now, kNsPerMs)),
                      [&] { return stopped_ || replay_wanted_ || !answers_.empty(); });
  }
  if (gone_ || failures_in_a_row_ >= kTroubleAfter) told.trouble = trouble_;
  return told;
}

void WebhookSink::add(EventPtr event, Origin origin) {
  if (origin == Origin::noted && noted_waiting_ >= kNotedMax) {
    given_up_total_.add();
    ++given_up_;
    return;
  }
  auto item = std::make_shared<Item>(Item{std::move(event), origin});
  if (options_.profile == Profile::otlp && !is_span(*item->event, options_.span_part)) {
    item->finished = true;
    if (origin == Origin::given) given_.push_back(std::move(item));
    if (origin == Origin::dead_letter && --replaying_ == 0) letters_->done_with_replay();
    return;
  }
  ++waiting_;
  if (origin == Origin::noted) ++noted_waiting_;
  if (origin == Origin::given) given_.push_back(item);
  const std::string client = client_of(*item->event);
  Lane& lane = lanes_[client];
  lane.waiting.push_back(std::move(item));
  if (!lane.busy && lane.waiting.size() == 1) ready_.push_back(client);
}

void WebhookSink::begin_replay() {
  replay_wanted_ = false;
  if (replaying_ > 0) return;  // one at a time
  auto events = letters_->replay();
  if (!events) {
    log::error("dead letters cannot be told again",
               {{"sink", options_.name}, {"why", events.error().message}});
    return;
  }
  log::info("dead letters are told again", {{"sink", options_.name}, {"events", events->size()}});
  replaying_ = events->size();
  for (EventPtr& event : *events) add(std::move(event), Origin::dead_letter);
}

void WebhookSink::forget() {
  const std::lock_guard lock(mutex_);
  for (const auto& [parcel, id] : under_way_) sender_->cancel(id);
  ++generation_;
  given_.clear();
  lanes_.clear();
  ready_.clear();
  later_.clear();
  under_way_.clear();
  waiting_ = noted_waiting_ = replaying_ = 0;
}

bool WebhookSink::busy() const {
  const std::lock_guard lock(mutex_);
  return waiting_ > 0 || replay_wanted_;
}

void WebhookSink::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

// --- what goes out ---

void WebhookSink::send_what_can_be_sent(MonoNs now) {
  while (may_send(now)) {
    const ParcelPtr parcel = next_parcel(now);
    if (!parcel) return;
    send(parcel, now);
  }
}

bool WebhookSink::may_send(MonoNs now) const {
  if (gone_ || now < not_before_) return false;
  return under_way_.size() < (failures_in_a_row_ < kRestAfter ? options_.parallel : 1);
}

WebhookSink::ParcelPtr WebhookSink::next_parcel(MonoNs now) {
  if (!later_.empty() && later_.begin()->first <= now) {
    ParcelPtr parcel = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    return parcel;
  }
  return ready_.empty() ? nullptr : fill_parcel();
}

WebhookSink::ParcelPtr WebhookSink::fill_parcel() {
  auto parcel = std::make_shared<Parcel>();
  const size_t items_max = takes_many(options_.profile, options_.mode) ? options_.batch_events_max : 1;
  size_t bytes = 0;
  const auto fits = [&](const Lane& lane) {
    return parcel->items.empty() ||
           (parcel->items.size() < items_max &&
            bytes + lane.waiting.front()->event->bytes.size() <= options_.batch_bytes_max);
  };
  while (!ready_.empty()) {
    Lane& lane = lanes_[ready_.front()];
    if (!fits(lane) || (lane.alone > 0 && !parcel->items.empty())) break;
    lane.busy = true;
    parcel->lanes.push_back(std::move(ready_.front()));
    ready_.pop_front();
    const bool alone = lane.alone > 0;
    do {
      bytes += lane.waiting.front()->event->bytes.size();
      parcel->items.push_back(std::move(lane.waiting.front()));
      lane.waiting.pop_front();
    } while (!alone && !lane.waiting.empty() && fits(lane));
    if (!alone) continue;
    --lane.alone;
    break;
  }
  return parcel;
}

void WebhookSink::send(const ParcelPtr& parcel, MonoNs now) {
  std::vector<EventPtr> events;
  for (const ItemPtr& item : parcel->items) {
    events.push_back(item->event);
    if (!std::exchange(item->sent, true)) item->taken_before = taken_;
  }
  under_way_[parcel] = sender_->send(
      request_of(events), [this, parcel, now, generation = generation_](Result<http::Response> response) {
        const std::lock_guard lock(mutex_);
        answers_.push_back({generation, parcel, std::move(response), now});
        changed_.notify_all();
      });
}

http::Request WebhookSink::request_of(std::span<const EventPtr> events) const {
  Worded worded = word(options_.profile, options_.mode, options_.source, events);
  http::Request request;
  request.url = options_.url;
  request.method = "POST";
  request.headers = std::move(worded.headers);
  sign(request.headers, options_.secrets, id_of(events), system_clock().wall_ms(), worded.body);
  request.headers.insert(request.headers.end(), options_.headers.begin(), options_.headers.end());
  request.body = std::move(worded.body);
  request.timeout_ms = options_.timeout_ms;
  request.body_bytes_max = kAnswerBytesMax;
  request.ca_file = options_.ca_file;
  request.certificate_file = options_.certificate_file;
  request.key_file = options_.key_file;
  request.link_local = options_.link_local;
  return request;
}

// --- what comes back ---

void WebhookSink::judge(Answer& answer) {
  if (answer.generation != generation_) return;
  under_way_.erase(answer.parcel);
  const MonoNs now = system_clock().mono_ns();
  seconds_.observe(static_cast<double>(now - answer.began) * 1e-9);
  const Result<http::Response>& response = answer.response;
  if (response && response->status / 100 == 2) {
    requests_taken_.add();
    ++taken_;
    works_again();
    finish(*answer.parcel);
    return;
  }
  requests_failed_.add();
  ++failed_;
  const int status = response ? response->status : 0;
  int64_t retry_ms = 0;
  if (response) {
    if (const std::string* value = response->header("retry-after"))
      retry_ms = http::retry_after_ms(*value, system_clock().wall_ms()).value_or(0);
  }
  failed(answer.parcel,
         response ? fmt::format("{} answered {}{}", shown_url_, status,
                                status / 100 == 3 ? ", a redirect, which is not followed" : "")
                  : response.error().message,
         status, std::min(retry_ms, kRetryAfterMsMax), now);
}

void WebhookSink::works_again() {
  failures_in_a_row_ = 0;
  not_before_ = 0;
  gone_ = false;
  trouble_.clear();
  trouble_since_ = 0;
}

void WebhookSink::failed(const ParcelPtr& parcel, std::string why, int status, int64_t retry_ms, MonoNs now) {
  ++failures_in_a_row_;
  if (trouble_since_ == 0) trouble_since_ = system_clock().wall_ms();
  if (parcel->failures++ == 0) parcel->taken_before = taken_;
  if (status == 410) {
    gone_ = true;
    why += ": it wants no more. Its events wait; \"courier hook test\" asks it again, and so does a restart";
  }
  trouble_ = why;
  if (failures_in_a_row_ >= kRestAfter)
    retry_ms = std::max(retry_ms, backoff_ms(failures_in_a_row_ - kRestAfter + 1));
  if (retry_ms > 0) not_before_ = std::max(not_before_, now + retry_ms * kNsPerMs);

  const bool refused = is_refusal(status);
  const bool poison = refused
                          ? parcel->failures >= kRefusedAfter && taken_ > parcel->items.front()->taken_before
                          : parcel->failures >= kPoisonAfter && taken_ > parcel->taken_before;
  if (parcel->items.size() > 1 && (refused || poison || is_old(*parcel))) {
    take_apart(*parcel);
  } else if (!(poison || is_old(*parcel)) || !give_up(*parcel, why)) {
    later_.emplace(now + backoff_ms(parcel->failures) * kNsPerMs, parcel);
  }
}

// Of its first event.
bool WebhookSink::is_old(const Parcel& parcel) const {
  const auto time = find(parcel.items.front()->event->bytes, Field::time_ns);
  const int64_t then = time ? static_cast<int64_t>(time->value / kNsPerMs) : 0;
  return system_clock().wall_ms() - then > options_.give_up_ms;
}

// False: there is no place for it, so it has to be tried again.
bool WebhookSink::give_up(const Parcel& parcel, const std::string& why) {
  const Item& item = *parcel.items.front();
  static log::Limit limit{{.per_second = 5}};
  if (item.origin != Origin::noted) {
    if (auto put = letters_->put(*item.event, why, parcel.failures, system_clock().wall_ms()); !put) {
      log::error(limit, "an event can be neither told nor kept as a dead letter; it is tried again",
                 {{"sink", options_.name}, {"why", put.error().message}});
      return false;
    }
  }
  given_up_total_.add();
  ++given_up_;
  log::warn(
      limit,
      item.origin == Origin::noted ? "a best-effort event is given up" : "an event is a dead letter now",
      {{"sink", options_.name},
       {"id", text_of(item.event->bytes, Field::id)},
       {"kind", info(item.event->kind).name},
       {"attempts", parcel.failures},
       {"why", why}});
  finish(parcel);
  return true;
}

// Each of its events goes by itself, so that one that is not taken does not hold up the others.
void WebhookSink::take_apart(const Parcel& parcel) {
  for (auto item = parcel.items.rbegin(); item != parcel.items.rend(); ++item) {
    Lane& lane = lanes_[client_of(*(*item)->event)];
    lane.waiting.push_front(*item);
    ++lane.alone;
  }
  free_lanes(parcel);
}

void WebhookSink::finish(const Parcel& parcel) {
  for (const ItemPtr& item : parcel.items) {
    item->finished = true;
    --waiting_;
    if (item->origin == Origin::noted) --noted_waiting_;
    if (item->origin == Origin::dead_letter && --replaying_ == 0) letters_->done_with_replay();
  }
  free_lanes(parcel);
}

void WebhookSink::free_lanes(const Parcel& parcel) {
  for (const std::string& client : parcel.lanes) {
    const auto lane = lanes_.find(client);
    lane->second.busy = false;
    if (lane->second.waiting.empty()) {
      lanes_.erase(lane);
    } else {
      ready_.push_back(client);
    }
  }
}

// Half of it at least.
int64_t WebhookSink::backoff_ms(uint32_t failures) {
  const int64_t doubled = options_.retry_ms_min << std::min(failures - 1, 30u);
  const int64_t full = std::min(doubled, options_.retry_ms_max);
  return full / 2 + static_cast<int64_t>(random_() % static_cast<uint64_t>(full - full / 2 + 1));
}

// --- what people ask ---

WebhookState WebhookSink::state() const {
  const std::lock_guard lock(mutex_);
  return {.waiting = waiting_,
          .under_way = under_way_.size(),
          .taken = taken_,
          .failed = failed_,
          .given_up = given_up_,
          .dead_letters = letters_->count(),
          .trouble = trouble_,
          .trouble_since = trouble_since_,
          .resting = failures_in_a_row_ >= kRestAfter,
          .gone = gone_};
}

void WebhookSink::test(Kind kind, std::function<void(Result<Trial>)> done) {
  const WallMs wall = system_clock().wall_ms();
  auto event = std::make_shared<Event>();
  event->kind = kind;
  FieldWriter(event->bytes)
      .text(Field::id, fmt::format("test-{}", wall))
      .text(Field::kind, info(kind).name)
      .number(Field::time_ns, static_cast<uint64_t>(wall * kNsPerMs))
      .flag(Field::best_effort, true)
      .text(Field::client_id, "courier-test")
      .text(Field::topic, "courier/test")
      .number(Field::qos, 1)
      .text(Field::payload, "a test");
  const EventPtr events[] = {std::move(event)};
  http::Request request = request_of(events);
  const MonoNs began = system_clock().mono_ns();
  const std::lock_guard lock(mutex_);
  sender_->send(std::move(request), [this, began, done = std::move(done)](Result<http::Response> response) {
    if (!response) return done(fail(std::move(response.error())));
    if (response->status / 100 == 2) {
      const std::lock_guard locked(mutex_);
      works_again();
      changed_.notify_all();
    }
    done(Trial{response->status, (system_clock().mono_ns() - began) / kNsPerMs,
               response->body.substr(0, kShownBytesMax)});
  });
}

uint64_t WebhookSink::replay() {
  const std::lock_guard lock(mutex_);
  replay_wanted_ = true;
  changed_.notify_all();
  return letters_->count();
}

}  // namespace courier::events::webhook
