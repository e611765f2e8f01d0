#include "load/wire.h"

#include <algorithm>

#include "base/varint.h"
#include "load/limits.h"

namespace courier::load {

namespace {

void put(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}
void put_signed(std::string& out, int64_t value) {
  put_varint(out, zigzag(value));
}

// Reads until something is wrong; then every answer is empty and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint64_t number(uint64_t most = UINT64_MAX) {
    const auto value = take_varint(bytes_);
    if (!value || *value > most) return wrong();
    return *value;
  }
  uint32_t small() { return static_cast<uint32_t>(number(UINT32_MAX)); }
  int64_t signed_number() { return unzigzag(number()); }
  std::string_view text() {
    const uint64_t size = number();
    if (size > bytes_.size()) {
      wrong();
      return {};
    }
    const std::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return text;
  }
  // How many elements follow, of `least_bytes` each.
  size_t count(size_t least_bytes = 1, size_t most = SIZE_MAX) {
    return number(std::min(bytes_.size() / least_bytes, most));
  }
  bool ok() const { return ok_; }
  bool whole() const { return ok_ && bytes_.empty(); }

 private:
  uint64_t wrong() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }
  std::string_view bytes_;
  bool ok_ = true;
};

void put(std::string& out, const MessageId& id) {
  put_varint(out, id.run);
  put_varint(out, id.publisher);
  put_varint(out, id.stream);
  put_varint(out, id.sequence);
  put_signed(out, id.due_us);
}
MessageId take_id(Reader& in) {
  MessageId id;
  id.run = in.small();
  id.publisher = in.small();
  id.stream = in.small();
  id.sequence = in.small();
  id.due_us = in.signed_number();
  return id;
}

void put(std::string& out, const Histogram& histogram) {
  const auto buckets = histogram.buckets();
  put_varint(out, buckets.size());
  if (buckets.empty()) return;
  uint32_t before = 0;
  for (const Histogram::Bucket& bucket : buckets) {
    put_varint(out, bucket.index - before);
    put_varint(out, bucket.times);
    before = bucket.index;
  }
  put_signed(out, histogram.max_ns());
  put_varint(out, static_cast<uint64_t>(histogram.sum_ns()));
}
bool take(Reader& in, Histogram& into) {
  std::vector<Histogram::Bucket> buckets(in.count(2));
  if (buckets.empty()) return in.ok();
  uint64_t index = 0;
  for (Histogram::Bucket& bucket : buckets) {
    index += in.small();
    bucket.index = static_cast<uint32_t>(std::min<uint64_t>(index, UINT32_MAX));
    bucket.times = in.number();
  }
  const int64_t max_ns = in.signed_number();
  const auto sum_ns = static_cast<double>(in.number());
  return in.ok() && into.restore(buckets, max_ns, sum_ns);
}

// One byte a histogram, a count, and the number of reasons, at least.
constexpr size_t kTallyBytesMin = kLatencies + kCounts + 1;

void put(std::string& out, const Tally& tally) {
  for (const Histogram& histogram : tally.latencies) put(out, histogram);
  for (const uint64_t count : tally.counts) put_varint(out, count);
  put_varint(out, tally.reasons.size());
  for (const auto& [words, times] : tally.reasons) {
    put(out, words);
    put_varint(out, times);
  }
}
bool take(Reader& in, Tally& into) {
  for (Histogram& histogram : into.latencies) {
    if (!take(in, histogram)) return false;
  }
  for (uint64_t& count : into.counts) count = in.number();
  const size_t reasons = in.count(2);
  for (size_t i = 0; i < reasons; ++i) {
    const std::string words(in.text());
    into.add_reason(words, in.number());
  }
  return in.ok();
}

void put(std::string& out, const std::vector<uint32_t>& numbers) {
  put_varint(out, numbers.size());
  for (const uint32_t n : numbers) put_varint(out, n);
}
std::vector<uint32_t> take_numbers(Reader& in) {
  std::vector<uint32_t> out(in.count());
  for (uint32_t& n : out) n = in.small();
  return out;
}

void put(std::string& out, const ShareMembers& members) {
  for (const uint32_t n : {members.now, members.departures, members.emptied, members.expired})
    put_varint(out, n);
}
ShareMembers take_members(Reader& in) {
  ShareMembers members;
  members.now = in.small();
  members.departures = in.small();
  members.emptied = in.small();
  members.expired = in.small();
  return members;
}

template <typename T>
std::optional<T> whole(const Reader& in, T value) {
  if (!in.whole()) return std::nullopt;
  return value;
}

}  // namespace

std::string to_bytes(const Hello& hello) {
  std::string out;
  put(out, hello.version);
  put(out, hello.nonce);
  return out;
}

std::optional<Hello> read_hello(std::string_view bytes) {
  Reader in(bytes);
  Hello hello;
  hello.version = in.text();
  hello.nonce = in.text();
  return whole(in, std::move(hello));
}

std::string to_bytes(const Preparation& p) {
  std::string out;
  put(out, p.file);
  put(out, p.text);
  put_varint(out, p.set.size());
  for (const auto& [name, value] : p.set) {
    put(out, name);
    put(out, value);
  }
  put_varint(out, p.part.index);
  put_varint(out, p.part.count);
  put_varint(out, p.part.run);
  put_signed(out, p.part.clock_offset_us);
  put_signed(out, p.part.overdue_ms);
  return out;
}

std::optional<Preparation> read_preparation(std::string_view bytes) {
  Reader in(bytes);
  Preparation p;
  p.file = in.text();
  p.text = in.text();
  const size_t set = in.count(2);
  for (size_t i = 0; i < set && in.ok(); ++i) {
    std::string name(in.text());
    p.set.emplace_back(std::move(name), in.text());
  }
  p.part.index = in.small();
  p.part.count = in.small();
  p.part.run = in.small();
  p.part.clock_offset_us = in.signed_number();
  p.part.overdue_ms = in.signed_number();
  if (p.part.count == 0 || p.part.count > kWorkersMax || p.part.index >= p.part.count) return std::nullopt;
  return whole(in, std::move(p));
}

