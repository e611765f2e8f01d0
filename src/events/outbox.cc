#include "events/outbox.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "events/compose.h"
#include "store/errc.h"

namespace courier::events {
namespace {

constexpr char kEventRow = 'e', kBytesRow = 'b', kSinkRow = 's';
// How exactly is known how much waits.
constexpr uint64_t kMarkEvery = 256 * 1024;
// A range erase is a mark that later reads must mind: for many rows only.
constexpr size_t kRowsListedMax = 4096;

std::string event_key(Position position) {
  std::string key(1 + sizeof(uint64_t), kEventRow);
  for (size_t i = 0; i < sizeof(uint64_t); ++i)
    key[1 + i] = static_cast<char>(position.value >> (8 * (sizeof(uint64_t) - 1 - i)));
  return key;
}
std::optional<Position> position_in(std::string_view key) {
  if (key.size() != 1 + sizeof(uint64_t) || key[0] != kEventRow) return std::nullopt;
  uint64_t number = 0;
  for (const char byte : key.substr(1)) number = number << 8 | static_cast<uint8_t>(byte);
  return Position(number);
}
std::string number_value(uint64_t number) {
  std::string value(sizeof number, '\0');
  std::memcpy(value.data(), &number, sizeof number);
  return value;
}
std::optional<uint64_t> number_in(std::string_view value) {
  uint64_t number = 0;
  if (value.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}
Position after(Position position) {
  return Position(position.value + 1);
}

// What a backend waits for.
bool is_precious(Kind kind) {
  return kind == Kind::delivery_complete || kind == Kind::drop || kind == Kind::session_expired ||
         kind == Kind::client_gone;
}

}  // namespace

Outbox::Outbox(OutboxOptions options, std::vector<std::string> sinks, const store::StateStore& store,
               Registry& metrics)
    : options_(options),
      names_(std::move(sinks)),
      store_(store),
      told_(names_.size()),
      told_changed_(names_.size(), false),
      reported_(names_.size()),
      said_(names_.size()) {
  for (const KindInfo& kind : kinds()) {
    const Labels labels{{"kind", std::string(kind.name)}};
    added_.push_back(
        &metrics.counter("courier_events_total", "Events that were to be told to sinks.", labels));
    dropped_.push_back(&metrics.counter("courier_events_dropped_total",
                                        "Events that no sink was told: too many waited.", labels));
  }
  metrics.gauge_callback("courier_outbox_bytes", "Bytes of events that wait for some sink, about.", {},
                         [this] { return static_cast<double>(bytes_waiting()); });
}

Result<void> Outbox::restore() {
  const std::lock_guard lock(mutex_);
  newest_ = store_.position();
  memory_from_ = after(newest_);
  std::fill(told_.begin(), told_.end(), newest_);
  std::vector<bool> known(names_.size(), false);
  std::string bad;
  uint64_t waiting = 0;
  auto scanned = store_.scan(store::Table::event, std::string_view("\0", 1), std::string(1, kEventRow),
                             [&](std::string_view key, std::string_view value) {
                               const auto number = number_in(value);
                               if (key.empty() || key[0] != kBytesRow || !number) bad = key;
                               if (number) waiting = *number;
                               return bad.empty();
                             });
  if (scanned && bad.empty()) {
    scanned = store_.scan(store::Table::event, std::string(1, kSinkRow), "",
                          [&](std::string_view key, std::string_view value) {
                            const auto number = number_in(value);
                            if (!number) {
                              bad = key;
                              return false;
                            }
                            const auto sink = std::ranges::find(names_, key.substr(1));
                            if (sink == names_.end()) {
                              gone_.emplace_back(key);
                            } else {
                              const auto index = static_cast<size_t>(sink - names_.begin());
                              told_[index] = Position(*number);
                              known[index] = true;
                            }
                            return true;
                          });
  }
  if (scanned && bad.empty()) {
    scanned = store_.scan(store::Table::event, event_key(Position(0)), std::string(1, kEventRow + 1),
                          [&](std::string_view key, std::string_view) {
                            const auto position = position_in(key);
                            if (!position) {
                              bad = key;
                            } else {
                              first_row_ = *position;
                            }
                            return false;
                          });
  }
  if (!scanned) return scanned;
  if (!bad.empty()) {
    return fail(store::errc::damaged, "a row of the events that wait for sinks cannot be read");
  }
  // Where a new sink begins is written with the first checkpoint: after a crash it is not new again, and
  // does not pass over what that checkpoint has.
  for (size_t i = 0; i < names_.size(); ++i) told_changed_[i] = !known[i];
  put_ = safe_ = newest_;
  if (first_row_ != Position()) last_row_ = newest_;
  rows_listed_ = first_row_ == Position();
  bytes_added_ = waiting;
  if (waiting != 0) marks_.push_back({newest_, waiting});
  return {};
}

// --- feed thread ---

void Outbox::add(Position position, Kind kind, std::string bytes) {
  const std::lock_guard lock(mutex_);
  newest_ = position;
  const auto event = std::make_shared<const Event>(Event{position, kind, std::move(bytes)});
  show(event);
  if (names_.empty()) return;
  const size_t index = static_cast<size_t>(kind) - 1;
  if (crowded(kind)) {
    dropped_[index]->add();
    static log::Limit limit{{.per_second = 1}};
    log::error(
        limit,
        "events are dropped: too many wait for sinks; the metric courier_sink_ok says which sink is away",
        {{"kind", info(kind).name}, {"bytes_waiting", bytes_added_ - bytes_told_}});
    return;
  }
  added_[index]->add();
  const size_t cost = sizeof(Event) + event->bytes.size();
  memory_.push_back(event);
  memory_bytes_ += cost;
  bytes_added_ += cost;
  if (marks_.empty() || bytes_added_ - marks_.back().bytes >= kMarkEvery)
    marks_.push_back({position, bytes_added_});
  if (memory_bytes_ > options_.memory_bytes_max) shrink_memory();
}

bool Outbox::crowded(Kind kind) const {
  const uint64_t waiting = bytes_added_ - bytes_told_;
  return waiting >= options_.bytes_max || (waiting >= options_.bytes_max / 5 * 4 && !is_precious(kind));
}

void Outbox::told(std::string_view sink, Position up_to) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(names_, sink);
  if (found == names_.end()) return;
  const auto index = static_cast<size_t>(found - names_.begin());
  if (up_to <= told_[index]) return;
  told_[index] = up_to;
  told_changed_[index] = true;
  forget_told();
}

Position Outbox::told_to_all() const {
  return told_.empty() ? newest_ : *std::ranges::min_element(told_);
}

void Outbox::forget_told() {
  const Position all = told_to_all();
  while (!memory_.empty() && memory_.front()->position <= all) {
    memory_from_ = after(memory_.front()->position);
    memory_bytes_ -= sizeof(Event) + memory_.front()->bytes.size();
    memory_.pop_front();
  }
  for (; !marks_.empty() && marks_.front().position <= all; marks_.pop_front())
    bytes_told_ = marks_.front().bytes;
  if (all >= newest_) {
    bytes_told_ = bytes_added_;
    marks_.clear();
  }
}

void Outbox::shrink_memory() {
  while (memory_bytes_ > options_.memory_bytes_max && memory_.front()->position <= safe_) {
    memory_from_ = after(memory_.front()->position);
    memory_bytes_ -= sizeof(Event) + memory_.front()->bytes.size();
    memory_.pop_front();
  }
}

void Outbox::wake() {
  changed_.notify_all();
}

void Outbox::write(store::StateBatch& rows) {
  const std::lock_guard lock(mutex_);
  erase_told_rows(rows);
  const Position all = told_to_all();
  auto each = std::ranges::upper_bound(memory_, std::max(put_, all), {}, &Event::position);
  for (; each != memory_.end(); ++each) {
    const Event& event = **each;
    std::string value(1, static_cast<char>(event.kind));
    value += event.bytes;
    rows.puts.push_back({store::Table::event, event_key(event.position), std::move(value)});
    if (first_row_ == Position()) first_row_ = event.position;
    last_row_ = event.position;
    if (rows_listed_) rows_.push_back(event.position);
  }
  if (rows_.size() > kRowsListedMax) {
    rows_listed_ = false;
    rows_.clear();
  }
  put_ = newest_;
  bool any = false;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!told_changed_[i]) continue;
    rows.puts.push_back({store::Table::event, kSinkRow + names_[i], number_value(told_[i].value)});
    told_changed_[i] = false;
    any = true;
  }
  for (std::string& key : std::exchange(gone_, {}))
    rows.erases.push_back({store::Table::event, std::move(key)});
  if (any || last_row_ != Position()) {
    rows.puts.push_back(
        {store::Table::event, std::string(1, kBytesRow), number_value(bytes_added_ - bytes_told_)});
  }
}

