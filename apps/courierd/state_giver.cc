#include "state_giver.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "mesh/limits.h"
#include "store/rocksdb/copies.h"

namespace courier::courierd {

namespace {

constexpr size_t kReadBytes = 64 * 1024;

std::string this_node(std::string_view why) {
  return "this node " + std::string(why);
}

}  // namespace

// Bytes on their way to one asker, gathered to large pieces.
class StateGiver::Stream {
 public:
  Stream(mesh::Reply& reply, std::shared_ptr<Shared> shared) : reply_(reply), shared_(std::move(shared)) {}

  // False: nobody takes them any more, or this node stops.
  bool put(std::string_view bytes) {
    sent_ += bytes.size();
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, mesh::kPieceBytesMax - gathered_.size());
      gathered_ += part;
      bytes.remove_prefix(part.size());
      if (gathered_.size() == mesh::kPieceBytesMax && !flush()) return false;
    }
    return true;
  }
  bool flush() {
    while (!gathered_.empty() && !reply_.send(gathered_)) {
      if (!wait_for_room()) return false;
    }
    gathered_.clear();
    return true;
  }
  uint64_t sent() const { return sent_; }

 private:
  bool wait_for_room() {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->room = false;
    }
    reply_.on_room([shared = shared_] {
      const std::lock_guard lock(shared->mutex);
      shared->room = true;
      shared->changed.notify_all();
    });
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait(lock, [&] { return shared_->room || shared_->stopping; });
    return !shared_->stopping && !reply_.gone();
  }

  mesh::Reply& reply_;
  const std::shared_ptr<Shared> shared_;
  std::string gathered_;
  uint64_t sent_ = 0;
};

void StateGiver::open(store::StateStore& state, std::string data_dir) {
  state_ = &state;
  data_dir_ = std::move(data_dir);
  open_ = true;
}

void StateGiver::stop() {
  open_ = false;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void StateGiver::on_request(const std::string& from, std::string_view body, mesh::Reply reply) {
  if (body.size() != 1 || static_cast<uint8_t>(body[0]) != cluster::kStateVersion) {
    return reply.fail(this_node("sends its state in another format than the one asked for"));
  }
  if (!open_) return reply.fail(this_node("is not ready itself"));
  if (busy_.exchange(true)) return reply.fail(this_node(cluster::kGivesAlready));
  if (thread_.joinable()) thread_.join();  // it has said that it is done
  thread_ = std::thread([this, from, reply = std::move(reply)]() mutable {
    give(from, std::move(reply));
    busy_ = false;
  });
}

void StateGiver::give(const std::string& from, mesh::Reply reply) {
  using Steady = std::chrono::steady_clock;
  const Steady::time_point began = Steady::now();
  const auto milliseconds = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began).count();
  };
  log::info("another node asks for this node's state: it is copied", {{"node", from}});
  cluster::StateWriter writer;
  Stream stream(reply, shared_);
  const auto gone = [&] {
    log::warn("the node that asked for this node's state did not take all of it",
              {{"node", from}, {"bytes", stream.sent()}, {"milliseconds", milliseconds()}});
    reply.fail(this_node("stops"));
  };
  const auto broken = [&](const Error& error) {
    log::error("this node's state cannot be given to another node",
               {{"node", from}, {"error", error.message}, {"bytes", stream.sent()}});
    reply.fail(this_node("cannot read its state: " + error.message));
  };
  if (!stream.put(writer.preamble()) || !stream.flush()) return gone();
  const auto copy = store::OutgoingCopy::make(*state_, data_dir_);
  if (!copy) return broken(copy.error());
  cluster::StateOffer offer{(*copy)->log_id(), (*copy)->position(), (*copy)->cursor(), {}};
  for (const store::CopiedFile& file : (*copy)->files()) offer.files.push_back({file.name, file.size});
  if (!stream.put(writer.header(offer)) || !stream.flush()) return gone();
  for (const store::CopiedFile& file : (*copy)->files()) {
    if (Result<void> opened = (*copy)->open(file); !opened) return broken(opened.error());
    while (true) {
      const Result<std::string_view> bytes = (*copy)->read(kReadBytes);
      if (!bytes) return broken(bytes.error());
      if (bytes->empty()) break;
      writer.add(*bytes);
      if (!stream.put(*bytes)) return gone();
    }
    if (!stream.put(writer.end_of_file())) return gone();
  }
  if (!stream.put(writer.end()) || !stream.flush()) return gone();
  reply.end();
  log::info("another node was given this node's state", {{"node", from},
                                                         {"position", offer.position.value},
                                                         {"files", offer.files.size()},
                                                         {"bytes", stream.sent()},
                                                         {"milliseconds", milliseconds()}});
}

}  // namespace courier::courierd
