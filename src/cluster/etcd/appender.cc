#include "cluster/etcd/appender.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/check.h"
#include "cluster/etcd/piece.h"
#include "record/codec.h"

namespace courier::cluster::etcd {
namespace {

constexpr MonoNs kRateWindowNs = 100 * kNsPerMs;
// Of merged records, so that with the batch's head and checksum they are one piece.
constexpr size_t kMergedBytesMax = kPieceBytesMax - 64;

uint64_t random_number() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

}  // namespace

Appender::Appender(Client& client, const Keys& keys, std::string node_id, NodeEpoch epoch, const Clock& clock,
                   Histogram* seconds, Callbacks callbacks)
    : client_(client),
      keys_(keys),
      node_id_(std::move(node_id)),
      epoch_(epoch),
      clock_(clock),
      seconds_(seconds),
      callbacks_(std::move(callbacks)),
      writer_(random_number()) {}

void Appender::append(store::Batch batch) {
  CHECK(!batch.records.empty());
  bool nudge = false;
  {
    const std::lock_guard lock(mutex_);
    if (dead_) return;  // nothing is acknowledged any more
    waiting_bytes_ += batch.encoded.size();
    records_ += batch.records.size();
    waiting_.push_back(std::move(batch));
    nudge = !std::exchange(nudged_, true);
  }
  if (nudge) client_.engine().post([this] { pump(); });
}

bool Appender::idle() const {
  const std::lock_guard lock(mutex_);
  return dead_ || (waiting_.empty() && own_.empty());
}

std::optional<Appender::Own> Appender::take_own(uint64_t last_seq) {
  const std::lock_guard lock(mutex_);
  if (own_.empty() || own_.front().last_seq != last_seq) return std::nullopt;
  Own own = std::move(own_.front());
  own_.pop_front();
  return own;
}

void Appender::start() {
  running_ = true;
  alive_ = std::make_shared<int>();
  pump();
}

void Appender::stop() {
  running_ = false;
  alive_.reset();
  client_.engine().cancel(std::exchange(timer_, 0));
}

MonoNs Appender::linger_ns(MonoNs now) {
  uint64_t records = 0;
  size_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    records = records_;
    bytes = waiting_bytes_;
  }
  const MonoNs passed = now - rate_at_ns_;
  if (passed >= kRateWindowNs) {
    rate_ = static_cast<double>(records - rate_records_) * 1e9 / static_cast<double>(passed);
    rate_at_ns_ = now;
    rate_records_ = records;
  }
  if (bytes >= kPieceBytesMax) return 0;
  const double share = std::min(1.0, rate_ / kLingerRateFull);
  const MonoNs apart = static_cast<MonoNs>(share * kLingerUsMax) * 1000;
  return std::max<MonoNs>(0, last_start_ns_ + apart - now);
}

void Appender::pump() {
  {
    const std::lock_guard lock(mutex_);
    if (!running_ || dead_ || in_flight_ || timer_ != 0) {
      // Whoever ends that pumps; until then nobody needs to say so again.
      if (running_ && !dead_) return;
      nudged_ = false;
      return;
    }
    nudged_ = false;
    if (waiting_.empty() && values_.empty()) return;
  }
  if (values_.empty()) {
    const MonoNs now = system_clock().mono_ns();
    if (const MonoNs wait = linger_ns(now); wait > 0) {
      timer_ = client_.engine().after_ns(wait, [this] {
        timer_ = 0;
        pump();
      });
      return;
    }
    last_start_ns_ = now;
    build();
  }
  first_sent_ns_ = system_clock().mono_ns();
  send();
}

