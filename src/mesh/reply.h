// A question to another node and what is said to it: one piece, or a stream of them with back-pressure.
//
// Whoever answers holds a Reply, whoever asked gets Answers; both may pass theirs on to any thread, keep them
// for as long as they like and outlive the mesh. One thread at a time uses one.
//
// 1. Pieces arrive whole, in the order in which they were sent. After `ended` or `failed`, exactly one of
//    which comes, nothing does.
// 2. At most kReplyWindow bytes of a reply are on the way: sent, and not worked off. A piece is worked off
//    when its Answer is destroyed, so whoever keeps Answers slows down who answers.
// 3. A Reply that is destroyed without a word has failed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "mesh/core.h"

namespace courier::mesh {

// What both ends of a reply agree on, at the end of who answers. Inside src/mesh only.
struct ReplyState {
  std::weak_ptr<Core> core;
  uint64_t link = 0, id = 0;
  std::mutex mutex;
  size_t room = 0;    // guarded by mutex, as the rest
  bool over = false;  // ended, failed, or nobody wants it any more
  std::function<void()> on_room;

  void call_on_room();
};

class Reply {
 public:
  Reply() = default;
  explicit Reply(std::shared_ptr<ReplyState> state) : state_(std::move(state)) {}
  Reply(Reply&& other) noexcept = default;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();

  // One piece, of kPieceBytesMax at most. False, and nothing is taken, if there is no room for it now or
  // nobody wants it any more. The first three always have room.
  [[nodiscard]] bool send(std::string_view piece);
  void end();
  void fail(std::string_view why);

  // How many bytes may be sent now.
  size_t room() const;
  // The link went, the other node gave up, or all is said.
  bool gone() const;
  // Calls `call` once, on the mesh's thread (of a mesh that has stopped: here), as soon as there is room for
  // a piece of any size, or gone(). Another call before that takes its place;
  // end() and fail() drop it.
  void on_room(std::function<void()> call);

 private:
  void finish(bool failed, std::string_view why);

  std::shared_ptr<ReplyState> state_;  // shared with the mesh's thread; null: moved from
};

// How many bytes its holder has not worked off yet. Tells the mesh when it goes.
class Held {
 public:
  Held() = default;
  Held(std::weak_ptr<Core> core, uint64_t link, uint64_t id, size_t bytes)
      : core_(std::move(core)), link_(link), id_(id), bytes_(bytes) {}
  Held(Held&& other) noexcept { *this = std::move(other); }
  Held& operator=(Held&& other) noexcept;
  ~Held() { give_back(); }

 private:
  void give_back();

  std::weak_ptr<Core> core_;
  uint64_t link_ = 0, id_ = 0;
  size_t bytes_ = 0;
};

struct Answer {
  enum class Kind : uint8_t { piece, ended, failed };

  Kind kind = Kind::ended;
  std::string piece;
  std::optional<Error> error;  // of errc, when failed
  Held held;
};

// Called on the mesh's thread (of a mesh that has stopped already: on that of who asked). May keep the
// Answer.
using OnAnswer = std::function<void(Answer)>;

}  // namespace courier::mesh
