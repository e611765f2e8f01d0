#include "cluster/etcd/etcd_log.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "cluster/etcd/log_reading.h"
#include "record/codec.h"

namespace courier::cluster::etcd {
namespace {

constexpr std::chrono::milliseconds kLookAtState{200};
constexpr std::chrono::milliseconds kRefillPause{200};
constexpr auto kStopWithin = std::chrono::seconds(10);

}  // namespace

EtcdLog::EtcdLog(Client& client, const Keys& keys, Membership& membership, Options options)
    : client_(client),
      keys_(keys),
      membership_(membership),
      options_(std::move(options)),
      appender_(client_, keys_, membership.self().id, membership.epoch(), *options_.clock,
                options_.metrics == nullptr ? nullptr
                                            : &options_.metrics->histogram(
                                                  "courier_log_append_seconds",
                                                  "How long a transaction of the log took, retries included"),
                {[this](const std::string& trouble, bool no_space) { health_.on_trouble(trouble, no_space); },
                 [this](Error error) {
                   health_.end(error.message);
                   const std::lock_guard lock(mutex_);
                   dead_ = std::move(error);
                   wake_.notify_all();
                 }}),
      truncator_({client_, keys_, membership.self().id, membership.epoch(), tail_,
                  [this] { return health_.space_is_short(); }},
                 options_.truncation),
      health_(client_, keys_, membership, options_.quota_bytes, options_.metrics) {
  reading_ = {options_.position, options_.cursor, options_.last_clock, {}};
  if (options_.metrics != nullptr) {
    lag_ =
        &options_.metrics->gauge("courier_log_feed_lag_revisions",
                                 "How many revisions of etcd the newest known batch is ahead of the folded");
  }
}

Result<std::unique_ptr<EtcdLog>> EtcdLog::open(Client& client, const Keys& keys, Membership& membership,
                                               Options options) {
  api::RangeRequest request;
  request.set_key(keys.meta());
  const auto found = client.insist<api::RangeResponse>(
      options.patience_ms, [&](auto then) { client.range(request, std::move(then)); });
  if (!found) return fail(found.error());
  if (found->kvs_size() != 1) {
    return fail(errc::other_cluster, "etcd has no cluster \"" + keys.cluster() + "\"");
  }
  const Result<Meta> meta = decode_meta(found->kvs(0).value());
  if (!meta) return fail(meta.error());
  if (meta->id != options.log_id) {
    return fail(errc::other_cluster, "this node's data directory belongs to the log " + options.log_id +
                                         ", and the cluster \"" + keys.cluster() + "\" in etcd has the log " +
                                         meta->id + ": it is another cluster, or was created anew");
  }
  while (true) {
    const Result<Listing> listing = list_log(client, keys, options.patience_ms);
    if (!listing && listing.error().code == make_error_code(errc::compacted)) continue;
    if (!listing) return fail(listing.error());
    if (Result<void> whole = check_gap(*listing, options.cursor, keys); !whole) return fail(whole.error());
    break;
  }
  return std::unique_ptr<EtcdLog>(new EtcdLog(client, keys, membership, std::move(options)));
}

EtcdLog::~EtcdLog() {
  stop();
  client_.engine().run([] {});  // behind whatever was posted for the appender
}

Result<void> EtcdLog::replay(Position after,
                             const std::function<Result<void>(store::CommittedBatch&&)>& fold) {
  CHECK(!thread_.joinable() && after >= options_.position);
  Reading reading{options_.position, options_.cursor, options_.last_clock, {}};
  tail_.reset();
  std::vector<store::CommittedBatch> out;
  uint64_t revision = 0, bytes = 0;
  std::optional<std::vector<Assembly::Open>> open_at_cursor;
  const auto revision_ends = [&] {
    if (revision == 0) return;
    reading.cursor = revision;
    if (reading.position > after) note(reading, bytes);
    revision = bytes = 0;
  };
  const Result<uint64_t> end =
      read_log(client_, keys_, options_.cursor, true, reading.assembly, options_.patience_ms,
               [&](Arrival&& arrival) -> Result<void> {
                 if (!open_at_cursor) open_at_cursor = reading.assembly.open();
                 if (arrival.revision != revision) revision_ends();
                 revision = arrival.revision;
                 bytes += arrival.value.size();
                 if (Result<void> read_it = read(reading, std::move(arrival), after, out); !read_it)
                   return read_it;
                 for (store::CommittedBatch& batch : out) {
                   if (Result<void> folded = fold(std::move(batch)); !folded) return folded;
                 }
                 out.clear();
                 return {};
               });
  if (!end) return fail(end.error());
  revision_ends();
  if (reading.position < after) {
    return fail(errc::behind, "the log of the cluster \"" + keys_.cluster() + "\" ends at position " +
                                  std::to_string(reading.position.value) +
                                  ", and this node's state is as of " + std::to_string(after.value));
  }
  reading.cursor = std::max(reading.cursor, *end);
  reading_ = std::move(reading);
  open_at_cursor_ = open_at_cursor ? std::move(*open_at_cursor) : reading_.assembly.open();
  replayed_ = true;
  return {};
}

void EtcdLog::start(store::LogReader& reader) {
  CHECK(!thread_.joinable());
  reader_ = &reader;
  // A watch alone does not know the beginnings of batches that end later.
  refill_ = !replayed_;
  client_.engine().run([this] {
    watcher_ = std::make_unique<Watcher>(
        client_, keys_.log(), false,
        Watcher::Callbacks{[this](api::WatchResponse& response) { on_events(response); },
                           [this] {
                             const std::lock_guard lock(mutex_);
                             refill_ = true;
                             wake_.notify_all();
                           }});
    if (replayed_) watch_from(reading_.cursor + 1);
    health_.start();
    truncator_.start();
    appender_.start();
    if (replayed_) tell_done();
  });
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "feed");
}

