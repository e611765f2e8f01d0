#include "state_fetch.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "cluster/errc.h"
#include "cluster/etcd/errc.h"
#include "cluster/state_stream.h"
#include "store/errc.h"
#include "store/rocksdb/copies.h"

namespace courier::courierd {

namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr auto kLook = 100ms;    // how often go_on() is asked
constexpr auto kPause = 200ms;   // between two rounds
constexpr auto kGreeting = 1s;   // before it is worth a line that a node is not reached
constexpr auto kProgress = 10s;  // between two lines in the log
// That a node may say nothing, which copies its store before the first piece. One that is gone is noticed by
// its link.
constexpr MonoNs kSilenceNs = 60 * kNsPerSecond;

// What the mesh's thread hands over.
struct Arrivals {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<mesh::Answer> answers;  // guarded by mutex, like the next
  bool given_up = false;             // pieces are dropped from here on
};

// Writes what one node sends into the data directory.
class Taking final : public cluster::StateSink {
 public:
  Taking(const StateFetch& fetch, const std::string& from) : fetch_(fetch), from_(from) {}

  Result<void> on_offer(const cluster::StateOffer& offer) override {
    if (offer.log_id != fetch_.log_id)
      return fail(cluster::errc::garbled, "it offers the state of another log (" + offer.log_id + ")");
    if (Result<void> held = fetch_.hold(offer.cursor); !held) return held;
    std::vector<store::CopiedFile> files;
    for (const cluster::StateFile& file : offer.files) files.push_back({file.name, file.size});
    auto copy = store::IncomingCopy::begin(fetch_.data_dir, files);
    if (!copy) return fail(copy.error());
    copy_ = *std::move(copy);
    total_ = offer.bytes();
    log::info("a node gives its state", {{"node", from_},
                                         {"position", offer.position.value},
                                         {"files", offer.files.size()},
                                         {"bytes", total_}});
    return {};
  }
  Result<void> on_file(const cluster::StateFile& file) override {
    return copy_->open({file.name, file.size});
  }
  Result<void> on_bytes(std::string_view bytes) override {
    bytes_ += bytes.size();
    if (Steady::now() >= next_line_) {
      next_line_ = Steady::now() + kProgress;
      log::info("a node's state is coming", {{"node", from_}, {"bytes", bytes_}, {"of", total_}});
    }
    return copy_->write(bytes);
  }
  Result<void> on_file_end() override { return copy_->close(); }

  Result<store::BackupFacts> finish() { return copy_->finish(fetch_.log_id); }
  uint64_t bytes() const { return bytes_; }

 private:
  const StateFetch& fetch_;
  const std::string& from_;
  std::unique_ptr<store::IncomingCopy> copy_;
  uint64_t bytes_ = 0, total_ = 0;
  Steady::time_point next_line_ = Steady::now() + kProgress;
};

Failure told_to_stop() {
  return fail(cluster::etcd::errc::snapshot_needed, "this node was told to stop before it had a state");
}

// One node is asked, until it has given all or something is wrong.
Result<void> take_from(const StateFetch& fetch, const StateFetch::Source& source) {
  const Steady::time_point began = Steady::now();
  const auto arrivals = std::make_shared<Arrivals>();
  fetch.mesh.request(source.epoch, cluster::kStateRequest,
                     std::string(1, static_cast<char>(cluster::kStateVersion)), kSilenceNs,
                     [arrivals](mesh::Answer answer) {
                       const std::lock_guard lock(arrivals->mutex);
                       if (arrivals->given_up) return;
                       arrivals->answers.push_back(std::move(answer));
                       arrivals->changed.notify_all();
                     });
  Taking taking(fetch, source.id);
  cluster::StateReader reader(taking);
  const auto take = [&]() -> Result<void> {
    while (true) {
      if (!fetch.go_on()) return told_to_stop();
      std::optional<mesh::Answer> answer;
      {
        std::unique_lock lock(arrivals->mutex);
        arrivals->changed.wait_for(lock, kLook, [&] { return !arrivals->answers.empty(); });
        if (arrivals->answers.empty()) continue;
        answer = std::move(arrivals->answers.front());
        arrivals->answers.pop_front();
      }
      if (answer->kind == mesh::Answer::Kind::failed) return fail(*answer->error);
      if (answer->kind == mesh::Answer::Kind::ended) return reader.end();
      if (Result<void> fed = reader.feed(answer->piece); !fed) return fed;
    }
  };
  const Result<void> taken = take();
  if (!taken) {
    std::deque<mesh::Answer> dropped;  // outside of the lock, as they tell the mesh
    const std::lock_guard lock(arrivals->mutex);
    arrivals->given_up = true;
    dropped.swap(arrivals->answers);
    return taken;
  }
  const Result<store::BackupFacts> facts = taking.finish();
  if (!facts) return fail(facts.error());
  log::info("this node has the state of another",
            {{"node", source.id},
             {"position", facts->position.value},
             {"bytes", taking.bytes()},
             {"milliseconds", std::chrono::duration_cast<milliseconds>(Steady::now() - began).count()}});
  return {};
}

// Another node's copy would find the disk no better.
bool of_this_disk(const Error& error) {
  return error.code == store::make_error_code(store::errc::disk_full) ||
         error.code == store::make_error_code(store::errc::io);
}

std::string text_of(const std::map<std::string, std::string>& reasons) {
  std::string text;
  for (const auto& [node, why] : reasons) text += (text.empty() ? "" : "; ") + node + ": " + why;
  return text.empty() ? "there is no other member" : text;
}

}  // namespace

Result<void> fetch_state(const StateFetch& fetch) {
  const Steady::time_point first = Steady::now();
  Steady::time_point until = first + fetch.patience;
  std::map<std::string, std::string> reasons;  // why not, by node
  while (true) {
    const std::vector<StateFetch::Source> sources = fetch.others();
    std::erase_if(reasons, [&](const auto& reason) {
      return std::none_of(sources.begin(), sources.end(),
                          [&](const auto& one) { return one.id == reason.first; });
    });
    bool somebody_gives = false;
    for (const StateFetch::Source& source : sources) {
      const Steady::time_point began = Steady::now();
      const bool reached = fetch.mesh.reachable(source.epoch);
      if (!reached && began - first < kGreeting) continue;
      const Result<void> taken =
          reached ? take_from(fetch, source)
                  : Result<void>(fail(cluster::errc::cut, "there is no connection to it over the mesh"));
      if (taken) return {};
      if (!fetch.go_on()) return told_to_stop();
      const Error& error = taken.error();
      if (of_this_disk(error)) return taken;
      if (error.message.find(cluster::kGivesAlready) != std::string::npos) somebody_gives = true;
      if (std::exchange(reasons[source.id], error.message) != error.message)
        log::warn("a node did not give its state", {{"node", source.id}, {"reason", error.message}});
      until += Steady::now() - began;
    }
    if (somebody_gives) until += kPause;
    if (Steady::now() >= until) break;
    const Steady::time_point next = Steady::now() + kPause;
    while (Steady::now() < next) {
      if (!fetch.go_on()) return told_to_stop();
      std::this_thread::sleep_for(20ms);
    }
  }
  return fail(cluster::etcd::errc::snapshot_needed,
              "the log does not reach back to what this node has, and no other node gave its state within " +
                  std::to_string(fetch.patience.count()) + " ms (" + text_of(reasons) +
                  "). Start a node that has it and see that the mesh reaches it (cluster.mesh_address), or "
                  "restore a recent backup on this one (courier restore). If every copy is lost, delete the "
                  "cluster's keys in etcd: then it begins empty");
}

}  // namespace courier::courierd
