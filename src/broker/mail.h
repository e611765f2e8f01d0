// What reaches a shard from other threads. Order is kept per sender.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "auth/authenticator.h"
#include "auth/hooks.h"
#include "base/ids.h"
#include "record/directory.h"
#include "store/ordered_log.h"

namespace courier::broker {

class Shard;

// Takes a list that goes on its way; the next will be about as long, and finds its room made. Growing step by
// step would move each element once more.
template <typename List>
List take_list(List& list) {
  List next;
  next.reserve(list.size());
  return std::exchange(list, std::move(next));
}

// What one burst of committed batches means for this shard, in log order.
struct FeedMail {
  uint64_t burst = 0;  // its number; see Shared::bursts_posted
  std::vector<record::FeedItem> items;
  // Own batches that are back; those of `items` before `after_items` precede it.
  struct Back {
    size_t after_items = 0;
    uint64_t ticket = 0;
    Position first;
    std::vector<uint32_t> unmatched;  // indexes of PUBLISH records that nobody receives
  };
  std::vector<Back> back;
  uint64_t bytes = 0;  // of Backlog
  Position upto;       // of the last record that this burst had, for anybody
};

// Messages that skip the log, from a publisher's shard to the receivers'.
struct DirectMail {
  record::Delivery delivery;
  uint64_t bytes = 0;      // of Backlog
  bool from_peer = false;  // came from another node, and goes to none
};

struct AuthMail {
  ConnectionId connection;
  auth::Exchange::Step step;
};

// What hooks decided about a packet or a message of one connection: undecided.h.
struct HookMail {
  ConnectionId connection;
  uint64_t number = 0;
  using Answer =
      std::variant<auth::PublishAnswer, auth::SubscribeAnswer, auth::UnsubscribeAnswer, auth::DeliverAnswer>;
  std::unique_ptr<Answer> answer;  // apart: a mail stays small
};

// Rows of one session's inbox that were read from the store.
struct LoadedMail {
  SessionId session;
  uint64_t from = 0, upto = 0;  // the range of sequences that was read
  Result<std::vector<session::Inbox::Loaded>> rows;
  // Rows in that range that are damaged, with what is still known of them.
  struct Unreadable {
    uint64_t seq = 0;
    Position position;
    session::GroupOrigin origin;
    std::string why;
  };
  std::vector<Unreadable> unreadable;
};

// Write all that is dirty as of this place in the feed.
struct BarrierMail {
  uint64_t checkpoint = 0;
};
// The checkpoint is written.
struct CheckpointedMail {
  uint64_t checkpoint = 0;
};

struct LogStateMail {
  store::LogState state;
};

// No shard's backlog is too long any more.
struct RoomMail {};

// Anything else: control requests. Runs on the shard's thread.
struct TaskMail {
  std::function<void(Shard&)> run;
};

using Mail = std::variant<FeedMail, DirectMail, AuthMail, HookMail, LoadedMail, BarrierMail, CheckpointedMail,
                          LogStateMail, RoomMail, TaskMail>;

// Port: reaches a shard from any thread. Never blocks.
class Post {
 public:
  virtual ~Post() = default;
  virtual void post(uint32_t shard, Mail mail) = 0;
  // Runs on a worker thread.
  virtual void run_on_worker(std::function<void()> task) = 0;
};

}  // namespace courier::broker
