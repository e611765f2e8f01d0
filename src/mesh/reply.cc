#include "mesh/reply.h"

#include "base/check.h"
#include "mesh/hub.h"
#include "mesh/limits.h"

namespace courier::mesh {

Reply& Reply::operator=(Reply&& other) noexcept {
  if (this != &other) {
    if (state_) finish(true, "nobody answered");
    state_ = std::move(other.state_);
  }
  return *this;
}

Reply::~Reply() {
  if (state_) finish(true, "nobody answered");
}

bool Reply::send(std::string_view piece) {
  CHECK(state_ && piece.size() <= kPieceBytesMax);
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->over || state_->room < piece.size() + kPieceOverhead) return false;
    state_->room -= piece.size() + kPieceOverhead;
  }
  const auto core = state_->core.lock();
  return core && core->tasks.post([link = state_->link, id = state_->id, bytes = std::string(piece)](
                                      Hub& hub) { hub.reply_piece(link, id, bytes); });
}

void Reply::end() {
  CHECK(state_);
  finish(false, {});
}

void Reply::fail(std::string_view why) {
  CHECK(state_);
  finish(true, why);
}

void Reply::finish(bool failed, std::string_view why) {
  // Who ends it need not be told; what the call holds may hold this Reply, so it goes last.
  std::function<void()> dropped;
  {
    const std::lock_guard lock(state_->mutex);
    if (std::exchange(state_->over, true)) return;
    dropped = std::exchange(state_->on_room, nullptr);
  }
  if (const auto core = state_->core.lock()) {
    core->tasks.post([link = state_->link, id = state_->id, failed,
                      sentence = std::string(why.substr(0, kSentenceBytesMax))](Hub& hub) {
      hub.reply_over(link, id, failed, sentence);
    });
  }
}

size_t Reply::room() const {
  CHECK(state_);
  const std::lock_guard lock(state_->mutex);
  return state_->over || state_->room < kPieceOverhead ? 0 : state_->room - kPieceOverhead;
}

bool Reply::gone() const {
  CHECK(state_);
  const std::lock_guard lock(state_->mutex);
  return state_->over;
}

void Reply::on_room(std::function<void()> call) {
  CHECK(state_);
  {
    const std::lock_guard lock(state_->mutex);
    state_->on_room = std::move(call);
    if (!state_->over && state_->room < kPieceBytesMax + kPieceOverhead) return;
  }
  // It is time already; but on the mesh's thread, as promised.
  const std::shared_ptr<ReplyState> state = state_;
  const auto core = state->core.lock();
  if (!core || !core->tasks.post([state](Hub&) { state->call_on_room(); })) state->call_on_room();
}

void ReplyState::call_on_room() {
  std::function<void()> call;
  {
    const std::lock_guard lock(mutex);
    call = std::exchange(on_room, nullptr);
  }
  if (call) call();
}

Held& Held::operator=(Held&& other) noexcept {
  if (this != &other) {
    give_back();
    core_ = std::move(other.core_);
    link_ = other.link_;
    id_ = other.id_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void Held::give_back() {
  const size_t bytes = std::exchange(bytes_, 0);
  if (bytes == 0) return;
  if (const auto core = core_.lock()) {
    core->tasks.post([link = link_, id = id_, bytes](Hub& hub) { hub.worked_off(link, id, bytes); });
  }
}

}  // namespace courier::mesh