void EtcdLog::stop() {
  if (!thread_.joinable()) return;
  const auto until = std::chrono::steady_clock::now() + kStopWithin;
  while (health_.state().accepting && std::chrono::steady_clock::now() < until) {
    // In this order: what the appender does not wait for any more is at least being fed.
    const bool idle = appender_.idle();
    std::unique_lock lock(mutex_);
    if (idle && chunks_.empty() && !feeding_ && posted_.empty()) break;
    fed_.wait_for(lock, kLookAtState / 10);
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
  client_.engine().run([this] {
    appender_.stop();
    truncator_.stop();
    health_.stop();
    if (watcher_) watcher_->stop();
  });
}

void EtcdLog::append(store::Batch batch) {
  appender_.append(std::move(batch));
}

void EtcdLog::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
  wake_.notify_all();
}

store::LogState EtcdLog::state() const {
  return health_.state();
}

void EtcdLog::checkpointed(Position position) {
  tail_.checkpointed(position);
  client_.engine().post([this] { tell_done(); });
}

uint64_t EtcdLog::tail_bytes() const {
  return tail_.uncovered_bytes();
}

// --- The engine thread ---

void EtcdLog::watch_from(uint64_t revision) {
  watcher_->start(static_cast<int64_t>(revision));
}

void EtcdLog::on_events(api::WatchResponse& response) {
  Chunk chunk;
  chunk.arrivals.reserve(static_cast<size_t>(response.events_size()));
  for (api::Event& event : *response.mutable_events()) {
    api::KeyValue& kv = *event.mutable_kv();
    const auto key = keys_.log_of(kv.key());
    if (!key || event.type() != api::Event::PUT) continue;
    chunk.bytes += kv.value().size();
    chunk.arrivals.push_back(
        {static_cast<uint64_t>(kv.mod_revision()), *key, std::move(*kv.mutable_value())});
  }
  if (chunk.arrivals.empty()) return;
  newest_.store(chunk.arrivals.back().revision, std::memory_order_relaxed);
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    chunk_bytes_ += chunk.bytes;
    chunks_.push_back(std::move(chunk));
    full = chunk_bytes_ > kFeedBytesMax;
    wake_.notify_all();
  }
  if (full) watcher_->pause(true);
}