std::string to_bytes(const Refusal& refusal) {
  std::string out;
  put_varint(out, refusal.invalid_scenario ? 1 : 0);
  put(out, refusal.why);
  return out;
}

std::optional<Refusal> read_refusal(std::string_view bytes) {
  Reader in(bytes);
  Refusal refusal;
  refusal.invalid_scenario = in.number(1) == 1;
  refusal.why = in.text();
  return whole(in, std::move(refusal));
}

std::string to_bytes(const WorkerReport& report) {
  std::string out;
  put_varint(out, report.stage);
  put_varint(out, report.tallies.size());
  for (const WorkerReport::StageTally& each : report.tallies) {
    put_varint(out, each.stage);
    put(out, each.tally);
  }
  put(out, report.connected);
  put(out, report.ready);
  put_varint(out, report.awaited);
  put_varint(out, report.awaited_by_absent);
  put_varint(out, report.replies_awaited);
  put_varint(out, report.unsettled);
  put(out, report.missing_by_stage);
  put(out, report.overdue_by_stage);
  put_signed(out, report.cpu_us);
  put_varint(out, report.steps_done ? 1 : 0);
  put_varint(out, report.shares.size());
  for (const ShareMembers& each : report.shares) put(out, each);
  return out;
}

std::optional<WorkerReport> read_report(std::string_view bytes) {
  Reader in(bytes);
  WorkerReport report;
  report.stage = in.small();
  report.tallies.resize(in.count(kTallyBytesMin, kStagesMax));
  for (WorkerReport::StageTally& each : report.tallies) {
    each.stage = in.small();
    if (!take(in, each.tally)) return std::nullopt;
  }
  report.connected = take_numbers(in);
  report.ready = take_numbers(in);
  report.awaited = in.number();
  report.awaited_by_absent = in.number();
  report.replies_awaited = in.number();
  report.unsettled = in.number();
  report.missing_by_stage = take_numbers(in);
  report.overdue_by_stage = take_numbers(in);
  report.cpu_us = in.signed_number();
  report.steps_done = in.number(1) == 1;
  report.shares.resize(in.count(3));
  for (ShareMembers& each : report.shares) each = take_members(in);
  return whole(in, std::move(report));
}

std::string to_bytes(uint32_t to, const Letters& letters) {
  std::string out;
  put_varint(out, to);
  put_varint(out, letters.promises.size());
  for (const Letters::PromiseOf& promise : letters.promises) {
    put_varint(out, promise.client);
    put(out, promise.id);
    put_varint(out, static_cast<uint64_t>(promise.qos));
    put_signed(out, promise.sent_us);
  }
  put_varint(out, letters.arrivals.size());
  for (const Letters::ShareArrival& arrival : letters.arrivals) {
    put_varint(out, arrival.share);
    put(out, arrival.id);
    put_signed(out, arrival.at_us);
  }
  put_varint(out, letters.replies.size());
  for (const Letters::Reply& reply : letters.replies) {
    put(out, reply.id);
    put_signed(out, reply.at_us);
  }
  return out;
}

std::optional<Mail> read_mail(std::string_view bytes) {
  Reader in(bytes);
  Mail mail;
  mail.to = in.small();
  mail.letters.promises.resize(in.count(8));
  for (Letters::PromiseOf& promise : mail.letters.promises) {
    promise.client = in.small();
    promise.id = take_id(in);
    promise.qos = static_cast<mqtt::Qos>(in.number(2));
    promise.sent_us = in.signed_number();
  }
  mail.letters.arrivals.resize(in.count(7));
  for (Letters::ShareArrival& arrival : mail.letters.arrivals) {
    arrival.share = in.small();
    arrival.id = take_id(in);
    arrival.at_us = in.signed_number();
  }
  mail.letters.replies.resize(in.count(6));
  for (Letters::Reply& reply : mail.letters.replies) {
    reply.id = take_id(in);
    reply.at_us = in.signed_number();
  }
  return whole(in, std::move(mail));
}

std::string to_bytes(const std::vector<std::string>& texts) {
  std::string out;
  put_varint(out, texts.size());
  for (const std::string& text : texts) put(out, text);
  return out;
}

std::optional<std::vector<std::string>> read_texts(std::string_view bytes) {
  Reader in(bytes);
  std::vector<std::string> texts(in.count());
  for (std::string& text : texts) text = in.text();
  return whole(in, std::move(texts));
}

std::string to_bytes(const StageBegin& begin) {
  std::string out;
  put_varint(out, begin.stage);
  put_signed(out, begin.began_us);
  return out;
}

std::optional<StageBegin> read_stage_begin(std::string_view bytes) {
  Reader in(bytes);
  StageBegin begin;
  begin.stage = in.small();
  begin.began_us = in.signed_number();
  return whole(in, begin);
}

std::string to_bytes(const ShareNews& news) {
  std::string out;
  put_varint(out, news.share);
  put(out, news.elsewhere);
  return out;
}

std::optional<ShareNews> read_share_news(std::string_view bytes) {
  Reader in(bytes);
  ShareNews news;
  news.share = in.small();
  news.elsewhere = take_members(in);
  return whole(in, news);
}

std::string to_bytes(uint64_t number) {
  std::string out;
  put_varint(out, number);
  return out;
}

std::optional<uint64_t> read_number(std::string_view bytes) {
  Reader in(bytes);
  const uint64_t number = in.number();
  return whole(in, number);
}

}  // namespace courier::load
