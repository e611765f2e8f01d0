// Tells an HTTP endpoint, by POST: many requests at once, the events of one client one after another.
//
//   lanes     what waits, by client. A lane has one request under way; its next waits until that is done.
//   parcels   what is sent: one event, or where a request takes many, as many as there are, of many clients.
//             One that fails is sent again as it is, with the same webhook-id.
//
//   answer    2xx     done
//             410     the endpoint wants no more: it is not asked again before a test() that it takes, or the
//                     next start
//             other   again, after 1 s, twice as long each time up to 5 min, with jitter; Retry-After counts
//
// Redirects are not followed. Who answers slowly is waited for up to timeout_ms.
//
// An event is given up, into the dead letters, when
// - it failed 5 times and others were taken since it first did (twice, and since it was first sent, if the
//   endpoint says that it is the event's fault: 400, 413, 415, 422); a batch is first taken apart;
// - or it is a day old (give_up_ms) and still not taken.
// After 10 failures in a row, of whatever, the endpoint is asked one request at a time.
//
// Events of best effort are told like the others, but not kept as dead letters.
//
// tell() and forget(): one thread. The others: any.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "events/sink.h"
#include "events/webhook/dead_letters.h"
#include "events/webhook/wording.h"
#include "http/requests.h"

namespace courier::events::webhook {

struct WebhookSinkOptions {
  std::string name;
  std::string url;
  Profile profile = Profile::cloudevents;
  Mode mode = Mode::structured;
  std::string source;                // of CloudEvents
  std::vector<std::string> secrets;  // none: not signed
  http::Headers headers;             // further ones
  std::string ca_file, certificate_file, key_file;
  bool link_local = false;
  int64_t timeout_ms = 5'000;
  uint32_t parallel = 32;
  uint32_t batch_events_max = 100;
  uint64_t batch_bytes_max = 1 << 20;
  double span_part = 0;  // with Profile::otlp: of what has no traceparent, 0 to 1
  std::string dead_letters_path;
  uint64_t dead_letters_bytes_max = 64 << 20;
  int64_t retry_ms_min = 1'000, retry_ms_max = 300'000, give_up_ms = 24 * 3'600'000;
};

struct WebhookState {
  uint64_t waiting = 0;            // events with the sink, under way as well
  uint64_t under_way = 0;          // requests
  uint64_t taken = 0, failed = 0;  // requests since the start
  uint64_t given_up = 0;           // events since the start
  uint64_t dead_letters = 0;       // events on disk
  std::string trouble;             // what went wrong last; "": the last request was taken
  WallMs trouble_since = 0;        // 0: none
  bool resting = false;            // asked one request at a time
  bool gone = false;               // it said 410
};

// What a sample event led to.
struct Trial {
  int status = 0;
  int64_t took_ms = 0;
  std::string body;  // its beginning
};

class WebhookSink final : public Sink {
 public:
  // `metrics` outlives it. `sender`: null for one of its own. Errors: those of DeadLetters::open() and
  // http::Requests::open().
  static Result<std::unique_ptr<WebhookSink>> open(WebhookSinkOptions options, Registry& metrics,
                                                   std::unique_ptr<http::Sender> sender = nullptr);
  ~WebhookSink() override;

  Result<Told> tell(std::span<const EventPtr> noted, std::span<const EventPtr> events) override;
  void forget() override;
  bool busy() const override;
  void stop() override;

  const WebhookSinkOptions& options() const { return options_; }
  WebhookState state() const;
  // Sends a made-up event of that kind, at once and whatever the state; whoever receives it sees by its id,
  // "test-…", what it is. If it is taken, a gone or resting endpoint is asked again. `done`: once, on a
  // thread that must not be held up.
  void test(Kind kind, std::function<void(Result<Trial>)> done);
  // Tells the dead letters again, soon. How many there are.
  uint64_t replay();

 private:
  enum class Origin : uint8_t { given, noted, dead_letter };
  struct Item {
    EventPtr event;
    Origin origin = Origin::given;
    bool sent = false, finished = false;
    uint64_t taken_before = 0;  // requests that the endpoint had taken when it was first sent
  };
  using ItemPtr = std::shared_ptr<Item>;
  struct Lane {
    std::deque<ItemPtr> waiting;
    size_t alone = 0;  // so many of them are sent each by itself
    bool busy = false;
  };
  using Lanes = std::unordered_map<std::string, Lane>;
  struct Parcel {
    std::vector<ItemPtr> items;
    std::vector<std::string> lanes;  // their clients
    uint32_t failures = 0;
    uint64_t taken_before = 0;  // likewise, when it first failed
  };
  using ParcelPtr = std::shared_ptr<Parcel>;
  struct Answer {
    uint64_t generation = 0;
    ParcelPtr parcel;
    Result<http::Response> response;
    MonoNs began = 0;
  };

  WebhookSink(WebhookSinkOptions options, Registry& metrics, std::unique_ptr<DeadLetters> letters,
              std::unique_ptr<http::Sender> sender);

  // All below with mutex_ held.
  void add(EventPtr event, Origin origin);
  void begin_replay();
  void send_what_can_be_sent(MonoNs now);
  bool may_send(MonoNs now) const;
  ParcelPtr next_parcel(MonoNs now);
  ParcelPtr fill_parcel();
  void send(const ParcelPtr& parcel, MonoNs now);
  void judge(Answer& answer);
  void works_again();
  void failed(const ParcelPtr& parcel, std::string why, int status, int64_t retry_ms, MonoNs now);
  bool is_old(const Parcel& parcel) const;
  bool give_up(const Parcel& parcel, const std::string& why);
  void take_apart(const Parcel& parcel);
  void finish(const Parcel& parcel);
  void free_lanes(const Parcel& parcel);
  int64_t backoff_ms(uint32_t failures);
  http::Request request_of(std::span<const EventPtr> events) const;

  const WebhookSinkOptions options_;
  const std::string shown_url_;
  const std::unique_ptr<DeadLetters> letters_;  // its changes: the thread of tell()

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool stopped_ = false;
  std::deque<ItemPtr>
      given_;  // durable ones, in the order of tell(), until they and all before are done with
  Lanes lanes_;
  std::deque<std::string> ready_;           // lanes that have something to send, and may
  std::multimap<MonoNs, ParcelPtr> later_;  // by when it may be sent again
  std::vector<Answer> answers_;
  std::unordered_map<ParcelPtr, http::Sender::Id> under_way_;
  uint64_t generation_ = 0;  // of forget()
  size_t waiting_ = 0, noted_waiting_ = 0, replaying_ = 0;
  bool replay_wanted_ = false;
  uint32_t failures_in_a_row_ = 0;
  MonoNs not_before_ = 0;  // of the endpoint
  bool gone_ = false;
  uint64_t taken_ = 0, failed_ = 0, given_up_ = 0;
  std::string trouble_;
  WallMs trouble_since_ = 0;
  std::minstd_rand random_;

  Counter &requests_taken_, &requests_failed_, &given_up_total_;
  Histogram& seconds_;

  std::unique_ptr<http::Sender> sender_;  // last: its thread uses all of the above
};

}  // namespace courier::events::webhook