// Takes what waits, up to as much as one transaction holds; a batch that is longer alone goes over several.
void Appender::build() {
  const WallMs clock = clock_.wall_ms();
  for (size_t values = 0; values < kPiecesMax;) {
    Own own;
    std::string encoded;
    size_t count = 0;
    {
      const std::lock_guard lock(mutex_);
      while (!waiting_.empty()) {
        store::Batch& batch = waiting_.front();
        if (!own.batches.empty() && encoded.size() + batch.encoded.size() > kMergedBytesMax) break;
        encoded += batch.encoded;
        count += batch.records.size();
        waiting_bytes_ -= batch.encoded.size();
        own.batches.push_back(std::move(batch));
        waiting_.pop_front();
      }
    }
    if (own.batches.empty()) return;
    for (std::string& bytes : cut(record::encode_batch(clock, count, encoded), writer_)) {
      values_.push_back({next_seq_++, std::move(bytes)});
      ++values;
    }
    own.last_seq = next_seq_ - 1;
    own.clock = clock;
    const std::lock_guard lock(mutex_);
    own_.push_back(std::move(own));
  }
}

void Appender::send() {
  in_flight_ = true;
  sent_ = std::min(values_.size(), kPiecesMax);
  api::TxnRequest request;
  const auto created = [&](const std::string& key, api::Compare::Result result, int64_t revision) {
    api::Compare& compare = *request.add_compare();
    compare.set_key(key);
    compare.set_target(api::Compare::CREATE);
    compare.set_result(result);
    compare.set_create_revision(revision);
  };
  const LogKey first{epoch_, values_.front().seq};
  created(keys_.node(node_id_), api::Compare::EQUAL, static_cast<int64_t>(epoch_.value));
  created(keys_.log(first), api::Compare::EQUAL, 0);
  if (first.seq > 0) created(keys_.log({epoch_, first.seq - 1}), api::Compare::GREATER, 0);
  for (size_t i = 0; i < sent_; ++i) {
    api::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(keys_.log({epoch_, values_[i].seq}));
    put.set_value(values_[i].bytes);
  }
  request.add_failure()->mutable_request_range()->set_key(keys_.log(first));
  api::RangeRequest& node = *request.add_failure()->mutable_request_range();
  node.set_key(keys_.node(node_id_));
  node.set_keys_only(true);
  const std::weak_ptr<void> alive = alive_;
  client_.txn(
      std::move(request),
      [this, alive](Result<api::TxnResponse> answer) {
        if (!alive.expired()) on_answer(std::move(answer));
      },
      kAppendMs);
}

void Appender::on_answer(Result<api::TxnResponse> answer) {
  if (!answer) {
    callbacks_.on_trouble(answer.error().message, answer.error().code == make_error_code(errc::no_space));
    return retry_later();
  }
  if (!answer->succeeded()) {
    if (answer->responses_size() != 2) return retry_later();
    const api::RangeResponse& mine = answer->responses(0).response_range();
    if (mine.kvs_size() != 1 || mine.kvs(0).value() != values_.front().bytes) {
      const api::RangeResponse& node = answer->responses(1).response_range();
      const bool same_run =
          node.kvs_size() == 1 && node.kvs(0).create_revision() == static_cast<int64_t>(epoch_.value);
      std::string why = "its lease ran out, or its key was deleted";
      if (same_run) {
        why = mine.kvs_size() == 1 ? "another process writes as the same run of it"
                                   : "what it wrote before is not in etcd any more";
      } else if (node.kvs_size() == 1) {
        why = "its lease ran out, and another run of it has begun";
      }
      return die(Error(make_error_code(errc::fenced),
                       "the log does not take records of node \"" + node_id_ + "\" any more: " + why));
    }
    // They are there: the answer to an earlier try was lost.
  }
  in_flight_ = false;
  if (seconds_ != nullptr)
    seconds_->observe(static_cast<double>(system_clock().mono_ns() - first_sent_ns_) / 1e9);
  revision_.store(static_cast<uint64_t>(answer->header().revision()), std::memory_order_relaxed);
  values_.erase(values_.begin(), values_.begin() + static_cast<ptrdiff_t>(sent_));
  callbacks_.on_trouble({}, false);
  pump();
}

void Appender::retry_later() {
  timer_ = client_.engine().after(kRetryMs, [this] {
    timer_ = 0;
    send();
  });
}

void Appender::die(Error error) {
  {
    const std::lock_guard lock(mutex_);
    dead_ = true;
    waiting_.clear();
    waiting_bytes_ = 0;
  }
  stop();
  callbacks_.on_dead(std::move(error));
}

}  // namespace courier::cluster::etcd