void Outbox::erase_told_rows(store::StateBatch& rows) {
  const Position all = told_to_all();
  if (first_row_ == Position() || first_row_ > all) return;
  if (rows_listed_) {
    for (; !rows_.empty() && rows_.front() <= all; rows_.pop_front())
      rows.erases.push_back({store::Table::event, event_key(rows_.front())});
  } else {
    rows.range_erases.push_back(
        {store::Table::event, event_key(first_row_), event_key(after(std::min(all, last_row_)))});
  }
  if (all >= last_row_) {
    first_row_ = last_row_ = Position();
    rows_listed_ = true;
  } else {
    first_row_ = after(all);
  }
}

void Outbox::written() {
  const std::lock_guard lock(mutex_);
  safe_ = put_;
  if (memory_bytes_ > options_.memory_bytes_max) shrink_memory();
}

// --- any thread ---

void Outbox::note(Kind kind, std::string_view fields, WallMs now) {
  const std::lock_guard lock(mutex_);
  ++notes_;
  const auto event = std::make_shared<const Event>(
      Event{Position(notes_), kind, compose_noted(kind, fields, options_.run, notes_, now)});
  show(event);
  if (names_.empty()) return;
  added_[static_cast<size_t>(kind) - 1]->add();
  noted_.push_back(event);
  if (noted_.size() > options_.noted_max) noted_.pop_front();
}