// What a reader needs that comes back as of the latest checkpoint: batches that it has half of, too.
void EtcdLog::tell_done() {
  const std::optional<Tail::Done> done = tail_.done();
  if (!done && !replayed_) return;  // which batches the cursor stands within is not known yet
  uint64_t revision = done ? done->revision : options_.cursor;
  const std::vector<Member> members = membership_.members();
  for (const Assembly::Open& open : done ? done->open : open_at_cursor_) {
    // Of a run that is over nothing more comes.
    const bool lives =
        members.empty() || std::any_of(members.begin(), members.end(),
                                       [&](const Member& member) { return member.epoch == open.epoch; });
    if (lives && open.since > 0) revision = std::min(revision, open.since - 1);
  }
  truncator_.done(revision);
}

// --- The feed thread ---

void EtcdLog::run() {
  auto next_look = std::chrono::steady_clock::now();
  while (true) {
    std::optional<Chunk> chunk;
    std::vector<std::function<void()>> posted;
    std::optional<Error> dead;
    bool refilling = false, roomy = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_until(lock, next_look, [&] {
        return !chunks_.empty() || !posted_.empty() || dead_.has_value() || refill_ || stopping_;
      });
      if (stopping_) return;
      posted.swap(posted_);
      if (!chunks_.empty() && posted.empty()) {
        chunk = std::move(chunks_.front());
        chunks_.pop_front();
        const size_t before = chunk_bytes_;
        chunk_bytes_ -= chunk->bytes;
        roomy = before > kFeedBytesMax / 2 && chunk_bytes_ <= kFeedBytesMax / 2;
      }
      // What came before the gap is read before the gap is filled.
      if (!chunk && refill_ && chunks_.empty()) refilling = std::exchange(refill_, false);
      if (dead_ && !ended_) dead = *dead_;
      feeding_ = chunk.has_value() || !posted.empty() || refilling;
    }
    if (roomy) client_.engine().post([this] { watcher_->pause(false); });
    for (std::function<void()>& task : posted) task();
    if (chunk && !ended_) feed(std::move(*chunk));
    if (refilling && !ended_) refill();
    {
      const std::lock_guard lock(mutex_);
      feeding_ = false;
      fed_.notify_all();
      if (stopping_) return;
      if (dead) dead_.reset();
    }
    if (dead) end(std::move(*dead));
    if (std::chrono::steady_clock::now() >= next_look) {
      tell_state();
      next_look = std::chrono::steady_clock::now() + kLookAtState;
    }
  }
}

Result<void> EtcdLog::read(Reading& reading, Arrival&& arrival, Position after,
                           std::vector<store::CommittedBatch>& out) {
  Result<std::optional<Assembly::Whole>> whole = reading.assembly.add(arrival);
  if (!whole) return fail(whole.error());
  if (!*whole) return {};
  const auto give = [&](WallMs clock, uint32_t origin, uint64_t ticket, std::vector<record::Record> records) {
    reading.clock = std::max(reading.clock, clock);
    const Position first(reading.position.value + 1);
    reading.position = Position(reading.position.value + records.size());
    if (reading.position <= after) return;
    const uint64_t known = after < first ? 0 : after.value - first.value + 1;
    records.erase(records.begin(), records.begin() + static_cast<ptrdiff_t>(known));
    out.push_back({Position(first.value + known), reading.clock, origin, ticket, std::move(records),
                   arrival.key.epoch, arrival.revision});
  };
  if (arrival.key.epoch == membership_.epoch() && (*whole)->writer == appender_.writer()) {
    std::optional<Appender::Own> own = appender_.take_own(arrival.key.seq);
    if (!own) {
      return fail(errc::damaged, "the log's piece " + keys_.log(arrival.key) +
                                     " came back before another of this node that was written earlier");
    }
    for (store::Batch& batch : own->batches) {
      give(own->clock, batch.origin, batch.ticket, std::move(batch.records));
    }
    return {};
  }
  Result<record::DecodedBatch> batch = record::decode_batch((*whole)->bytes);
  if (!batch) {
    return fail(errc::damaged, "the log's piece " + keys_.log(arrival.key) + " (revision " +
                                   std::to_string(arrival.revision) + ", position " +
                                   std::to_string(reading.position.value + 1) +
                                   ") cannot be read: " + batch.error().message);
  }
  give(batch->clock, store::kNoOrigin, 0, std::move(batch->records));
  return {};
}

