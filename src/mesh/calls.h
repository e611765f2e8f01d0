// The requests of one link: those we wait for, and those we answer.
//
// Owned by the Hub beside its link, used by the mesh's thread. Whoever asks names its requests; both ends
// know one by that number and the direction. What is said of a request that is not known is passed over,
// because the two ends give up at different times.
//
// 1. Every request ends with exactly one `ended` or `failed` Answer, the link's end included.
// 2. At most kRequestsMax wait in each direction, and kReplyWindow bytes of each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mesh/core.h"
#include "mesh/frame.h"
#include "mesh/link.h"
#include "mesh/reply.h"

namespace courier::mesh {

class Calls {
 public:
  Calls(Link& link, Timers& timers, std::weak_ptr<Core> core);
  ~Calls();  // all is over: fail_all() came before
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  // --- Ours ---
  // `timeout`: how long nothing may be heard. What its caller has not worked off is no silence of the peer's.
  void ask(uint16_t kind, std::string_view body, MonoNs timeout, OnAnswer on_answer);
  Result<void> on_piece(const Text& piece);
  Result<void> on_over(uint64_t id, bool failed, std::string_view why);
  // The caller has worked off so many bytes.
  void worked_off(uint64_t id, size_t bytes);

  // --- Theirs ---
  // A Reply for a request that came; it says so by itself if there are too many.
  Result<std::shared_ptr<ReplyState>> on_request(uint64_t id);
  Result<void> on_credit(const Numbers& credit);
  void on_cancel(uint64_t id);
  void send_piece(uint64_t id, std::string_view piece);
  void send_over(uint64_t id, bool failed, std::string_view why);

  void fail_all(const Error& why);

 private:
  struct Asked {
    OnAnswer on_answer;
    Timer timer;
    MonoNs timeout = 0;
    MonoNs heard_at = 0;
    size_t held = 0;  // given to the caller, not worked off
    size_t owed = 0;  // worked off, and the peer does not know
  };
  struct Answering {
    std::shared_ptr<ReplyState> state;  // shared with the Reply
    size_t sent = 0;                    // bytes of pieces
  };

  void on_time(uint64_t id);
  // Forgets it and tells its caller.
  void finish(uint64_t id, Answer::Kind kind, std::optional<Error> error);
  void answering_over(ReplyState& state);

  Link& link_;
  Timers& timers_;
  const std::weak_ptr<Core> core_;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Asked>> asked_;
  std::unordered_map<uint64_t, Answering> answering_;
};

}  // namespace courier::mesh
