#include "mesh/calls.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "mesh/errc.h"
#include "mesh/limits.h"

namespace courier::mesh {

namespace {

Error error_of(errc code, std::string_view what) {
  return {make_error_code(code), std::string(what)};
}

}  // namespace

Calls::Calls(Link& link, Timers& timers, std::weak_ptr<Core> core)
    : link_(link), timers_(timers), core_(std::move(core)) {}

Calls::~Calls() {
  CHECK(asked_.empty() && answering_.empty());
}

// --- Ours ---

void Calls::ask(uint16_t kind, std::string_view body, MonoNs timeout, OnAnswer on_answer) {
  if (asked_.size() >= kRequestsMax) {
    on_answer({.kind = Answer::Kind::failed,
               .error = error_of(errc::busy, "too many requests to this node wait for an answer")});
    return;
  }
  const uint64_t id = ++last_id_;
  auto asked = std::make_unique<Asked>();
  asked->on_answer = std::move(on_answer);
  asked->timeout = timeout;
  asked->heard_at = system_clock().mono_ns();
  asked->timer.fire = [this, id] { on_time(id); };
  timers_.arm(asked->timer, asked->heard_at + timeout);
  asked_.emplace(id, std::move(asked));
  link_.urgent(encode_request(id, kind, body));
}

Result<void> Calls::on_piece(const Text& piece) {
  const auto found = asked_.find(piece.id);
  if (found == asked_.end()) return {};
  Asked& asked = *found->second;
  const size_t cost = piece.text.size() + kPieceOverhead;
  if (asked.held + asked.owed + cost > kReplyWindow) {
    return fail(errc::bad_frame, "more of a reply than there was room for");
  }
  asked.held += cost;
  asked.heard_at = system_clock().mono_ns();
  asked.on_answer({.kind = Answer::Kind::piece,
                   .piece = std::string(piece.text),
                   .held = Held(core_, link_.serial, piece.id, cost)});
  return {};
}

Result<void> Calls::on_over(uint64_t id, bool failed, std::string_view why) {
  if (failed) {
    finish(id, Answer::Kind::failed, error_of(errc::failed, why.substr(0, kSentenceBytesMax)));
  } else {
    finish(id, Answer::Kind::ended, std::nullopt);
  }
  return {};
}

void Calls::worked_off(uint64_t id, size_t bytes) {
  const auto found = asked_.find(id);
  if (found == asked_.end()) return;
  Asked& asked = *found->second;
  CHECK(bytes <= asked.held);
  asked.held -= bytes;
  asked.owed += bytes;
  asked.heard_at = system_clock().mono_ns();  // from now on it is the peer's turn
  if (asked.owed < kCreditStep) return;
  link_.urgent(encode_numbers(FrameType::credit, id, std::exchange(asked.owed, 0)));
}

void Calls::on_time(uint64_t id) {
  const auto found = asked_.find(id);
  CHECK(found != asked_.end());
  Asked& asked = *found->second;
  const MonoNs now = system_clock().mono_ns();
  const MonoNs due = (asked.held > 0 ? now : asked.heard_at) + asked.timeout;
  if (due > now) {
    timers_.arm(asked.timer, due);
    return;
  }
  link_.urgent(encode_number(FrameType::cancel, id));
  finish(id, Answer::Kind::failed, error_of(errc::timed_out, "no answer in time"));
}

void Calls::finish(uint64_t id, Answer::Kind kind, std::optional<Error> error) {
  const auto found = asked_.find(id);
  if (found == asked_.end()) return;
  const std::unique_ptr<Asked> asked = std::move(found->second);
  asked_.erase(found);
  timers_.cancel(asked->timer);
  asked->on_answer({.kind = kind, .error = std::move(error)});
}

// --- Theirs ---

Result<std::shared_ptr<ReplyState>> Calls::on_request(uint64_t id) {
  if (answering_.contains(id)) return fail(errc::bad_frame, "two requests with one number");
  if (answering_.size() >= kRequestsMax) {
    // The peer counts as we do, but may have given up what we still work on.
    link_.urgent(encode_text(FrameType::failed, id, "too many requests of one node"));
    return std::shared_ptr<ReplyState>();
  }
  auto state = std::make_shared<ReplyState>();
  state->core = core_;
  state->link = link_.serial;
  state->id = id;
  state->room = kReplyWindow;
  answering_.emplace(id, Answering{state});
  return state;
}

Result<void> Calls::on_credit(const Numbers& credit) {
  const auto found = answering_.find(credit.id);
  if (found == answering_.end()) return {};
  const std::shared_ptr<ReplyState> state = found->second.state;
  bool enough;
  {
    const std::lock_guard lock(state->mutex);
    if (credit.second > kReplyWindow - state->room) {
      return fail(errc::bad_frame, "more room for a reply than was taken");
    }
    state->room += credit.second;
    enough = state->room >= kPieceBytesMax + kPieceOverhead;
  }
  if (enough) state->call_on_room();
  return {};
}

void Calls::on_cancel(uint64_t id) {
  const auto found = answering_.find(id);
  if (found == answering_.end()) return;
  const std::shared_ptr<ReplyState> state = std::move(found->second.state);
  answering_.erase(found);
  answering_over(*state);
}

void Calls::answering_over(ReplyState& state) {
  {
    const std::lock_guard lock(state.mutex);
    state.over = true;
  }
  state.call_on_room();
}

void Calls::send_piece(uint64_t id, std::string_view piece) {
  const auto found = answering_.find(id);
  if (found == answering_.end()) return;
  std::string frame = encode_text(FrameType::piece, id, piece);
  size_t& sent = found->second.sent;
  sent += piece.size();
  // The first bytes overtake messages. Once a reply is a stream it stays one, so that it keeps its order.
  if (sent <= kUrgentReplyBytes) {
    link_.urgent(std::move(frame));
  } else {
    link_.stream(std::move(frame));
  }
}

void Calls::send_over(uint64_t id, bool failed, std::string_view why) {
  const auto found = answering_.find(id);
  if (found == answering_.end()) return;
  std::string frame = failed ? encode_text(FrameType::failed, id, why) : encode_number(FrameType::ended, id);
  if (found->second.sent <= kUrgentReplyBytes) {
    link_.urgent(std::move(frame));
  } else {
    link_.stream(std::move(frame));
  }
  answering_.erase(found);
}

void Calls::fail_all(const Error& why) {
  while (!asked_.empty()) finish(asked_.begin()->first, Answer::Kind::failed, why);
  while (!answering_.empty()) on_cancel(answering_.begin()->first);
}

}  // namespace courier::mesh