void EtcdLog::note(const Reading& reading, uint64_t bytes) {
  tail_.add(reading.cursor, reading.position, bytes, reading.assembly.open());
}

void EtcdLog::feed(Chunk chunk) {
  std::vector<store::CommittedBatch> out;
  uint64_t bytes = 0;
  for (size_t i = 0; i < chunk.arrivals.size(); ++i) {
    const uint64_t revision = chunk.arrivals[i].revision;
    if (revision <= reading_.cursor) continue;  // a range read had it
    const bool ends = i + 1 == chunk.arrivals.size() || chunk.arrivals[i + 1].revision != revision;
    bytes += chunk.arrivals[i].value.size();
    if (Result<void> done = read(reading_, std::move(chunk.arrivals[i]), {}, out); !done) {
      return end(done.error());
    }
    if (!ends) continue;
    reading_.cursor = revision;
    note(reading_, std::exchange(bytes, 0));
  }
  if (!out.empty()) reader_->on_committed(out);
  if (lag_ != nullptr) {
    const uint64_t newest = std::max(newest_.load(std::memory_order_relaxed), appender_.revision());
    lag_->set(static_cast<int64_t>(newest > reading_.cursor ? newest - reading_.cursor : 0));
  }
}

// The watch could not go on: etcd has forgotten what came next. What is there now is read by ranges.
void EtcdLog::refill() {
  Chunk chunk;
  const auto flush = [&] {
    if (!chunk.arrivals.empty()) feed(std::exchange(chunk, {}));
  };
  Assembly open;
  const bool fresh = !replayed_;
  const Result<uint64_t> end_of_it =
      read_log(client_, keys_, reading_.cursor, fresh, fresh ? reading_.assembly : open, kCallMs,
               [&](Arrival&& arrival) -> Result<void> {
                 if (chunk.bytes > kFeedBytesMax && chunk.arrivals.back().revision != arrival.revision)
                   flush();
                 if (ended_) return fail(errc::damaged, "the log has ended");
                 chunk.bytes += arrival.value.size();
                 chunk.arrivals.push_back(std::move(arrival));
                 return {};
               });
  if (!end_of_it && end_of_it.error().code == make_error_code(errc::unavailable)) {
    flush();
    std::unique_lock lock(mutex_);
    refill_ = true;
    wake_.wait_for(lock, kRefillPause, [&] { return stopping_ || !posted_.empty(); });
    return;
  }
  if (!end_of_it) {
    if (!ended_) end(end_of_it.error());
    return;
  }
  flush();
  replayed_ = true;
  reading_.cursor = std::max(reading_.cursor, *end_of_it);
  client_.engine().run([this, from = reading_.cursor + 1] { watch_from(from); });
}

void EtcdLog::end(Error error) {
  if (std::exchange(ended_, true)) return;
  log::error("the cluster's log has ended for this run", {{"reason", error.message}});
  health_.end(error.message);
  client_.engine().run([this] {
    appender_.stop();
    if (watcher_) watcher_->stop();
  });
  tell_state();
  if (options_.on_end) options_.on_end(error);
}

void EtcdLog::tell_state() {
  const store::LogState now = health_.state();
  const std::string reason = now.accepting ? std::string() : now.reason;
  if (reason == told_) return;
  told_ = reason;
  reader_->on_state(now);
}

}  // namespace courier::cluster::etcd
