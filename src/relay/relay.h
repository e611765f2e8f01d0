// Events from a consumer group of Kafka to an HTTP backend, each at least once, a client's in order.
//
// Reads (kafka::Group), sends (http::Sender), buries what is refused (kafka::Writer), and commits how far all
// is done. What goes when is Lanes' to say.
//
// Owned by one thread, which run()s it; libcurl's and librdkafka's threads only wake it. ready() and alive()
// are for any thread.
//
// 1. An offset is committed only when everything before it was taken, filtered out, or is safe in the dead
//    letters.
// 2. What is in memory is bounded: beyond the settings' limits partitions pause.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "http/requests.h"
#include "kafka/group.h"
#include "kafka/writer.h"
#include "net/fd.h"
#include "net/mailbox.h"
#include "net/waker.h"
#include "relay/filter.h"
#include "relay/lanes.h"
#include "relay/offsets.h"
#include "relay/request_maker.h"
#include "relay/settings.h"

namespace courier::relay {

struct Track {
  kafka::Partition partition;
  Offsets offsets;
  int64_t committed = -1;  // what was committed last, or is being
  bool live = true;        // ours
  bool paused = false;
};

class Relay final : private kafka::Member, private Lanes::Hands, private net::Waker {
 public:
  // Neither Kafka nor the backend has to be there. `metrics` outlives it. Errors: settings that librdkafka
  // refuses, files that cannot be read.
  static Result<std::unique_ptr<Relay>> open(const Settings& settings, Registry& metrics);
  ~Relay() override;

  // BLOCKS until `stopped` says so, which is asked about ten times a second; then lets requests under way
  // end, commits, and leaves the group.
  void run(const std::function<bool()>& stopped);

  // One round of it; waits at most so long for something to do.
  void turn(MonoNs wait_ns);

  // Why events cannot come; "": they can.
  std::string trouble() const;
  // Whether run() goes round.
  bool alive() const;

 private:
  struct Answer {
    size_t lane = 0;
    Result<http::Response> response;
  };
  struct Metrics;

  Relay(const Settings& settings, RequestMaker maker, Registry& metrics);
  Result<void> start();

  void on_assigned(std::span<const kafka::Partition> partitions) override;
  std::vector<kafka::Offset> on_revoked(std::span<const kafka::Partition> partitions) override;
  bool on_message(kafka::Message message) override;
  void on_commit_failed(std::span<const kafka::Partition> partitions) override;

  void send(size_t lane, http::Request request) override;
  void bury(size_t lane, const Parcel& parcel, const Cause& cause) override;
  void finished(const Parcel& parcel, const Cause* buried) override;
  void retrying(size_t lane, const Outcome& outcome, MonoNs wait_ns) override;
  bool is_live(const Track& track) const override { return track.live; }

  void wake() noexcept override;

  void wait(MonoNs wait_ns);
  void take_answers();
  void hold_back();
  void commit();
  void show();
  bool is_full() const;

  const Settings settings_;
  const RequestMaker maker_;
  const Filter filter_;
  const std::unique_ptr<Metrics> metrics_;
  net::Fd wake_fd_;
  net::Mailbox<Answer> answers_;
  std::vector<Answer> answers_taken_;
  std::map<kafka::Partition, std::shared_ptr<Track>> tracks_;  // that are ours
  std::vector<MonoNs> sent_at_;                                // by lane
  Lanes lanes_;
  MonoNs now_ = 0, tick_at_ = 0;
  bool full_ = false, stopping_ = false, more_ = false;
  std::atomic<bool> connected_{false};
  std::atomic<MonoNs> turned_at_;

  std::unique_ptr<kafka::Writer> dead_letters_;  // null: there is no place for them
  std::unique_ptr<kafka::Group> group_;
  std::unique_ptr<http::Requests> requests_;  // last: its thread posts answers
};

}  // namespace courier::relay