void Outbox::show(const EventPtr& event) const {
  for (const auto& [number, watcher] : watchers_) watcher(event);
}

uint64_t Outbox::watch(Watcher watcher) {
  const std::lock_guard lock(mutex_);
  watchers_[++watches_] = std::move(watcher);
  return watches_;
}

void Outbox::unwatch(uint64_t number) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(number);
}

void Outbox::report(SinkIndex sink, Position up_to) {
  const std::lock_guard lock(mutex_);
  reported_[sink] = std::max(reported_[sink], up_to);
}

std::vector<std::pair<std::string, Position>> Outbox::take_reports() {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, Position>> reports;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (reported_[i] <= std::max(told_[i], said_[i])) continue;
    said_[i] = reported_[i];
    reports.emplace_back(names_[i], reported_[i]);
  }
  return reports;
}

Position Outbox::told(SinkIndex sink) const {
  const std::lock_guard lock(mutex_);
  return told_[sink];
}

Position Outbox::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

uint64_t Outbox::bytes_waiting() const {
  const std::lock_guard lock(mutex_);
  return bytes_added_ - bytes_told_;
}

Result<std::vector<EventPtr>> Outbox::read(Position behind, size_t count_max, size_t bytes_max) const {
  std::vector<EventPtr> events;
  size_t bytes = 0;
  const auto full = [&] { return events.size() >= count_max || bytes >= bytes_max; };
  std::unique_lock lock(mutex_);
  behind = std::max(behind, told_to_all());
  while (after(behind) < memory_from_ && behind < last_row_) {
    const Position end = std::min(memory_from_, after(last_row_));
    lock.unlock();
    if (auto done = read_rows(behind, end, full, events, bytes); !done) return fail(std::move(done.error()));
    // Meanwhile memory may have lost more to the rows: what is there now comes with the next call.
    if (!events.empty()) return events;
    behind = Position(end.value - 1);
    lock.lock();
  }
  auto each = std::ranges::upper_bound(memory_, behind, {}, &Event::position);
  for (; each != memory_.end() && !full(); ++each) {
    events.push_back(*each);
    bytes += (*each)->bytes.size();
  }
  return events;
}

Result<void> Outbox::read_rows(Position behind, Position end, const std::function<bool()>& full,
                               std::vector<EventPtr>& events, size_t& bytes) const {
  bool readable = true;
  auto scanned = store_.scan(store::Table::event, event_key(after(behind)), event_key(end),
                             [&](std::string_view key, std::string_view value) {
                               const auto position = position_in(key);
                               readable = position && !value.empty();
                               if (!readable) return false;
                               const auto kind = kind_of(static_cast<uint8_t>(value[0]));
                               if (!kind) return true;  // a newer version's
                               events.push_back(std::make_shared<const Event>(
                                   Event{*position, *kind, std::string(value.substr(1))}));
                               bytes += value.size();
                               return !full();
                             });
  if (scanned && !readable)
    return fail(store::errc::damaged, "a row of the events that wait for sinks cannot be read");
  return scanned;
}

std::vector<EventPtr> Outbox::read_noted(uint64_t behind, size_t count_max) const {
  const std::lock_guard lock(mutex_);
  auto each = std::ranges::upper_bound(noted_, Position(behind), {}, &Event::position);
  const auto left = static_cast<size_t>(noted_.end() - each);
  return {each, each + static_cast<ptrdiff_t>(std::min(left, count_max))};
}

void Outbox::wait(Position behind, uint64_t noted_after, int64_t milliseconds) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] {
    return stopped_ || notes_ > noted_after || last_row_ > behind ||
           (!memory_.empty() && memory_.back()->position > behind);
  });
}

void Outbox::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace courier::events
